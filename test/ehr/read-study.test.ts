import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Endpoint, ImagingStudy, Patient, Procedure } from '@medplum/fhirtypes';
import type { StudyRecord } from '../../api/assessment/ports.ts';
import { HemocastError } from '../../api/errors.ts';
import { disfigured } from '../support/disfigured.ts';
import { openBench } from './support/ehr.ts';
import type { EhrBench } from './support/ehr.ts';

const REFERENCE = { resourceType: 'ImagingStudy', id: 'ct' } as const;
const SNOMED = { system: 'http://snomed.info/sct', code: '439541007' };

const STUDY: ImagingStudy & { id: string } = {
  resourceType: 'ImagingStudy',
  id: 'ct',
  status: 'available',
  identifier: [{ system: 'urn:dicom:uid', value: 'urn:oid:1.2.840.99.1' }],
  subject: { reference: 'Patient/anna' },
  encounter: { reference: 'Encounter/admission' },
  started: '2026-03-01T14:30:00Z',
  numberOfInstances: 28,
};

const PATIENT: Patient & { id: string } = {
  resourceType: 'Patient',
  id: 'anna',
  identifier: [{ system: 'urn:oid:1.2.3', value: 'MRN-1' }, { value: 'no-system' }, { system: 'empty' }],
  birthDate: '1950-05-05',
  gender: 'female',
};

function endpoint(id: string, changes: Partial<Endpoint> = {}): Endpoint & { id: string } {
  return {
    resourceType: 'Endpoint',
    id,
    status: 'active',
    connectionType: { system: 'http://terminology.hl7.org/CodeSystem/endpoint-connection-type', code: 'dicom-wado-rs' },
    payloadType: [{ text: 'DICOM' }],
    address: `https://pacs.example/${id}`,
    ...changes,
  };
}

function procedure(id: string, changes: Partial<Procedure> = {}): Procedure & { id: string } {
  return {
    resourceType: 'Procedure',
    id,
    status: 'completed',
    code: { coding: [SNOMED] },
    subject: { reference: 'Patient/anna' },
    ...changes,
  };
}

let bench: EhrBench;
beforeEach(async () => {
  bench = await openBench();
  bench.server.put(STUDY, PATIENT);
});
afterEach(() => bench.close());

const read = (): Promise<StudyRecord> => bench.ehr.readStudy(REFERENCE, bench.signal);

describe('what the chart says of a study', () => {
  it('is read whole: UID, patient, encounter, start and number of instances', async () => {
    expect(await read()).toEqual({
      reference: REFERENCE,
      studyInstanceUid: '1.2.840.99.1',
      patientReference: 'Patient/anna',
      encounterReference: 'Encounter/admission',
      status: 'available',
      startedAt: '2026-03-01T14:30:00Z',
      numberOfInstances: 28,
      dicomwebAddresses: [],
      patient: {
        identifiers: [{ system: 'urn:oid:1.2.3', value: 'MRN-1' }, { value: 'no-system' }],
        birthDate: '1950-05-05',
        sex: 'female',
      },
    });
  });

  it('leaves what is not stated undefined, and never fills it in', async () => {
    bench.server.put(
      { ...STUDY, encounter: undefined, started: undefined, numberOfInstances: undefined },
      { resourceType: 'Patient', id: 'anna' },
    );
    const study = await read();
    expect(Object.keys(study)).not.toEqual(expect.arrayContaining(['startedAt']));
    expect(study).not.toHaveProperty('numberOfInstances');
    expect(study).not.toHaveProperty('encounterReference');
    expect(study.patient).toEqual({ identifiers: [] });
  });

  it.each(['entered-in-error', 'cancelled'] as const)('is refused when the study is %s', async (status) => {
    bench.server.put({ ...STUDY, status });
    await expect(read()).rejects.toMatchObject({ code: 'study-withdrawn', status: 400 });
  });

  it('is not found when there is no such study', async () => {
    bench.server.resources.delete('ImagingStudy/ct');
    await expect(read()).rejects.toMatchObject({ code: 'study-not-found', status: 404 });
  });

  it.each([
    ['no UID', [], 'study-uid-missing'],
    ['an accession number only', [{ system: 'urn:other', value: '1.2.3' }], 'study-uid-missing'],
    ['a UID that is none', [{ system: 'urn:dicom:uid', value: 'urn:oid:../../admin' }], 'study-uid-missing'],
    [
      'two UIDs',
      [
        { system: 'urn:dicom:uid', value: 'urn:oid:1.2' },
        { system: 'urn:dicom:uid', value: 'urn:oid:1.3' },
      ],
      'study-uid-ambiguous',
    ],
  ])('is refused when the study carries %s', async (_, identifier, code) => {
    bench.server.put({ ...STUDY, identifier });
    await expect(read()).rejects.toMatchObject({ code, status: 400 });
  });

  it.each([
    ['a group', 'Group/g'],
    ['a patient of another server', 'https://elsewhere.example/fhir/Patient/anna'],
    ['a contained patient', '#anna'],
    ['nobody', undefined],
  ])('is refused when its subject is %s, because results could not be filed', async (_, reference) => {
    bench.server.put({ ...STUDY, subject: { reference } });
    await expect(read()).rejects.toMatchObject({ code: 'study-subject-unusable' });
  });

  it('follows a merged patient to the surviving record and keeps the identifiers of both', async () => {
    bench.server.put(
      { ...PATIENT, active: false, link: [{ type: 'replaced-by', other: { reference: 'Patient/anna-2' } }] },
      { resourceType: 'Patient', id: 'anna-2', identifier: [{ value: 'MRN-2' }], birthDate: '1950-05-06' },
      procedure('old-record', { performedDateTime: '2026-03-01T12:00:00Z' }),
    );
    const study = await read();
    expect(study.patientReference).toBe('Patient/anna-2');
    expect(study.mergedPatientReferences).toEqual(['Patient/anna']);
    expect(study.patient.identifiers.map(({ value }) => value)).toEqual(['MRN-1', 'no-system', 'MRN-2']);
    expect(study.patient.birthDate).toBe('1950-05-06');
    expect(study.thrombectomy?.reference).toBe('Procedure/old-record');
  });

  it('finds the surviving record also where only that one says so', async () => {
    const replaces = [{ type: 'replaces' as const, other: { reference: 'Patient/anna' } }];
    bench.server.put({ ...PATIENT, active: false }, { resourceType: 'Patient', id: 'anna-2', link: replaces });
    expect(await read()).toMatchObject({
      patientReference: 'Patient/anna-2',
      mergedPatientReferences: ['Patient/anna'],
    });
    bench.server.put({ resourceType: 'Patient', id: 'anna-3', link: replaces });
    await expect(read()).rejects.toMatchObject({ code: 'ehr-patient-links-ambiguous' });
  });

  it('leaves a patient who is only inactive where they are: they may have died, or the chart cannot be asked', async () => {
    bench.server.put(
      { ...PATIENT, active: false },
      { resourceType: 'Patient', id: 'kin', link: [{ type: 'seealso', other: { reference: 'Patient/anna' } }] },
    );
    expect((await read()).patientReference).toBe('Patient/anna');
    bench.server.fault = ({ query }) => (query.includes('link=') ? { status: 400 } : undefined);
    expect((await read()).patientReference).toBe('Patient/anna');
  });

  it('does not run in circles when patient records replace each other', async () => {
    bench.server.put(
      { ...PATIENT, link: [{ type: 'replaced-by', other: { reference: 'Patient/anna-2' } }] },
      {
        resourceType: 'Patient',
        id: 'anna-2',
        link: [{ type: 'replaced-by', other: { reference: 'Patient/anna' } }],
      },
    );
    await expect(read()).rejects.toMatchObject({ code: 'ehr-patient-links-endless' });
  });
});

describe('where the chart says the pixels are', () => {
  it('takes active DICOM WADO-RS endpoints of the study, its series and contained ones, each address once', async () => {
    bench.server.put(
      {
        ...STUDY,
        contained: [endpoint('inside')],
        endpoint: [{ reference: 'Endpoint/a' }, { reference: '#inside' }],
        series: [
          {
            uid: '1.2',
            modality: { code: 'CT' },
            endpoint: [{ reference: 'Endpoint/b' }, { reference: 'Endpoint/a' }],
          },
        ],
      },
      endpoint('a'),
      endpoint('b', { address: ' https://pacs.example/a ' }),
    );
    expect((await read()).dicomwebAddresses).toEqual(['https://pacs.example/a', 'https://pacs.example/inside']);
  });

  it.each([
    ['is off', { status: 'off' as const }],
    ['was entered in error', { status: 'entered-in-error' as const }],
    ['speaks another protocol', { connectionType: { code: 'hl7-fhir-rest' } }],
    ['has no address', { address: '' }],
  ])('leaves out an endpoint that %s', async (_, changes) => {
    bench.server.put({ ...STUDY, endpoint: [{ reference: 'Endpoint/a' }] }, endpoint('a', changes));
    expect((await read()).dicomwebAddresses).toEqual([]);
  });

  it('never asks another server for an endpoint, and goes on without one that does not exist', async () => {
    const references = [
      'http://127.0.0.1:1/fhir/Endpoint/x',
      'Endpoint/../../admin',
      '#none',
      'Endpoint/gone',
      'Patient/anna',
    ];
    bench.server.put({ ...STUDY, endpoint: references.map((reference) => ({ reference })) });
    expect((await read()).dicomwebAddresses).toEqual([]);
    const endpointReads = bench.server.requests.filter(({ path }) => path.startsWith('Endpoint'));
    expect(endpointReads.map(({ path }) => path)).toEqual(['Endpoint/gone']);
  });
});

describe('the thrombectomy a study belongs to', () => {
  it('is the completed one nearest before the study, and ends when its period ends', async () => {
    bench.server.put(
      procedure('earlier', { performedPeriod: { start: '2026-02-27T10:00:00Z', end: '2026-02-27T12:00:00Z' } }),
      procedure('nearest', { performedPeriod: { start: '2026-03-01T10:00:00Z', end: '2026-03-01T12:10:00Z' } }),
      procedure('later', { performedDateTime: '2026-03-01T18:00:00Z' }),
      procedure('planned', { status: 'preparation', performedDateTime: '2026-03-01T14:00:00Z' }),
    );
    expect((await read()).thrombectomy).toEqual({ reference: 'Procedure/nearest', endedAt: '2026-03-01T12:10:00Z' });
  });

  it.each([
    ['SNOMED CT 439541007', SNOMED],
    ['CPT 61645', { system: 'http://www.ama-assn.org/go/cpt', code: '61645' }],
    ['ICD-10-PCS 03CG3Z7', { system: 'http://www.cms.gov/Medicare/Coding/ICD10', code: '03CG3Z7' }],
    ['ICD-10-PCS 03CG3ZZ', { system: 'http://hl7.org/fhir/sid/icd-10-pcs', code: '03CG3ZZ' }],
    ['ICD-10-PCS 03CL3ZZ', { system: 'urn:oid:2.16.840.1.113883.6.4', code: '03CL3ZZ' }],
  ])('is known by %s', async (_, coding) => {
    bench.server.put(procedure('p', { code: { coding: [coding] }, performedDateTime: '2026-03-01T12:00:00Z' }));
    expect((await read()).thrombectomy).toEqual({ reference: 'Procedure/p', endedAt: '2026-03-01T12:00:00Z' });
  });

  it.each([
    [
      'another procedure',
      { code: { coding: [{ ...SNOMED, code: '80146002' }] }, performedDateTime: '2026-03-01T12:00:00Z' },
    ],
    [
      'the same number of another code system',
      { code: { coding: [{ code: '61645', system: 'urn:x' }] }, performedDateTime: '2026-03-01T12:00:00Z' },
    ],
    ['a procedure named in words only', { code: { text: 'thrombectomy' }, performedDateTime: '2026-03-01T12:00:00Z' }],
    ['one more than 72 h before', { performedDateTime: '2026-02-26T14:00:00Z' }],
    ['one without a date', {}],
  ])('is not %s', async (_, changes) => {
    bench.server.put(procedure('p', changes));
    expect(await read()).not.toHaveProperty('thrombectomy');
  });

  it.each([
    ['only the day', { performedDateTime: '2026-03-01' }],
    ['only the begin', { performedPeriod: { start: '2026-03-01T10:00:00Z' } }],
  ])('has no known end when the chart states %s', async (_, changes) => {
    bench.server.put(procedure('p', changes));
    expect((await read()).thrombectomy).toEqual({ reference: 'Procedure/p' });
  });

  it('is looked for on every page of the search', async () => {
    bench.server.pageSize = 2;
    for (let index = 0; index < 5; index += 1) bench.server.put(procedure(`other-${index}`, { code: { text: 'x' } }));
    bench.server.put(procedure('p', { performedDateTime: '2026-03-01T12:00:00Z' }));
    expect((await read()).thrombectomy?.reference).toBe('Procedure/p');
    expect(bench.server.requests.filter(({ path }) => path === 'Procedure')).toHaveLength(3);
  });

  it.each([
    ['another origin', 'http://127.0.0.1:1/fhir/Procedure?_offset=2'],
    ['another path of the same origin', '/admin/export?all=1'],
    ['a path that climbs out', 'Procedure/../../admin'],
    ['a path that climbs out in disguise', 'Procedure/%2e%2e/%2e%2e/admin'],
    ['a path that a lenient server would decode', 'Procedure/..%2f..%2fadmin'],
  ])('is not looked for on a next page at %s', async (_, next) => {
    bench.server.pageSize = 1;
    bench.server.put(procedure('a'), procedure('b'));
    bench.server.rewriteNext = () => (next.startsWith('/') ? new URL(next, bench.server.baseUrl).href : next);
    await expect(read()).rejects.toMatchObject({ code: 'ehr-link-outside-base' });
  });

  it('is not looked for without end', async () => {
    bench.server.pageSize = 1;
    bench.server.put(procedure('a'), procedure('b'));
    bench.server.rewriteNext = (url) => url.replace(/_offset=\d+/, '_offset=0');
    await expect(read()).rejects.toMatchObject({ code: 'ehr-paging-endless' });
  });
});

describe('A chart with any one field of another kind', () => {
  const study = {
    ...STUDY,
    endpoint: [{ reference: 'Endpoint/e' }],
    series: [{ uid: '1.2', modality: { code: 'CT' }, endpoint: [{ reference: 'Endpoint/e' }] }],
    contained: [endpoint('x')],
  };
  const link = [{ type: 'seealso', other: { reference: 'Patient/x' } }] as Patient['link'];
  const patient = { ...PATIENT, link };
  const period = { start: '2026-03-01T11:00:00Z', end: '2026-03-01T12:00:00Z' };
  const chart = [study, patient, endpoint('e'), procedure('p', { performedPeriod: period })];

  it('is read, or refused by an error of ours', async () => {
    const faults: string[] = [];
    for (const [at, whole] of chart.entries()) {
      for (const [field, changed] of disfigured(whole)) {
        if (field === 'id' || field === 'resourceType') continue; // another resource
        bench.server.put(...chart.with(at, changed as typeof study));
        await read().catch((error: unknown) => {
          if (!(error instanceof HemocastError)) faults.push(`${whole.resourceType}.${field}: ${error}`);
        });
      }
    }
    expect(faults).toEqual([]);
  }, 60_000);

  it('is read where what is contained is none of what is read of it', async () => {
    const practitioner = { resourceType: 'Practitioner', id: 'p', address: [{ city: 'Lyon' }] };
    bench.server.put({ ...study, contained: [practitioner], endpoint: [] } as never);
    expect((await read()).studyInstanceUid).toBe('1.2.840.99.1');
  });

  it('is said to be withdrawn where it is, whatever else is wrong with it', async () => {
    for (const [field, changed] of disfigured({ ...study, status: 'entered-in-error' })) {
      if (['id', 'resourceType', 'status'].includes(field)) continue;
      bench.server.put(changed as typeof study);
      await expect(read()).rejects.toMatchObject({ code: 'study-withdrawn' });
    }
  });

  it('is refused by the name of the element, not by its value', async () => {
    bench.server.put({ ...study, series: { secret: 'of this patient' } } as never);
    await expect(read()).rejects.toMatchObject({
      code: 'ehr-resource-malformed',
      message: 'ImagingStudy/ct in the EHR is not FHIR R4 (/series must be array): correct it there.',
    });
  });
});
