/** CDS Hooks 2.0.1, one test for each SHALL and MUST that binds a service; the section stands in the name. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import request from 'supertest';
import type { Card } from '../../api/cds/card.ts';
import type { Assessment } from '../../api/assessment/assessment.ts';
import {
  cannotBeAsked,
  ENOXAPARIN,
  filedFor,
  headCt,
  orderHook,
  patientView,
  PUBLIC_URL,
  startCdsDoor,
  thrombectomy,
  wholePrefetch,
} from './support.ts';
import type { CdsDoor } from './support.ts';

const PATIENT = '/cds-services/hemocast-patient';
const ORDERS = '/cds-services/hemocast-orders';

let hospital: CdsDoor;
let assessed: Assessment;
let card: Card;
beforeAll(async () => {
  hospital = await startCdsDoor();
  assessed = await hospital.assessedPatient('conformance');
  const prefetch = wholePrefetch([filedFor(assessed)]);
  const answer = await request(hospital.door).post(PATIENT).send(patientView('conformance', { prefetch })).expect(200);
  [card] = answer.body.cards;
});
afterAll(() => hospital.close());

describe('CDS Hooks 2.0.1, Overview', () => {
  it('Use of JSON: no element of any answer is null or empty but the array of cards', async () => {
    const prefetch = wholePrefetch([filedFor(assessed)]);
    const bodies = [
      (await request(hospital.door).get('/cds-services')).body,
      (
        await request(hospital.door)
          .post(ORDERS)
          .send(orderHook('order-sign', 'conformance', [ENOXAPARIN], { prefetch }))
      ).body,
      { card },
    ];
    expect(bodies.flatMap((body) => emptyPlaces(body))).toEqual([]);
    expect(emptyPlaces({ a: [{ b: '' }, null] })).toEqual(['.a.0.b', '.a.1']); // the check itself finds some
  });
});

describe('CDS Hooks 2.0.1, Discovery', () => {
  it('HTTP Request: is available at {baseUrl}/cds-services, to whoever asks', async () => {
    const answer = await request(hospital.door)
      .get('/cds-services')
      .expect(200)
      .expect('Content-Type', /application\/json/);
    expect(Object.keys(answer.body)).toEqual(['services']);
  });

  it('Response: describes each service by hook, description and id, and its prefetch by strings', async () => {
    const { services } = (await request(hospital.door).get('/cds-services')).body;
    expect(services.map(({ hook }: { hook: string }) => hook)).toEqual(['patient-view', 'order-select', 'order-sign']);
    for (const { hook, title, description, id, prefetch, usageRequirements } of services) {
      for (const text of [hook, title, description, id, usageRequirements, ...Object.values(prefetch)]) {
        expect(text).toEqual(expect.stringMatching(/\S/));
      }
      expect(id).toMatch(/^[a-z-]+$/);
    }
  });

  it('Prefetch tokens: are context fields of the hook, inside the recommended subset of searches', async () => {
    const { services } = (await request(hospital.door).get('/cds-services')).body;
    for (const { prefetch } of services) {
      for (const template of Object.values<string>(prefetch)) {
        expect(template.match(/\{\{.*?\}\}/g)).toEqual(['{{context.patientId}}']);
        expect(template).toMatch(/^[A-Z]\w+\?patient=\{\{context\.patientId\}\}(&(modality|status)=\w+)?$/);
      }
    }
  });

  it('Update stale guidance: order-select and order-sign share one id, so that the later card replaces the earlier one', async () => {
    const { services } = (await request(hospital.door).get('/cds-services')).body;
    expect(services[1].id).toBe(services[2].id);
    expect(services[0].id).not.toBe(services[1].id);
  });
});

describe('CDS Hooks 2.0.1, Calling a CDS Service', () => {
  it.each<[string, (body: Record<string, unknown>) => unknown]>([
    ['hook', (body) => delete body.hook],
    ['hook', (body) => (body.hook = 'order-sign')],
    ['hookInstance', (body) => delete body.hookInstance],
    ['hookInstance', (body) => (body.hookInstance = 'a b')],
    ['context', (body) => delete body.context],
    ['context.patientId', (body) => (body.context = { userId: 'Practitioner/1' })],
    ['context.patientId', (body) => (body.context = { userId: 'Practitioner/1', patientId: '../1' })],
    ['context.userId', (body) => (body.context = { patientId: 'conformance' })],
    ['fhirServer', (body) => (body.fhirServer = 'ftp://ehr.example')],
    ['fhirServer', (body) => (body.fhirAuthorization = { access_token: 'x', token_type: 'Bearer' })],
    ['prefetch', (body) => (body.prefetch = 'none')],
  ])('HTTP Request: a call without a usable %s is refused by name', async (field, change) => {
    const body = patientView('conformance') as Record<string, unknown>;
    change(body);
    const answer = await request(hospital.door).post(PATIENT).send(body).expect(400);
    expect(answer.body).toMatchObject({ code: 'hook-request-invalid', detail: expect.stringContaining(`${field}: `) });
  });

  it('HTTP Request: takes fields it does not know, and extensions', async () => {
    const body = patientView('nobody', { extension: { 'com.example.x': { a: 1 } }, somethingNew: [1] });
    await request(hospital.door).post(PATIENT).send(body).expect(200, { cards: [] });
  });

  it.each([
    ['a body that is not JSON', 'application/json', '{', 400],
    ['a body of another type', 'text/plain', '{}', 415],
    ['a body beyond 2 MB', 'application/json', `{"x":"${'x'.repeat(2.1 * 2 ** 20)}"}`, 413],
  ])('refuses %s', async (_what, type, body, status) => {
    await request(hospital.door).post(PATIENT).set('Content-Type', type).send(body).expect(status);
  });

  it('answers 404 for a service that is not published', async () => {
    await request(hospital.door).post('/cds-services/nothing').send(patientView('conformance')).expect(404);
    await request(hospital.door).post('/cds-services/nothing/feedback').send({ feedback: [] }).expect(404);
  });

  it('Providing FHIR Resources: answers 412 where data can be had neither by prefetch nor from the FHIR server', async () => {
    hospital.chart = cannotBeAsked;
    const answer = await request(hospital.door).post(PATIENT).send(patientView('conformance')).expect(412);
    expect(answer.body.code).toBe('prefetch-missing');
    hospital.chart = async () => [];
  });

  it('FHIR Resource Access: asks only a FHIR server that the client is registered with', async () => {
    const before = hospital.searches.length;
    const body = patientView('conformance', {
      fhirServer: 'https://evil.example/fhir',
      fhirAuthorization: { access_token: 'canary', token_type: 'Bearer', expires_in: 300, scope: 'x', subject: 'y' },
    });
    const answer = await request(hospital.door).post(PATIENT).send(body).expect(400);
    expect(answer.body.code).toBe('fhir-server-not-registered');
    expect(answer.text).not.toContain('canary');
    expect(hospital.searches.length).toBe(before);
  });

  it('Passing the Access Token: a token for another patient than the hook’s is not used', async () => {
    const body = patientView('conformance', {
      fhirServer: 'https://ehr.example/fhir',
      fhirAuthorization: { access_token: 'x', token_type: 'Bearer', patient: 'someone-else' },
    });
    await request(hospital.door).post(PATIENT).send(body).expect(400);
  });
});

describe('CDS Hooks 2.0.1, CDS Service Response', () => {
  it('answers 200 with an object that holds an array of cards, empty where there is nothing to say', async () => {
    await request(hospital.door).post(PATIENT).send(patientView('nobody')).expect(200, { cards: [] });
  });

  it('Card Attributes: summary is one sentence of less than 140 characters', () => {
    expect(card.summary).toMatch(/^[^\n]{10,139}$/);
  });

  it('Card Attributes: indicator is info or warning; critical is not ours to say', () => {
    expect(['info', 'warning']).toContain(card.indicator);
  });

  it('Card Attributes: uuid names the card, the same for a repeated call and another for another call', async () => {
    expect(card.uuid).toMatch(/^[\da-f]{8}-[\da-f]{4}-8[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
    const body = patientView('conformance', { prefetch: wholePrefetch([filedFor(assessed)]) });
    const uuids = [];
    for (let i = 0; i < 2; i++) uuids.push((await request(hospital.door).post(PATIENT).send(body)).body.cards[0].uuid);
    expect(uuids[0]).toBe(uuids[1]);
    expect(uuids[0]).not.toBe(card.uuid);
  });

  it('Source: has a label and a topic with code, system and display', () => {
    const text = expect.stringMatching(/\S/);
    expect(card.source).toEqual({
      label: text,
      url: expect.stringMatching(/^https:/),
      topic: { system: text, code: text, display: text },
    });
  });

  it('Reasons for rejecting a card: every reason has a display', () => {
    expect(card.overrideReasons!.length).toBeGreaterThan(2);
    for (const reason of card.overrideReasons!) {
      expect(reason).toEqual({
        system: expect.any(String),
        code: expect.stringMatching(/\S/),
        display: expect.stringMatching(/\S/),
      });
    }
  });

  it('Link: is a SMART app link with a launch URL and a string as appContext', () => {
    expect(card.links).toHaveLength(1);
    const [{ label, url, type, appContext }] = card.links;
    expect(label).toMatch(/\S/);
    expect([url, type]).toEqual([`${PUBLIC_URL}/app/launch.html`, 'smart']);
    expect(JSON.parse(appContext)).toEqual({
      riskAssessment: assessed.resources!.riskAssessment,
      imagingStudy: `ImagingStudy/${assessed.study.id}`,
    });
  });

  it('Suggestion, System Action: changes no order and proposes none', () => {
    expect(card).not.toHaveProperty('suggestions');
    expect(card).not.toHaveProperty('systemActions');
  });

  it('one card at most, whatever the orders', async () => {
    const prefetch = wholePrefetch([filedFor(assessed)]);
    const call = orderHook('order-sign', 'conformance', [ENOXAPARIN, ENOXAPARIN, ENOXAPARIN], { prefetch });
    expect((await request(hospital.door).post(ORDERS).send(call)).body.cards).toHaveLength(1);
  });

  it('never waits for the model: an eligible study gets a pending card, and its assessment begins behind it', async () => {
    const resources = [thrombectomy('new', '2026-11-12T08:00:00Z'), headCt('new-ct', 'new', '2026-11-12T09:00:00Z')];
    const answer = await request(hospital.door)
      .post(PATIENT)
      .send(patientView('new', { prefetch: wholePrefetch(resources) }));
    expect(answer.body.cards).toEqual([
      expect.objectContaining({ indicator: 'info', summary: expect.stringContaining('not ready yet') }),
    ]);
    expect(JSON.parse(answer.body.cards[0].links[0].appContext)).toEqual({ imagingStudy: 'ImagingStudy/new-ct' });
    expect(hospital.requested).toEqual(['new-ct']);
  });
});

describe('CDS Hooks 2.0.1, Cross-Origin Resource Sharing', () => {
  it.each(['/cds-services', PATIENT, `${ORDERS}/feedback`])(
    'answers a preflight of a browser-based client at %s',
    async (path) => {
      const answer = await request(hospital.door)
        .options(path)
        .set({
          Origin: 'https://ehr.example',
          'Access-Control-Request-Method': 'POST',
          'Access-Control-Request-Headers': 'authorization,content-type',
        })
        .expect(204)
        .expect('Access-Control-Allow-Origin', '*')
        .expect('Access-Control-Allow-Headers', 'Authorization, Content-Type');
      expect(answer.headers).not.toHaveProperty('access-control-allow-credentials');
    },
  );

  it('opens no door to a page of another site without a token, also on this machine', async () => {
    const call = request(hospital.door)
      .post(PATIENT)
      .set('Origin', 'https://evil.example')
      .send(patientView('conformance'));
    expect((await call).status).toBe(401);
  });
});

/** Paths of elements that are null, "", [] or {}, but for an empty `cards`. */
function emptyPlaces(value: unknown, path = ''): string[] {
  if (value === null || value === '') return [path];
  if (typeof value !== 'object') return [];
  const entries = Object.entries(value);
  if (entries.length === 0) return path === '.cards' ? [] : [path];
  return entries.flatMap(([key, inner]) => emptyPlaces(inner, `${path}.${key}`));
}
