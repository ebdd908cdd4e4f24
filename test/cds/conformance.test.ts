/**
 * CDS Hooks 2.0.1: what the text requires of a service (SHALL, MUST, REQUIRED), and some of what it recommends; the section stands in the name.
 * docs/cds-conformance.md lists what the text requires and recommends, and the test that holds it.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createElement } from 'react';
import { renderToStaticMarkup } from 'react-dom/server';
import Markdown from 'react-markdown';
import request from 'supertest';
import type { Card } from '../../api/cds/card.ts';
import type { Assessment } from '../../api/assessment/assessment.ts';
import {
  cannotBeAsked,
  ENOXAPARIN,
  everythingKept,
  filedFor,
  headCt,
  isEmpty,
  lent,
  orderHook,
  OWN_EHR,
  patientView,
  places,
  PUBLIC_URL,
  startCdsDoor,
  thrombectomy,
  wholePrefetch,
} from './support.ts';
import type { CdsDoor } from './support.ts';

const PATIENT = '/cds-services/hemocast-patient';
const ORDERS = '/cds-services/hemocast-orders';
const TEXT = expect.stringMatching(/\S/);

let hospital: CdsDoor;
let assessed: Assessment;
/** A result beside the chart and beside a drug, and a result that is not ready yet. */
let cards: readonly Card[];
let card: Card;
let pending: Card;

const post = (path: string, body: object | string) => request(hospital.door).post(path).send(body);
const discover = async () => (await request(hospital.door).get('/cds-services')).body;
const ready = () => ({ prefetch: wholePrefetch([filedFor(assessed)]) });

beforeAll(async () => {
  hospital = await startCdsDoor();
  assessed = await hospital.assessedPatient('conformance');
  const underWay = [thrombectomy('new', '2026-11-12T08:00:00Z'), headCt('new-ct', 'new', '2026-11-12T09:00:00Z')];
  const answers = await Promise.all([
    post(PATIENT, patientView('conformance', ready())),
    post(ORDERS, orderHook('order-sign', 'conformance', [ENOXAPARIN], ready())),
    post(PATIENT, patientView('new', { prefetch: wholePrefetch(underWay) })),
  ]);
  cards = answers.flatMap(({ body }) => body.cards);
  expect(cards).toHaveLength(3);
  [card, , pending] = cards;
});
afterAll(() => hospital.close());

describe('CDS Hooks 2.0.1, Overview', () => {
  it('Use of JSON: every answer that has a body is JSON, refusals too', async () => {
    const answers = await Promise.all([
      request(hospital.door).get('/cds-services'),
      post(PATIENT, patientView('nobody')),
      post(PATIENT, { hook: 'x' }),
      post('/cds-services/nothing', patientView('nobody')),
      request(hospital.door).get('/cds-services').set('Authorization', 'Bearer x'),
      request(hospital.door).post(PATIENT).set('Content-Type', 'text/plain').send('{}'),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 400, 404, 401, 415]);
    for (const { headers, text } of answers) {
      expect(headers['content-type']).toMatch(/^application\/(problem\+)?json\b/);
      expect(() => JSON.parse(text)).not.toThrow();
    }
  });

  it('Use of JSON: takes JSON only', async () => {
    await request(hospital.door).post(PATIENT).set('Content-Type', 'text/plain').send('{}').expect(415);
    await request(hospital.door).post(PATIENT).set('Content-Type', 'application/json').send('{').expect(400);
  });

  it('Use of JSON: no element is null', async () => {
    expect(places([await discover(), cards], (value) => value === null)).toEqual([]);
    expect(places({ a: [{ b: null }] }, (value) => value === null)).toEqual(['.a.0.b']); // the search itself finds some
  });

  it('Use of JSON: no element is empty but the array of cards', async () => {
    const silence = (await post(PATIENT, patientView('nobody'))).body;
    expect(places([await discover(), cards, silence], isEmpty)).toEqual(['.2.cards']);
    expect(places({ a: '', b: {}, c: [[], ' '] }, isEmpty)).toEqual(['.a', '.b', '.c.0']);
  });

  it('Use of JSON: an optional element without a value is left out', () => {
    expect(Object.keys(card)).toContain('overrideReasons');
    expect(Object.keys(pending)).not.toContain('overrideReasons');
  });
});

describe('CDS Hooks 2.0.1, Discovery', () => {
  it('HTTP Request: is available at {baseUrl}/cds-services, always, also while the service is paused', async () => {
    const open = await discover();
    await hospital.operation.set('paused', null);
    try {
      const answer = await request(hospital.door).get('/cds-services').expect(200);
      expect(answer.body).toEqual(open);
    } finally {
      await hospital.operation.set('running', null);
    }
  });

  it('Response: is an object that holds the list of services', async () => {
    const body = await discover();
    expect(Object.keys(body)).toEqual(['services']);
    const hooks = body.services.map(({ hook }: { hook: string }) => hook);
    expect(hooks).toEqual(['patient-view', 'order-select', 'order-sign']);
  });

  it('Response: describes each service by hook, description and id', async () => {
    for (const { hook, description, id, title, usageRequirements } of (await discover()).services) {
      expect([hook, description, id, title, usageRequirements]).toEqual([TEXT, TEXT, TEXT, TEXT, TEXT]);
    }
  });

  it('Response: a service is available at {baseUrl}/cds-services/{id}', async () => {
    for (const { id, hook } of (await discover()).services) {
      const body = hook === 'patient-view' ? patientView('nobody') : orderHook(hook, 'nobody', [ENOXAPARIN]);
      expect([hook, (await post(`/cds-services/${id}`, body)).status]).toEqual([hook, 200]);
    }
    await post('/cds-services/nothing', patientView('nobody')).expect(404);
  });

  it('Response: prefetch is an object of FHIR queries as strings', async () => {
    for (const { prefetch } of (await discover()).services) {
      const templates = Object.entries(prefetch);
      expect(templates.length).toBeGreaterThan(0);
      for (const [key, template] of templates) expect([key, template]).toEqual([TEXT, TEXT]);
    }
  });
});

describe('CDS Hooks 2.0.1, Calling a CDS Service', () => {
  it.each<[string, string, (body: Record<string, unknown>) => unknown]>([
    ['no hook', 'hook', (body) => delete body.hook],
    ['the hook of another service', 'hook', (body) => (body.hook = 'order-sign')],
    ['no hookInstance', 'hookInstance', (body) => delete body.hookInstance],
    ['a hookInstance that is no identifier', 'hookInstance', (body) => (body.hookInstance = 'a b')],
    ['no context', 'context', (body) => delete body.context],
    ['no context.patientId', 'context.patientId', (body) => (body.context = { userId: 'Practitioner/1' })],
    [
      'a context.patientId that is no FHIR id',
      'context.patientId',
      (body) => (body.context = { userId: 'Practitioner/1', patientId: '../1' }),
    ],
    ['no context.userId', 'context.userId', (body) => (body.context = { patientId: 'conformance' })],
    ['a fhirServer that is no URL', 'fhirServer', (body) => (body.fhirServer = 'ftp://ehr.example')],
    [
      'fhirAuthorization without fhirServer',
      'fhirServer',
      (body) => (body.fhirAuthorization = { access_token: 'x', token_type: 'Bearer' }),
    ],
    ['prefetch that is no object', 'prefetch', (body) => (body.prefetch = 'none')],
    ['null in place of prefetch', 'prefetch', (body) => (body.prefetch = null)],
  ])('HTTP Request: a call with %s is refused by the name of the field', async (_what, field, change) => {
    const body = patientView('conformance') as Record<string, unknown>;
    change(body);
    const answer = await post(PATIENT, body).expect(400);
    expect(answer.body).toMatchObject({ code: 'hook-request-invalid', detail: expect.stringContaining(`${field}: `) });
  });

  it.each(['context.draftOrders', 'context.selections'])(
    'Hook context: a call of order-select without %s is refused by the name of the field',
    async (field) => {
      const context = { [field.split('.')[1]]: undefined };
      const answer = await post(ORDERS, orderHook('order-select', 'nobody', [ENOXAPARIN], { context })).expect(400);
      expect(answer.body.detail).toContain(`${field}: `);
    },
  );

  it.each<[string, object]>([
    ['access_token', { access_token: undefined }],
    ['access_token', { access_token: 'a\r\nb' }],
    ['token_type', { token_type: 'mac' }],
    ['patient', { patient: 'someone-else' }],
  ])('Passing the Access Token: fhirAuthorization without a usable %s is refused', async (field, changes) => {
    const fhirAuthorization = { ...lent('x'), ...changes };
    const answer = await post(PATIENT, patientView('nobody', { fhirServer: OWN_EHR, fhirAuthorization })).expect(400);
    expect(answer.body.detail).toContain(`fhirAuthorization.${field}: `);
  });

  it('Extensions: takes extensions and fields that it does not know, and sends none', async () => {
    const more = { extension: { 'com.example.x': { a: 1 } }, somethingNew: [1] };
    await post(PATIENT, patientView('nobody', more)).expect(200, { cards: [] });
    expect(JSON.stringify([await discover(), cards])).not.toContain('"extension"');
  });
});

describe('CDS Hooks 2.0.1, Providing FHIR Resources to a CDS Service', () => {
  const templates = async (): Promise<string[]> =>
    (await discover()).services.flatMap(({ prefetch }: { prefetch: object }) => Object.values(prefetch));

  it('Prefetch tokens: stand between {{ and }}', async () => {
    for (const template of await templates()) expect(template.replace(/\{\{[^{}]+\}\}/g, '')).not.toMatch(/[{}]/);
  });

  it('Prefetch tokens: are named context. and a field that the hook offers as a token', async () => {
    const tokens = (await templates()).flatMap((template) => template.match(/\{\{.*?\}\}/g) ?? []);
    expect(new Set(tokens)).toEqual(new Set(['{{context.patientId}}'])); // a token of all three hooks
    expect(tokens).toHaveLength(9);
  });

  it('Prefetch query restrictions: templates stay inside the recommended subset of search', async () => {
    for (const template of await templates()) {
      expect(template).toMatch(/^[A-Z]\w+\?patient=\{\{context\.patientId\}\}(&(modality|status)=\w+)?$/);
    }
  });

  it('Prefetch Template: answers 412 where data can be had neither by prefetch nor from the FHIR server', async () => {
    hospital.chart = cannotBeAsked;
    try {
      const answer = await post(PATIENT, patientView('conformance')).expect(412);
      expect(answer.body.code).toBe('prefetch-missing');
      const underAnotherKey = { somebodyElses: wholePrefetch([filedFor(assessed)]).riskAssessments };
      await post(PATIENT, patientView('conformance', { prefetch: underAnotherKey })).expect(412);
      await post(PATIENT, patientView('conformance', ready())).expect(200);
    } finally {
      hospital.chart = async () => [];
    }
  });

  it('FHIR Resource Access: asks only a FHIR server that the client is registered with', async () => {
    const before = hospital.searches.length;
    const body = { fhirServer: 'https://evil.example/fhir', fhirAuthorization: lent('canary') };
    const answer = await post(PATIENT, patientView('conformance', body)).expect(400);
    expect(answer.body.code).toBe('fhir-server-not-registered');
    expect(answer.text).not.toContain('canary');
    expect(hospital.searches.length).toBe(before);
  });

  it('Passing the Access Token: the token is transient: no later call uses it, and it is kept nowhere', async () => {
    const tokensOf = async (changes: object): Promise<unknown[]> => {
      hospital.searches.length = 0;
      await post(PATIENT, patientView('conformance', { fhirServer: OWN_EHR, ...changes })).expect(200);
      return [...new Set(hospital.searches.map(({ accessToken }) => accessToken))];
    };
    expect(await tokensOf({ fhirAuthorization: lent('canary-token') })).toEqual(['canary-token']);
    expect(await tokensOf({})).toEqual([undefined]);
    const kept = await everythingKept(hospital);
    expect(kept).toContain('Patient/conformance'); // it is the database that was looked through
    expect(kept + hospital.logged.join('')).not.toContain('canary-token');
  });
});

describe('CDS Hooks 2.0.1, CDS Service Response', () => {
  it('HTTP Response: is 200 with an array of cards, empty where there is nothing to say, and no system action', async () => {
    await post(PATIENT, patientView('nobody')).expect(200, { cards: [] });
    const answer = await post(PATIENT, patientView('conformance', ready())).expect(200);
    expect(answer.body).toEqual({ cards: [expect.objectContaining({ summary: card.summary })] });
  });

  it('Card Attributes: summary is one sentence of less than 140 characters', () => {
    for (const { summary } of cards) expect(summary).toMatch(/^[^\n]{10,139}$/);
  });

  it('Card Attributes: detail is Markdown', () => {
    const html = cards.map(({ detail }) => renderToStaticMarkup(createElement(Markdown, null, detail)));
    expect(html[0]).toMatch(/^<p><strong>\d+ % [^]*<ul>\s*<li>Measured on the first CT: [^]*<\/ul>/);
    for (const one of html) {
      expect(one).toMatch(/<p><em>Research use only[^<]*<\/em><\/p>$/);
      expect(one.replace(/<[^>]+>/g, '')).not.toMatch(/\*\*|^- |_Research/m); // no mark is left unread
    }
  });

  it('Card Attributes: indicator is info, warning or critical', () => {
    for (const { indicator } of cards) expect(['info', 'warning', 'critical']).toContain(indicator);
  });

  it('Card Attributes: there is no suggestion, and so no selectionBehavior and no action', () => {
    for (const one of cards) {
      for (const key of ['suggestions', 'selectionBehavior', 'systemActions']) expect(one).not.toHaveProperty(key);
    }
  });

  it('Source: has a label', () => {
    for (const { source } of cards) expect(source.label).toEqual(TEXT);
  });

  it('Source: the URL is absolute and tells of the service, not of the patient', () => {
    for (const { source } of cards) {
      expect(Object.keys(source)).toEqual(['label', 'url', 'topic']);
      expect(source.url).toBe(`${PUBLIC_URL}/docs`);
    }
  });

  it('Coding: the topic and every reason have code and system', () => {
    for (const { code, system } of [card.source.topic, ...card.overrideReasons!]) {
      expect([code, system]).toEqual([TEXT, TEXT]);
    }
  });

  it('Reasons for rejecting a card: every reason has a display', () => {
    expect(card.overrideReasons!.length).toBeGreaterThan(2);
    for (const { display } of card.overrideReasons!) expect(display).toEqual(TEXT);
  });

  it('Link: has a label, a URL and the type absolute or smart', () => {
    for (const { label, url, type } of cards.flatMap(({ links }) => links)) {
      expect(label).toEqual(TEXT);
      expect(URL.canParse(url)).toBe(true);
      expect(['absolute', 'smart']).toContain(type);
    }
  });

  it('Link: none asks to be opened by itself, the card is read first', () => {
    const links = cards.flatMap(({ links: ofCard }) => ofCard);
    expect(links.length).toBeGreaterThan(0);
    for (const link of links) expect(Object.keys(link)).toEqual(['label', 'url', 'type', 'appContext']);
  });

  it('Link: appContext is a string, on a smart link only', () => {
    const links = cards.flatMap(({ links: ofCard }) => ofCard);
    expect(links.map(({ type, appContext }) => [type, typeof appContext])).toEqual(
      cards.map(() => ['smart', 'string']),
    );
  });
});

describe('CDS Hooks 2.0.1, Feedback', () => {
  const outcomeTimestamp = '2026-11-12T10:05:31Z';

  it.each<[string, () => object]>([
    ['accepted suggestion', () => ({ outcome: 'accepted', acceptedSuggestions: [{ id: 'of-another-service' }] })],
    ['overridden guidance', () => ({ outcome: 'overridden' })],
    [
      'reason of the card with a comment',
      () => {
        const [{ system, code }] = card.overrideReasons!;
        return {
          outcome: 'overridden',
          overrideReason: { reason: { system, code }, userComment: 'Seen on the scan.' },
        };
      },
    ],
    ['comment alone', () => ({ outcome: 'overridden', overrideReason: { userComment: 'Seen on the scan.' } })],
  ])('Feedback: takes the %s by the uuid of the card', async (_what, entry) => {
    await post(`${PATIENT}/feedback`, { feedback: [{ card: card.uuid, outcomeTimestamp, ...entry() }] }).expect(200);
  });
});

describe('Beside the text', () => {
  it('a body beyond 2 MB is refused', async () => {
    await post(PATIENT, { x: 'x'.repeat(2.1 * 2 ** 20) }).expect(413);
  });

  it.each<[string, number, () => object]>([
    ['address', 400, () => patientView('long', { fhirServer: `https://a/${'/'.repeat(100_000)}x` })],
    [
      'list of selections',
      200,
      () => {
        const selections = Array.from({ length: 90_000 }, (_, i) => `Task/s${i}`);
        const entry = Array.from({ length: 10_000 }, (_, i) => ({ resource: { resourceType: 'Task', id: `t${i}` } }));
        return orderHook('order-select', 'long', [], {
          context: { selections, draftOrders: { resourceType: 'Bundle', entry } },
        });
      },
    ],
    [
      'list of medications',
      200,
      () => {
        const named = (i: number) => ({
          resourceType: 'MedicationRequest',
          subject: { reference: 'Patient/long' },
          medicationReference: { reference: `Medication/n${i}` },
        });
        const entry = [
          ...Array.from({ length: 5_000 }, (_, i) => ({ resource: named(i) })),
          ...Array.from({ length: 15_000 }, (_, i) => ({ resource: { resourceType: 'Medication', id: `m${i}` } })),
        ];
        return orderHook('order-sign', 'long', [], { context: { draftOrders: { resourceType: 'Bundle', entry } } });
      },
    ],
  ])('nobody waits for a call with an overlong %s', async (_what, status, body) => {
    const began = performance.now();
    const call = body() as { readonly hook: string };
    await post(call.hook === 'patient-view' ? PATIENT : ORDERS, call).expect(status);
    // A minute and more, where every one is held against every other.
    expect(performance.now() - began).toBeLessThan(5_000);
  });

  it('order-select and order-sign share one id, so that the later card replaces the earlier one', async () => {
    const [view, select, sign] = (await discover()).services;
    expect(select.id).toBe(sign.id);
    expect(view.id).not.toBe(select.id);
  });

  it('uuid names the card, the same for a repeated call and another for another call', async () => {
    expect(card.uuid).toMatch(/^[\da-f]{8}-[\da-f]{4}-8[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
    const body = patientView('conformance', ready());
    const uuids = [];
    for (let i = 0; i < 2; i++) uuids.push((await post(PATIENT, body)).body.cards[0].uuid);
    expect(uuids[0]).toBe(uuids[1]);
    expect(uuids[0]).not.toBe(card.uuid);
  });

  it('the link launches our app with the result and the study', () => {
    expect(card.links).toHaveLength(1);
    expect(card.links[0].url).toBe(`${PUBLIC_URL}/app/launch.html`);
    expect(JSON.parse(card.links[0].appContext)).toEqual({
      riskAssessment: assessed.resources!.riskAssessment,
      imagingStudy: `ImagingStudy/${assessed.study.id}`,
    });
  });

  it('one card at most, whatever the orders', async () => {
    const call = orderHook('order-sign', 'conformance', [ENOXAPARIN, ENOXAPARIN, ENOXAPARIN], ready());
    expect((await post(ORDERS, call)).body.cards).toHaveLength(1);
  });

  it('never waits for the model: an eligible study gets a pending card, and its assessment begins behind it', () => {
    expect([pending.indicator, pending.summary]).toEqual(['info', expect.stringContaining('not ready yet')]);
    expect(JSON.parse(pending.links[0].appContext)).toEqual({ imagingStudy: 'ImagingStudy/new-ct' });
    expect(hospital.requested).toEqual(['new-ct']);
  });
});

describe('Cross-Origin Resource Sharing', () => {
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
    await post(PATIENT, patientView('conformance')).set('Origin', 'https://evil.example').expect(401);
  });
});
