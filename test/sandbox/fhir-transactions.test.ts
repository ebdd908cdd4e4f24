import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Bundle, BundleEntry, OperationOutcome, Patient, Resource, RiskAssessment } from '@medplum/fhirtypes';
import { startFhir, type FhirClient } from './support/fhir-client.ts';

let fhir: FhirClient;
beforeAll(async () => {
  fhir = await startFhir();
});
afterAll(() => fhir.close());

const patientUrn = 'urn:uuid:11111111-2222-3333-4444-555555555555';

const put = (resource: Resource): BundleEntry => ({
  resource,
  request: { method: 'PUT', url: `${resource.resourceType}/${resource.id}` },
});
const patient = (id: string, gender = 'male'): Patient => ({ resourceType: 'Patient', id, gender }) as Patient;
const send = (type: Bundle['type'], entry: BundleEntry[]): ReturnType<typeof fhir.call<Bundle>> =>
  fhir.call<Bundle>('POST', '', { resourceType: 'Bundle', type, entry });

describe('A transaction', () => {
  it('resolves references between its entries and says where each one went', async () => {
    const { status, body } = await send('transaction', [
      {
        resource: { resourceType: 'RiskAssessment', id: 'risk', status: 'final', subject: { reference: patientUrn } },
        request: { method: 'PUT', url: 'RiskAssessment/risk' },
      },
      { fullUrl: patientUrn, resource: { resourceType: 'Patient' }, request: { method: 'POST', url: 'Patient' } },
    ]);
    expect([status, body.type]).toEqual([200, 'transaction-response']);
    const [risk, created] = body.entry ?? [];
    expect([risk.response?.status, created.response?.status]).toEqual(['201', '201']);
    expect(risk.response?.etag).toBe('W/"1"');
    const stored = await fhir.call<RiskAssessment>('GET', '/RiskAssessment/risk');
    expect(`${stored.body.subject?.reference}/_history/1`).toBe(created.response?.location);
  });

  it.each<[string, BundleEntry]>([
    ['a code that is not allowed', put(patient('bad', 'mail'))],
    [
      'a stale version',
      { ...put(patient('first')), request: { method: 'PUT', url: 'Patient/first', ifMatch: 'W/"9"' } },
    ],
    [
      'a type that is not served',
      { resource: { resourceType: 'Claim' } as Resource, request: { method: 'POST', url: 'Claim' } },
    ],
    ['a resource that is missing', { request: { method: 'PUT', url: 'Patient/nothing' } }],
    ['a read of what does not exist', { request: { method: 'GET', url: 'Patient/nobody' } }],
  ])('leaves nothing behind, in memory or on disk, when one entry has %s', async (_name, broken) => {
    await fhir.put(patient('first'));
    const before = await readFile(join(fhir.folder, 'journal.ndjson'), 'utf8');
    const answer = await send('transaction', [put(patient('rolled-back')), put(patient('first', 'female')), broken]);
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(500);
    expect((answer.body as unknown as OperationOutcome).resourceType).toBe('OperationOutcome');
    expect((await fhir.call('GET', '/Patient/rolled-back')).status).toBe(404);
    expect((await fhir.call<Patient>('GET', '/Patient/first')).body.gender).toBe('male');
    expect(await readFile(join(fhir.folder, 'journal.ndjson'), 'utf8')).toBe(before);
  });

  it('creates conditionally only once, also when twenty arrive together', async () => {
    const entry = (): BundleEntry[] => [
      {
        fullUrl: patientUrn,
        resource: { resourceType: 'Patient', identifier: [{ system: 'urn:test', value: 'tx-race' }] },
        request: { method: 'POST', url: 'Patient', ifNoneExist: 'identifier=urn:test|tx-race' },
      },
      {
        resource: { resourceType: 'RiskAssessment', status: 'final', subject: { reference: patientUrn } },
        request: { method: 'POST', url: 'RiskAssessment' },
      },
    ];
    const answers = await Promise.all(Array.from({ length: 20 }, () => send('transaction', entry())));
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200));
    const found = await fhir.search('Patient?identifier=urn:test|tx-race');
    expect(found.total).toBe(1);
    const subjects = answers.map(({ body }) => (body.entry?.[1].resource as RiskAssessment).subject?.reference);
    expect(new Set(subjects)).toEqual(new Set([`Patient/${found.entry?.[0].resource?.id}`]));
  });

  it('refuses the same resource twice', async () => {
    expect((await send('transaction', [put(patient('twice')), put(patient('twice', 'female'))])).status).toBe(400);
    expect((await fhir.call('GET', '/Patient/twice')).status).toBe(404);
  });

  it('shows readers either all of it or none', async () => {
    const ids = Array.from({ length: 10 }, (_, index) => `seen-${index}`);
    const pending = send(
      'transaction',
      ids.map((id) => put(patient(id))),
    );
    const counts = new Set<number | undefined>();
    let done = false;
    void pending.then(() => (done = true));
    while (!done) counts.add((await fhir.search(`Patient?_id=${ids.join(',')}&_summary=count`)).total);
    counts.add((await fhir.search(`Patient?_id=${ids.join(',')}&_summary=count`)).total);
    expect([...counts].filter((count) => count !== 0)).toEqual([10]);
  });
});

describe('A batch', () => {
  it('does what it can and reports each entry by itself', async () => {
    const { status, body } = await send('batch', [
      put(patient('batch-good')),
      put(patient('batch-bad', 'mail')),
      { request: { method: 'GET', url: 'Patient?_id=batch-good' } },
    ]);
    expect([status, body.type]).toEqual([200, 'batch-response']);
    expect(body.entry?.map(({ response }) => response?.status)).toEqual(['201', '422', '200']);
    expect((body.entry?.[2].resource as Bundle).total).toBe(1);
    expect((await fhir.call('GET', '/Patient/batch-good')).status).toBe(200);
  });

  it('refuses Bundles that ask for nothing', async () => {
    expect((await send('collection', [put(patient('x'))])).status).toBe(400);
    expect((await send('transaction', [])).status).toBe(400);
    expect((await fhir.call('POST', '', patient('x'))).status).toBe(400);
  });
});
