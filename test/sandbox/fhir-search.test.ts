import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Bundle, Resource } from '@medplum/fhirtypes';
import { compareRanges, toTimeRange } from '../../api/sandbox/fhir/search-dates.ts';
import { diagnostics, startFhir, type FhirClient } from './support/fhir-client.ts';

const uid = 'urn:oid:2.25.42';
const procedure = { code: '439541007', system: 'http://snomed.info/sct', display: 'Thrombectomy' };
const chart = [
  {
    resourceType: 'Patient',
    id: 'ana',
    identifier: [{ system: 'urn:mrn', value: 'A-1' }],
    name: [{ family: 'Rivéra-Sim', given: ['Ana', 'Lucía'] }],
    gender: 'female',
    birthDate: '1950-03-02',
  },
  {
    resourceType: 'Patient',
    id: 'omar',
    identifier: [{ system: 'urn:mrn', value: 'a-1' }],
    name: [{ family: 'Haddad' }],
  },
  {
    resourceType: 'Procedure',
    id: 'p1',
    status: 'completed',
    subject: { reference: 'Patient/ana' },
    code: { coding: [procedure] },
    performedPeriod: { start: '2026-03-02T08:12:00+01:00', end: '2026-03-02T08:51:00+01:00' },
  },
  { resourceType: 'Procedure', id: 'p2', status: 'preparation', subject: { reference: 'Patient/ana' } },
  {
    resourceType: 'ImagingStudy',
    id: 's1',
    status: 'available',
    identifier: [{ system: 'urn:dicom:uid', value: uid }],
    subject: { reference: 'Patient/ana' },
    started: '2026-03-02T09:20:00+01:00',
  },
  ...['2026-03-02T09:00:00Z', '2026-03-03T09:00:00Z', '2026-03-01T09:00:00Z'].map((occurrenceDateTime, index) => ({
    resourceType: 'RiskAssessment',
    id: `r${index + 1}`,
    status: index === 0 ? 'preliminary' : 'final',
    subject: { reference: 'Patient/ana' },
    basis: [{ reference: 'ImagingStudy/s1' }],
    occurrenceDateTime,
    prediction: [{ probabilityDecimal: 20 + 0.5 * index }],
  })),
  {
    resourceType: 'Observation',
    id: 'o1',
    status: 'final',
    code: { text: 'Hyperdense volume' },
    subject: { reference: 'Patient/ana' },
    valueQuantity: { value: 7.4, system: 'http://unitsofmeasure.org', code: 'mL', unit: 'mL' },
  },
];

let fhir: FhirClient;
beforeAll(async () => {
  fhir = await startFhir();
  for (const resource of chart) {
    const { status, body } = await fhir.put(resource as Resource);
    if (status !== 201) throw new Error(diagnostics(body));
  }
});
afterAll(() => fhir.close());

const ids = (bundle: Bundle): (string | undefined)[] => (bundle.entry ?? []).map(({ resource }) => resource?.id);

describe('Searching a chart', () => {
  it.each([
    ['Procedure?patient=Patient/ana&status=completed', ['p1']],
    ['Procedure?patient=ana&code=http://snomed.info/sct|439541007', ['p1']],
    ['Procedure?subject:Patient=ana', ['p1', 'p2']],
    ['Procedure?subject=Patient/omar', []],
    ['Procedure?code:text=thromb', ['p1']],
    ['Procedure?code:missing=true', ['p2']],
    ['Procedure?status:not=completed', ['p2']],
    ['Procedure?status=completed,preparation', ['p1', 'p2']],
    ['Procedure?date=2026-03-02', ['p1']],
    ['Procedure?date=lt2026-03-02T07:12:00Z', []],
    ['Procedure?date=gt2026-03-02T07:50:00Z', ['p1']],
    [`ImagingStudy?identifier=urn:dicom:uid|${uid}`, ['s1']],
    [`ImagingStudy?identifier=${uid}`, ['s1']],
    [`ImagingStudy?identifier=other|${uid}`, []],
    ['ImagingStudy?patient=Patient/ana&started=ge2026-03-02', ['s1']],
    ['ImagingStudy?_lastUpdated=gt2000-01-01', ['s1']],
    ['ImagingStudy?_lastUpdated=lt2000-01-01', []],
    ['RiskAssessment?subject=Patient/ana&_sort=-date', ['r2', 'r1', 'r3']],
    ['RiskAssessment?subject=Patient/ana&_sort=date', ['r3', 'r1', 'r2']],
    ['RiskAssessment?probability=20.5', ['r2']],
    ['RiskAssessment?probability=gt20.4', ['r2', 'r3']],
    ['RiskAssessment?_id=r1,r3', ['r1', 'r3']],
    ['Observation?subject=Patient/ana&value-quantity=7.4|http://unitsofmeasure.org|mL', ['o1']],
    ['Observation?value-quantity=lt7.4', []],
    ['Patient?name=rivera', ['ana']],
    ['Patient?name=luc', ['ana']],
    ['Patient?family:exact=rivera-sim', []],
    ['Patient?family:contains=SIM', ['ana']],
    ['Patient?identifier=urn:mrn|A-1', ['ana']],
    ['Patient?birthdate=1950', ['ana']],
    ['Patient?birthdate=lt1950-03', []],
    ['Patient?gender=female&name=ana', ['ana']],
    ['Patient?identifier=', []],
  ])('%s finds %j', async (query, expected) => {
    const bundle = await fhir.search(query);
    expect([ids(bundle), bundle.total]).toEqual([expected, expected.length]);
  });

  it('searches by POST as well', async () => {
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    const { body } = await fhir.call<Bundle>('POST', '/Patient/_search', 'name=rivera', form);
    expect(ids(body)).toEqual(['ana']);
  });

  it('includes what a result refers to', async () => {
    const bundle = await fhir.search('RiskAssessment?_id=r1&_include=RiskAssessment:subject');
    expect(bundle.entry?.map(({ resource, search }) => [resource?.id, search?.mode])).toEqual([
      ['r1', 'match'],
      ['ana', 'include'],
    ]);
    expect(bundle.total).toBe(1);
  });

  it('gives addresses that the caller can follow', async () => {
    const bundle = await fhir.search('Patient?_id=ana');
    expect(bundle.entry?.[0].fullUrl).toBe(`${fhir.base}/Patient/ana`);
    expect((await fetch(bundle.link?.[0].url ?? '')).status).toBe(200);
  });

  it('pages through everything once by next links', async () => {
    const seen: (string | undefined)[] = [];
    let url: string | undefined = `${fhir.base}/RiskAssessment?subject=Patient/ana&_sort=-date&_count=2`;
    while (url !== undefined) {
      const page = (await (await fetch(url)).json()) as Bundle;
      expect(page.total).toBe(3);
      seen.push(...ids(page));
      url = page.link?.find(({ relation }) => relation === 'next')?.url;
    }
    expect(seen).toEqual(['r2', 'r1', 'r3']);
  });

  it('counts without listing', async () => {
    const bundle = await fhir.search('RiskAssessment?_summary=count');
    expect([bundle.total, bundle.entry]).toEqual([3, undefined]);
  });

  it.each([
    'Patient?favourite=blue',
    'Patient?__proto__=x',
    'Patient?constructor=x',
    'Patient?name:soundex=x',
    'Patient?birthdate=yesterday',
    'Patient?_sort=favourite',
    'Patient?_count=many',
    'Patient?_elements=name',
    'RiskAssessment?subject.name=x',
    'RiskAssessment?probability=high',
    'Patient?_has:Observation:patient:code=x',
  ])('refuses %s rather than ignoring a part of it', async (query) => {
    expect((await fhir.call('GET', `/${query}`)).status).toBe(400);
  });
});

describe('Dates in searches', () => {
  it.each([
    ['2026-11', '2026-11-01T00:00:00.000Z', '2026-12-01T00:00:00.000Z'],
    ['2026-12-31', '2026-12-31T00:00:00.000Z', '2027-01-01T00:00:00.000Z'],
    ['2026-11-12T14:32:05+01:00', '2026-11-12T13:32:05.000Z', '2026-11-12T13:32:06.000Z'],
    ['2026-11-12T14:32', '2026-11-12T14:32:00.000Z', '2026-11-12T14:33:00.000Z'],
    ['2026-11-12T14:32:05.25-00:30', '2026-11-12T15:02:05.250Z', '2026-11-12T15:02:05.251Z'],
  ])('%s is the time from %s to %s', (text, start, end) => {
    expect(toTimeRange(text)).toEqual({ start: Date.parse(start), end: Date.parse(end) });
  });

  it.each([
    ['2026-03-02T09:00:00Z', 'eq', '2026-03-02', true],
    ['2026-03-02', 'eq', '2026-03-02T09:00:00Z', false],
    ['2026-03-02', 'ap', '2026-03-02T09:00:00Z', true],
    ['2026-03-02T09:00:00Z', 'gt', '2026-03-02T09:00:00Z', false],
    ['2026-03-02T09:00:00Z', 'ge', '2026-03-02T09:00:00Z', true],
    ['2026-03-02T09:00:00Z', 'sa', '2026-03-01', true],
    ['2026-03-02T09:00:00Z', 'eb', '2026-03-03', true],
    ['2026-03-02T09:00:00Z', 'ne', '2026-03-02', false],
  ])('%s %s %s is %p', (element, prefix, wanted, expected) => {
    const range = (text: string): { start: number; end: number } => toTimeRange(text) as { start: number; end: number };
    expect(compareRanges(range(element), prefix, range(wanted))).toBe(expected);
  });
});
