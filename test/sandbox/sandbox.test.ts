import { readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Bundle, Encounter, Endpoint, ImagingStudy, Patient, Procedure, Resource } from '@medplum/fhirtypes';
import { createSandbox } from '../../api/sandbox/sandbox.ts';
import { ctSeries, type Elements } from '../support/part10.ts';
import { stow } from '../support/stow.ts';
import { callFhir } from './support/fhir-client.ts';
import {
  removeFolders,
  startSandbox,
  temporaryFolder,
  testPatient,
  writePatients,
  type RunningSandbox,
} from './support/running-sandbox.ts';

let running: RunningSandbox;
let dataDir: string;
let patientsDir: string;
beforeAll(async () => {
  dataDir = await temporaryFolder();
  patientsDir = await writePatients();
  running = await startSandbox(dataDir, patientsDir);
});
afterAll(async () => {
  await running.close();
  await removeFolders(dataDir, patientsDir);
});

const journal = (): Promise<string> => readFile(join(dataDir, 'sandbox/fhir/journal.ndjson'), 'utf8');
const read = async <T extends Resource>(path: string): Promise<T> => (await running.get<T>(path)).body;
const find = async (query: string): Promise<Bundle> => read<Bundle>(query);
const studyOf = async (uid: string): Promise<ImagingStudy> => {
  const { total, entry } = await find(`ImagingStudy?identifier=urn:dicom:uid|urn:oid:${uid}`);
  expect(total).toBe(1);
  return entry?.[0].resource as ImagingStudy;
};

describe('A simulated patient', () => {
  it('has a chart: who, why, and a completed thrombectomy with its times', async () => {
    const patient = await read<Patient>('Patient/test-ana');
    expect(patient).toMatchObject({ gender: 'female', birthDate: '1950-01-01', name: [{ family: 'Test-Sim' }] });
    expect(patient.identifier).toMatchObject([
      { system: 'https://hemocast.example/fhir/patient-id/hemocast-sandbox', value: 'SIM-1,2' },
    ]);
    expect(patient.meta?.security?.[0].code).toBe('HTEST');
    const procedures = await find('Procedure?patient=Patient/test-ana&status=completed');
    expect(procedures.entry?.map(({ resource }) => resource as Procedure)).toMatchObject([
      {
        id: 'test-ana-thrombectomy',
        code: { coding: [{ system: 'http://snomed.info/sct', code: '439541007' }] },
        performedPeriod: { start: '2026-03-01T09:05:00+01:00', end: '2026-03-01T09:40:00+01:00' },
      },
    ]);
    const encounter = await read<Encounter>('Encounter/test-ana-admission');
    expect(encounter.class.code).toBe('IMP');
    expect((await find('Condition?subject=Patient/test-ana')).total).toBe(1);
  });

  it('has the CT as an ImagingStudy that says where its images are', async () => {
    const study = await read<ImagingStudy>('ImagingStudy/test-ana-ct');
    expect(study).toMatchObject({
      status: 'available',
      identifier: [{ system: 'urn:dicom:uid', value: 'urn:oid:2.25.4711' }, { type: { coding: [{ code: 'ACSN' }] } }],
      subject: { reference: 'Patient/test-ana' },
      encounter: { reference: 'Encounter/test-ana-admission' },
      started: '2026-03-01T10:15:00+01:00',
      endpoint: [{ reference: 'Endpoint/sandbox-pacs' }],
      modality: [{ code: 'CT' }],
      numberOfSeries: 1,
      numberOfInstances: 3,
      procedureCode: [{ coding: [{ system: 'http://loinc.org', code: '30799-1' }] }],
      description: 'CT HEAD WITHOUT CONTRAST',
      series: [{ uid: '2.25.4711.1', number: 2, numberOfInstances: 3, bodySite: { code: '69536005' } }],
    });
    expect(study.series?.[0].instance?.map(({ uid }) => uid)).toEqual([
      '2.25.4711.1.1',
      '2.25.4711.1.2',
      '2.25.4711.1.3',
    ]);
    const endpoint = await read<Endpoint>('Endpoint/sandbox-pacs');
    expect(endpoint).toMatchObject({
      status: 'active',
      connectionType: { code: 'dicom-wado-rs' },
      address: running.dicomweb,
    });
    const metadata = await fetch(`${endpoint.address}/studies/2.25.4711/metadata`);
    expect(((await metadata.json()) as unknown[]).length).toBe(3);
  });

  it('is written once, however often the sandbox starts', async () => {
    const before = await journal();
    await running.sandbox.seed();
    expect(await journal()).toBe(before);
  });

  it('keeps what a clinician changed, and a study someone withdrew stays withdrawn', async () => {
    const patient = await read<Patient>('Patient/test-ana');
    await callFhir(`${running.fhir}/Patient/test-ana`, 'PUT', { ...patient, active: false });
    const study = await read<ImagingStudy>('ImagingStudy/test-ana-ct');
    await callFhir(`${running.fhir}/ImagingStudy/test-ana-ct`, 'PUT', { ...study, status: 'entered-in-error' });
    await running.sandbox.seed();
    expect((await read<Patient>('Patient/test-ana')).active).toBe(false);
    expect((await read<ImagingStudy>('ImagingStudy/test-ana-ct')).status).toBe('entered-in-error');
    await callFhir(`${running.fhir}/ImagingStudy/test-ana-ct`, 'PUT', study);
  });

  it('moves with the server: after a restart the Endpoint has the new address', async () => {
    await running.close();
    running = await startSandbox(dataDir, patientsDir);
    expect((await read<Endpoint>('Endpoint/sandbox-pacs')).address).toBe(running.dicomweb);
  });

  it.each([
    ['thrombectomyEnd', '2026-03-01 09:40', /patient 1: "thrombectomyEnd" is not an ISO 8601 time with its zone/],
    ['slug', '../evil', /"slug" is not/],
    ['patientId', undefined, /"patientId" is missing/],
    ['sex', 'F', /"sex" is not female, male or other/],
  ])('with an unusable %s stops the start and is named', async (field, value, message) => {
    await writeFile(join(patientsDir, 'patients.json'), JSON.stringify([{ ...testPatient, [field]: value }]));
    await expect(createSandbox({ dataDir, patientsDir, baseUrl: () => '' })).rejects.toThrow(message);
    await writeFile(join(patientsDir, 'patients.json'), JSON.stringify([testPatient]));
  });
});

describe('A folder of patients that lacks images', () => {
  it('stops the seeding and is named', async () => {
    const [folder, data] = [
      await writePatients({ slug: 'test-short', numberOfInstances: 30 }),
      await temporaryFolder(),
    ];
    const sandbox = await createSandbox({ dataDir: data, patientsDir: folder, baseUrl: () => 'http://127.0.0.1:1' });
    await expect(sandbox.seed()).rejects.toThrow(/test-short holds 3 of 30 images/);
    await sandbox.close();
    await removeFolders(folder, data);
  });
});

describe('A study that is stored by STOW-RS', () => {
  const uid = '2.25.900';
  const send = async (study: string, count: number, overrides: Elements = {}): Promise<void> => {
    expect((await stow(running.dicomweb, ctSeries(study, count, overrides))).status).toBe(200);
  };

  it('appears in the chart with a patient of its own', async () => {
    await send(uid, 2);
    const study = await studyOf(uid);
    expect(study.id).toMatch(/^study-[0-9a-f]{16}$/);
    expect(study).toMatchObject({ numberOfInstances: 2, endpoint: [{ reference: 'Endpoint/sandbox-pacs' }] });
    // No time zone in the images: the date alone.
    expect(study.started).toBe('2026-03-01');
    const patient = await read<Patient>(study.subject.reference ?? '');
    expect(patient).toMatchObject({
      identifier: [{ system: 'https://hemocast.example/fhir/patient-id/TEST', value: 'P-0001' }],
      name: [{ family: 'Müller', given: ['Anna'] }],
      gender: 'female',
      birthDate: '1950-01-01',
    });
  });

  it('is one study however often it is sent, and grows when more of it comes', async () => {
    const before = await journal();
    await send(uid, 2);
    expect(await journal()).toBe(before);
    await send(uid, 4);
    const study = await studyOf(uid);
    expect([study.numberOfInstances, study.series?.[0].numberOfInstances, study.meta?.versionId]).toEqual([4, 4, '2']);
  });

  it('joins the patient whose id and issuer it carries, and completes what the chart lacks', async () => {
    await callFhir(`${running.fhir}/Patient/known`, 'PUT', {
      resourceType: 'Patient',
      id: 'known',
      identifier: [{ system: 'https://hemocast.example/fhir/patient-id/TEST', value: 'P-7' }],
      gender: 'male',
    });
    await send('2.25.901', 1, { '00100020': ['LO', 'P-7'] });
    expect((await studyOf('2.25.901')).subject.reference).toBe('Patient/known');
    // The chart says male, the images female: not ours to decide. The birth date was not known before.
    expect(await read<Patient>('Patient/known')).toMatchObject({ gender: 'male', birthDate: '1950-01-01' });
  });

  it('does not join a patient of another issuer with the same id', async () => {
    await send('2.25.902', 1, { '00100020': ['LO', 'P-7'], '00100021': ['LO', 'ELSEWHERE'] });
    expect((await studyOf('2.25.902')).subject.reference).not.toBe('Patient/known');
  });

  it('without a patient id belongs to a patient of that study alone', async () => {
    const anonymous: Elements = {
      '00100020': undefined,
      '00100010': undefined,
      '00100030': undefined,
      '00100040': undefined,
    };
    await send('2.25.903', 1, anonymous);
    await send('2.25.904', 1, anonymous);
    const [first, second] = [await studyOf('2.25.903'), await studyOf('2.25.904')];
    expect(first.subject.reference).not.toBe(second.subject.reference);
    const patient = await read<Patient>(first.subject.reference ?? '');
    expect([patient.identifier, patient.name, patient.gender]).toEqual([undefined, undefined, undefined]);
  });

  it('does not count what a model made', async () => {
    const before = await journal();
    const synthetic: Elements = {
      '0008001C': ['CS', 'YES'],
      '00080018': ['UI', `${uid}.9.1`],
      '0020000E': ['UI', `${uid}.9`],
      '0008103E': ['LO', 'AI-GENERATED NOT ACQUIRED RESEARCH'],
    };
    await send(uid, 1, synthetic);
    expect((await studyOf(uid)).numberOfInstances).toBe(4);
    expect(await journal()).toBe(before);
  });

  it.each([
    ['head CT that says "without contrast"', { '00081030': ['LO', 'CT Brain w/o contrast'] }, true],
    ['head CT that says nothing', { '0008103E': undefined, '00180015': ['CS', 'HEAD'] }, false],
    ['head CT with an agent', { '00081030': ['LO', 'CT head without contrast'], '00180010': ['LO', 'IOMERON'] }, false],
    ['abdomen', { '00081030': ['LO', 'CT abdomen without contrast'], '0008103E': undefined }, false],
    ['MR of the head', { '00080060': ['CS', 'MR'], '00081030': ['LO', 'head without contrast'] }, false],
  ] as const)('%s: coded as LOINC 30799-1 is %3$p', async (name, overrides, expected) => {
    const study = `2.25.95${name.length}`;
    await send(study, 1, overrides as unknown as Elements);
    expect((await studyOf(study)).procedureCode?.[0].coding?.[0].code).toBe(expected ? '30799-1' : undefined);
  });

  it('is filed at the next start if a crash came between storing and filing', async () => {
    const study = await studyOf('2.25.904');
    const lines = (await journal())
      .trimEnd()
      .split('\n')
      .filter((line) => !line.includes(`"${study.id}"`));
    await running.close();
    await writeFile(join(dataDir, 'sandbox/fhir/journal.ndjson'), `${lines.join('\n')}\n`);
    running = await startSandbox(dataDir, patientsDir);
    expect((await studyOf('2.25.904')).id).toBe(study.id);
  });

  it('stays out of the chart after someone deleted it there, until it is sent again', async () => {
    const { id } = await studyOf('2.25.903');
    await callFhir(`${running.fhir}/ImagingStudy/${id}`, 'DELETE');
    await running.sandbox.seed();
    expect((await running.get(`ImagingStudy/${id}`)).status).toBe(410);
  });
});

describe('A study in another PACS', () => {
  it('is registered with the address of that PACS', async () => {
    const value = (vr: string, ...Value: unknown[]): object => ({ vr, Value });
    const instance = {
      '00080016': value('UI', '1.2.840.10008.5.1.4.1.1.2'),
      '00080018': value('UI', '1.2.3.4'),
      '00080060': value('CS', 'CT'),
      '00100010': value('PN', { Alphabetic: 'Doe^Jane' }),
      '00100020': value('LO', 'X1'),
      '0020000D': value('UI', '1.2.3'),
      '0020000E': value('UI', '1.2.3.1'),
    };
    const reference = await running.sandbox.registerStudy([instance], 'http://127.0.0.1:9/dicom-web/');
    expect(await running.sandbox.registerStudy([instance], 'http://127.0.0.1:9/dicom-web')).toBe(reference);
    const study = await read<ImagingStudy>(reference);
    const endpoint = await read<Endpoint>(study.endpoint?.[0].reference ?? '');
    expect([study.numberOfInstances, endpoint.address]).toEqual([1, 'http://127.0.0.1:9/dicom-web']);
  });

  it('cannot be registered without instances', async () => {
    await expect(running.sandbox.registerStudy([], 'http://127.0.0.1:9')).rejects.toThrow('without instances');
  });
});

describe('The doors of the sandbox', () => {
  const status = (path: string, headers: Record<string, string>): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const { port } = new URL(running.origin);
      const outgoing = request({ host: '127.0.0.1', port, path, headers }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      outgoing.on('error', reject).end();
    });

  it.each(['/sandbox', '/sandbox/fhir/Patient', '/sandbox/fhir/metadata', '/sandbox/dicomweb/studies'])(
    '%s opens without a token on this machine; a presented token is refused while nobody can have issued it',
    async (path) => {
      const host = new URL(running.origin).host;
      expect(await status(path, { host })).toBe(200);
      expect(await status(path, { host, authorization: 'Bearer anything' })).toBe(401);
      expect(await status(path, { host, authorization: '' })).toBe(401);
      expect(await status(path, { host: 'rebound.example.com' })).toBe(401);
      for (const name of ['x-forwarded-for', 'forwarded', 'via']) {
        expect(await status(path, { host, [name]: 'for=203.0.113.7' })).toBe(401);
      }
    },
  );
});

describe('The page of the sandbox', () => {
  it('lists the patients with their stories and names what it is', async () => {
    const page = await (await fetch(`${running.origin}/sandbox`)).text();
    expect(page).toContain('Sandbox EHR - simulated patients');
    expect(page).toContain('Test-Sim, Ana');
    expect(page).toContain('Made for a test.');
    expect(page).toContain('/sandbox/fhir/ImagingStudy/test-ana-ct');
    expect(page).toContain('Research use only, trained on simulated data, not a medical device.');
  });

  it('shows hostile text of the chart as text, and its policy lets nothing run', async () => {
    const hostile = `"><img src=x onerror=alert(1)>'&`;
    const resource = {
      resourceType: 'Patient',
      id: 'hostile',
      name: [{ family: hostile }],
      identifier: [{ value: hostile }],
    };
    await callFhir(`${running.fhir}/Patient/hostile`, 'PUT', resource);
    const response = await fetch(`${running.origin}/sandbox`);
    const page = await response.text();
    expect(page).not.toContain('<img');
    expect(page).toContain('&quot;&gt;&lt;img src=x onerror=alert(1)&gt;&#39;&amp;');
    expect(page).not.toMatch(/<script|<[^>]*\s(style|on\w+)=/);
    expect(response.headers.get('content-security-policy')).toMatch(
      /^default-src 'none'; style-src 'sha256-[^']+'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/,
    );
  });
});
