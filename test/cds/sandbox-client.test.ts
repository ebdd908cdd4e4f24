/** The sandbox EHR as a CDS client: what CDS Hooks 2.0.1 requires of one, against the real service and a scripted chart. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { Resource } from '@medplum/fhirtypes';
import { fireHook, reportOverride } from '../../smart-app/src/ehr/cds.ts';
import type { Assessment } from '../../api/assessment/assessment.ts';
import { serve } from '../support/http-server.ts';
import type { TestServer } from '../support/http-server.ts';
import { cannotBeAsked, draftOrder, ENOXAPARIN, filedFor, groundOf, searchset, startCdsDoor } from './support.ts';
import type { CdsDoor } from './support.ts';

interface Sent {
  readonly path: string;
  readonly headers: Headers;
  readonly body: Record<string, never> & { readonly prefetch?: Readonly<Record<string, unknown>> };
}

const UUID = /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/;
const realFetch = globalThis.fetch;

let hospital: CdsDoor;
let server: TestServer;
let assessed: Assessment;
let sent: Sent[];
/** What the page's own chart answers by resource type; undefined = it does not. */
let chart: Readonly<Record<string, readonly Resource[] | undefined>>;

beforeAll(async () => {
  hospital = await startCdsDoor();
  assessed = await hospital.assessedPatient('sandbox');
  server = await serve(hospital.door);
});
beforeEach(() => {
  sent = [];
  const filed = [filedFor(assessed)];
  const ground = groundOf(filed);
  const of = (type: string) => ground.filter(({ resourceType }) => resourceType === type);
  chart = { RiskAssessment: filed, ImagingStudy: of('ImagingStudy'), Procedure: of('Procedure') };
  hospital.chart = cannotBeAsked;
  globalThis.fetch = async (input, init) => {
    const path = String(input);
    const type = /^\/sandbox\/fhir\/(\w+)\?patient=sandbox\b/.exec(path)?.[1];
    if (type !== undefined) {
      const found = chart[type];
      return found === undefined ? new Response(null, { status: 503 }) : Response.json(searchset(found));
    }
    if (init?.method === 'POST') {
      sent.push({ path, headers: new Headers(init.headers), body: JSON.parse(String(init.body)) });
    }
    return realFetch(server.origin + path, init);
  };
});
afterEach(() => {
  globalThis.fetch = realFetch;
});
afterAll(async () => {
  await server.close();
  await hospital.close();
});

const order = () => draftOrder('draft-1', 'sandbox', ENOXAPARIN) as never;

it('posts JSON to the service, with the hook, a UUID of this call, and the context that the hook requires', async () => {
  const { cards } = await fireHook('order-select', 'sandbox', [order()]);
  await fireHook('order-sign', 'sandbox', [order()]);
  await fireHook('patient-view', 'sandbox');
  expect(cards).toHaveLength(1);
  const [select, sign, view] = sent.map(({ body }) => body as Record<string, unknown>);
  expect(sent.map(({ path }) => path)).toEqual([
    '/cds-services/hemocast-orders',
    '/cds-services/hemocast-orders',
    '/cds-services/hemocast-patient',
  ]);
  expect(new Set(sent.map(({ headers }) => headers.get('content-type')))).toEqual(new Set(['application/json']));
  expect([select.hook, sign.hook, view.hook]).toEqual(['order-select', 'order-sign', 'patient-view']);
  const instances = [select, sign, view].map(({ hookInstance }) => hookInstance);
  for (const instance of instances) expect(instance).toMatch(UUID);
  expect(new Set(instances).size).toBe(3);
  const who = { userId: expect.stringMatching(/^Practitioner\/./), patientId: 'sandbox' };
  const draftOrders = expect.objectContaining({ resourceType: 'Bundle', entry: [{ resource: order() }] });
  expect(select.context).toEqual({ ...who, draftOrders, selections: ['MedicationRequest/draft-1'] });
  expect(sign.context).toEqual({ ...who, draftOrders });
  expect(view.context).toEqual(who);
});

it('sends what a service asked for and nothing else', async () => {
  await fireHook('patient-view', 'sandbox');
  expect(Object.keys(sent[0].body.prefetch!)).toEqual(['riskAssessments', 'imagingStudies', 'procedures']);
  expect(sent[0].body.prefetch!.riskAssessments).toEqual(searchset([filedFor(assessed)]));
});

it('sends null where the chart holds nothing', async () => {
  chart = { ...chart, ImagingStudy: [], Procedure: [] };
  await fireHook('patient-view', 'sandbox');
  expect(sent[0].body.prefetch).toMatchObject({ imagingStudies: null, procedures: null });
});

it('leaves out the key of what it could not read, and fires the hook all the same', async () => {
  chart = { ...chart, Procedure: undefined };
  expect((await fireHook('patient-view', 'sandbox')).cards).toHaveLength(1);
  expect(Object.keys(sent[0].body.prefetch!)).toEqual(['riskAssessments', 'imagingStudies']);
});

it('sends no empty element where it could read nothing at all', async () => {
  chart = {};
  expect(await fireHook('patient-view', 'sandbox')).toEqual({ cards: [], silent: 1 });
  expect(sent[0].body).not.toHaveProperty('prefetch');
});

it('reports an overridden card by its uuid, with the time in UTC and the reason', async () => {
  const [card] = (await fireHook('patient-view', 'sandbox')).cards;
  await reportOverride(card, card.overrideReasons![0]);
  expect(sent[1].path).toBe('/cds-services/hemocast-patient/feedback');
  const [entry] = (sent[1].body as { feedback?: Record<string, unknown>[] }).feedback!;
  expect(entry).toMatchObject({
    card: card.uuid,
    outcome: 'overridden',
    overrideReason: { reason: card.overrideReasons![0] },
  });
  expect(entry.outcomeTimestamp).toMatch(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z$/);
});
