/** What a token opens in the sandbox's chart and archive: its scopes, of its patient. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Bundle, Resource } from '@medplum/fhirtypes';
import {
  removeFolders,
  startSandbox,
  temporaryFolder,
  testPatient,
  writePatients,
} from '../sandbox/support/running-sandbox.ts';
import type { RunningSandbox } from '../sandbox/support/running-sandbox.ts';
import { callFhir } from '../sandbox/support/fhir-client.ts';
import { APP_SCOPES, launchFromEhr } from './support/browser.ts';

const ANA = testPatient.slug;
const BEN = 'test-ben';
const subject = { reference: `Patient/${BEN}` };
const code = { coding: [{ system: 'http://loinc.org', code: '8480-6' }] };

/** Of both patients, the same. */
const records = (patient: string): (Resource & { id: string })[] => {
  const reference = { reference: `Patient/${patient}` };
  return [
    { resourceType: 'Observation', id: `${patient}-measured`, status: 'final', code, subject: reference },
    { resourceType: 'RiskAssessment', id: `${patient}-risk`, status: 'preliminary', subject: reference },
    {
      resourceType: 'Media',
      id: `${patient}-media`,
      status: 'completed',
      subject: reference,
      content: { url: `Binary/${patient}-bytes` },
    },
    {
      resourceType: 'Provenance',
      id: `${patient}-provenance`,
      recorded: '2026-03-01T12:00:00Z',
      target: [{ reference: `RiskAssessment/${patient}-risk` }],
      agent: [{ who: { reference: 'Device/model' } }],
    },
  ];
};

let running: RunningSandbox;
let folders: string[];
let token: string;

beforeAll(async () => {
  folders = [await temporaryFolder(), await writePatients()];
  running = await startSandbox(folders[0], folders[1]);
  const put = async (resource: Resource): Promise<void> => {
    const { status } = await callFhir(`${running.fhir}/${resource.resourceType}/${resource.id}`, 'PUT', resource);
    expect(status).toBe(201);
  };
  await put({ resourceType: 'Patient', id: BEN, name: [{ family: 'Sim', given: ['Ben'] }] });
  await put({ resourceType: 'Device', id: 'model' });
  for (const resource of [...records(ANA), ...records(BEN)]) await put(resource);
  for (const patient of [ANA, BEN]) {
    const headers = { 'content-type': 'image/png', 'x-security-context': `Patient/${patient}` };
    await fetch(`${running.fhir}/Binary/${patient}-bytes`, { method: 'PUT', headers, body: 'bytes' });
  }
  await put({
    resourceType: 'ImagingStudy',
    id: `${BEN}-ct`,
    status: 'available',
    subject,
    identifier: [{ system: 'urn:dicom:uid', value: 'urn:oid:2.25.4712' }],
  });
  token = (await launchFromEhr(running.origin, { patient: ANA })).access_token;
});
afterAll(async () => {
  await running.close();
  await removeFolders(...folders);
});

const as = (bearer: string, path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(`${running.origin}/sandbox/${path}`, {
    ...init,
    headers: { authorization: `Bearer ${bearer}`, ...(init.headers as Record<string, string>) },
  });
const statusOf = async (path: string, init?: RequestInit, bearer = token): Promise<number> => {
  const response = await as(bearer, path, init);
  await response.arrayBuffer();
  return response.status;
};
const json = (method: string, body: unknown): RequestInit => ({
  method,
  headers: { 'content-type': 'application/fhir+json' },
  body: JSON.stringify(body),
});

describe('With the token of a launch, the chart', () => {
  it.each([
    `Patient/${ANA}`,
    `ImagingStudy/${ANA}-ct`,
    `Observation/${ANA}-measured`,
    `RiskAssessment/${ANA}-risk`,
    `Media/${ANA}-media`,
    `Provenance/${ANA}-provenance`,
    `Binary/${ANA}-bytes`,
    'Device/model',
  ])("gives the patient's %s", async (path) => {
    expect(await statusOf(`fhir/${path}`)).toBe(200);
  });

  it.each([
    `Patient/${BEN}`,
    `ImagingStudy/${BEN}-ct`,
    `Observation/${BEN}-measured`,
    `RiskAssessment/${BEN}-risk`,
    `RiskAssessment/${BEN}-risk/_history/1`,
    `RiskAssessment/${BEN}-risk/_history`,
    `Media/${BEN}-media`,
    `Provenance/${BEN}-provenance`,
    `Binary/${BEN}-bytes`,
  ])("does not know another patient's %s, which is there", async (path) => {
    const withoutToken = await fetch(`${running.fhir}/${path}`);
    await withoutToken.arrayBuffer();
    expect(withoutToken.status).toBe(200);
    expect(await statusOf(`fhir/${path}`)).toBe(404);
  });

  it.each([
    ['RiskAssessment', 1],
    [`RiskAssessment?subject=Patient/${BEN}`, 0],
    [`RiskAssessment?subject=Patient/${ANA},Patient/${BEN}`, 1],
    ['Observation?code=8480-6', 1],
    [`Provenance?target=RiskAssessment/${BEN}-risk`, 0],
    [`Provenance?target=RiskAssessment/${ANA}-risk`, 1],
    ['ImagingStudy', 1],
  ])('finds by %s only what is the patient’s (%i)', async (query, total) => {
    const bundle = (await (await as(token, `fhir/${query}`)).json()) as Bundle;
    expect(bundle.total).toBe(total);
    expect(JSON.stringify(bundle.entry ?? [])).not.toContain(BEN);
  });

  it('lets no _include or batch around that', async () => {
    const included = await as(token, `fhir/RiskAssessment?_include=RiskAssessment:subject`);
    expect(await included.text()).not.toContain(BEN);
    const entry = [{ request: { method: 'GET', url: `RiskAssessment/${BEN}-risk` } }];
    const batch = await as(token, 'fhir', json('POST', { resourceType: 'Bundle', type: 'batch', entry }));
    const { entry: answers } = (await batch.json()) as Bundle;
    expect(answers?.map(({ response, resource }) => [response?.status, resource])).toEqual([['404', undefined]]);
  });

  it('opens no type and no interaction beyond the scopes', async () => {
    expect(await statusOf('fhir/Condition')).toBe(403);
    expect(await statusOf(`fhir/Patient?_id=${ANA}`)).toBe(403); // patient/Patient.r reads, it does not search
    const risk = { resourceType: 'RiskAssessment', status: 'final', subject: { reference: `Patient/${ANA}` } };
    expect(await statusOf('fhir/RiskAssessment', json('POST', risk))).toBe(403);
    expect(await statusOf(`fhir/RiskAssessment/${ANA}-risk`, { method: 'DELETE' })).toBe(403);
    expect((await running.get(`RiskAssessment/${ANA}-risk`)).status).toBe(200);
  });

  it('writes for the patient only, where the scope allows writing', async () => {
    const scope = 'launch patient/Observation.cruds';
    const { access_token: writer } = await launchFromEhr(running.origin, { patient: ANA }, scope);
    const observation = (patient: string): object => ({
      resourceType: 'Observation',
      status: 'final',
      code,
      subject: { reference: `Patient/${patient}` },
    });
    expect(await statusOf('fhir/Observation', json('POST', observation(ANA)), writer)).toBe(201);
    expect(await statusOf('fhir/Observation', json('POST', observation(BEN)), writer)).toBe(403);
    const taken = { ...observation(ANA), id: `${BEN}-measured` };
    expect(await statusOf(`fhir/Observation/${BEN}-measured`, json('PUT', taken), writer)).toBe(404);
    expect(await statusOf(`fhir/Observation/${BEN}-measured`, { method: 'DELETE' }, writer)).toBe(404);
    const given = { ...observation(BEN), id: `${ANA}-measured` };
    expect(await statusOf(`fhir/Observation/${ANA}-measured`, json('PUT', given), writer)).toBe(403);
  });
});

describe('With the token of a launch, the archive', () => {
  const uid = testPatient.studyInstanceUid;

  it("gives the patient's study and no other", async () => {
    expect(await statusOf(`dicomweb/studies/${uid}/metadata`)).toBe(200);
    expect(await statusOf(`dicomweb/studies/2.25.4712/metadata`)).toBe(403);
    expect(await statusOf('dicomweb/studies')).toBe(403);
    expect(await statusOf(`dicomweb/studies?StudyInstanceUID=${uid}`)).toBe(403);
  });

  it('takes no images', async () => {
    expect(await statusOf(`dicomweb/studies/${uid}`, { method: 'POST', body: 'x' })).toBe(403);
  });

  it('asks for the scope', async () => {
    const { access_token: other } = await launchFromEhr(running.origin, { patient: ANA }, 'launch patient/Patient.r');
    expect(await statusOf(`dicomweb/studies/${uid}/metadata`, {}, other)).toBe(403);
  });
});

describe('A presented token', () => {
  it.each(['fhir/metadata', `fhir/Patient/${ANA}`, 'dicomweb/studies', ''])(
    'is verified at /sandbox/%s, also where none is needed',
    async (path) => {
      const bodies = new Set<string>();
      for (const header of ['Bearer made-up', 'Bearer', `Basic ${token}`, token, `Bearer ${token}x`, '']) {
        const response = await fetch(`${running.origin}/sandbox/${path}`, { headers: { authorization: header } });
        expect(response.status).toBe(401);
        bodies.add(await response.text());
      }
      expect(bodies.size).toBe(1);
    },
  );

  it('opens none of the pages of the sandbox itself', async () => {
    expect(await statusOf('')).toBe(403);
    expect(await statusOf('launch', json('POST', { patient: BEN }))).toBe(403);
  });

  it('ends when it is revoked', async () => {
    const { access_token: other } = await launchFromEhr(running.origin, { patient: ANA }, `launch ${APP_SCOPES}`);
    expect(await statusOf(`fhir/Patient/${ANA}`, {}, other)).toBe(200);
    const body = new URLSearchParams({ token: other, client_id: 'hemocast-app' });
    await fetch(`${running.origin}/sandbox/auth/token/revocation`, { method: 'POST', body });
    expect(await statusOf(`fhir/Patient/${ANA}`, {}, other)).toBe(401);
  });
});
