/** The service's own routes, called with the token that the EHR gave the SMART app for one patient. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ServiceProcess } from '../support/service-process.ts';
import type { AssessmentJson } from '../support/service-process.ts';
import { APP_SCOPES, launchFromEhr } from './support/browser.ts';

const HIS = 'lindqvist-maja';
const OTHER = 'rivera-ana';

describe('A clinician in the SMART app', () => {
  let service: ServiceProcess;
  let token: string;
  beforeAll(async () => {
    // No look at the chart takes back what a test enters in error for a moment.
    service = await ServiceProcess.start({ CHART_WATCH_MS: '600000' });
    token = (await launchFromEhr(service.url, { patient: HIS })).access_token;
  });
  afterAll(() => service.stopAndForget());

  const call = (path: string, init: RequestInit = {}, presented = token): Promise<Response> =>
    service.fetch(path, { ...init, headers: { ...init.headers, authorization: `Bearer ${presented}` } });
  const assess = (study: string, presented = token): Promise<Response> =>
    call(
      '/v1/assessments',
      {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ imagingStudy: `ImagingStudy/${study}` }),
      },
      presented,
    );
  const assessmentOf = async (patient: string): Promise<AssessmentJson> => {
    const answer = await service.fetch(`/v1/assessments?patient=Patient/${patient}`);
    return ((await answer.json()) as { items: AssessmentJson[] }).items[0];
  };
  const launched = async (scope: string): Promise<string> =>
    (await launchFromEhr(service.url, { patient: HIS }, scope)).access_token;

  it('lists the assessments of the patient whose chart is open, and of nobody else', async () => {
    const answer = await call('/v1/assessments');
    expect(answer.status).toBe(200);
    const { items } = (await answer.json()) as { items: AssessmentJson[] };
    expect(items.map(({ patient }) => patient)).toEqual([`Patient/${HIS}`]);
    expect((await call(`/v1/assessments?patient=Patient/${HIS}`)).status).toBe(200);
    expect((await call(`/v1/assessments?patient=Patient/${OTHER}`)).status).toBe(403);
    const byStudy = await call(`/v1/assessments?imagingStudy=ImagingStudy/${OTHER}-ct`);
    expect(await byStudy.json()).toMatchObject({ items: [] });
  });

  it('reads and follows an assessment of that patient; another patient’s is as if it did not exist', async () => {
    const [own, foreign] = [await assessmentOf(HIS), await assessmentOf(OTHER)];
    expect((await call(`/v1/assessments/${own.id}`)).status).toBe(200);
    const events = await call(`/v1/assessments/${own.id}/events`);
    expect(await events.text()).toContain(own.id);

    const unknown = await call('/v1/assessments/0b0f1b1e-6a5a-4d7e-9d2e-3f1c2b4a5d6e');
    const body = await unknown.text();
    for (const path of [`/v1/assessments/${foreign.id}`, `/v1/assessments/${foreign.id}/events`]) {
      const answer = await call(path);
      expect([answer.status, await answer.text()]).toEqual([404, body]);
    }
  });

  it('sees the initial CT of that patient; another patient’s is as if it did not exist', async () => {
    const unknown = await (await call('/v1/imaging-studies/nobody/initial-ct')).text();
    for (const part of ['initial-ct', 'geometry']) {
      const own = await call(`/v1/imaging-studies/${HIS}-ct/${part}`);
      expect(own.status).toBe(200);
      await own.arrayBuffer();
      const foreign = await call(`/v1/imaging-studies/${OTHER}-ct/${part}`);
      expect([foreign.status, await foreign.text()]).toEqual([404, unknown]);
    }
  });

  it('learns nothing of what is wrong with another patient’s study', async () => {
    const edit = async (id: string, changes: object): Promise<void> => {
      const study = await service.fhir(`ImagingStudy/${id}`);
      const answer = await fetch(`${service.url}/sandbox/fhir/ImagingStudy/${id}`, {
        method: 'PUT',
        headers: { 'content-type': 'application/fhir+json' },
        body: JSON.stringify({ ...study, ...changes }),
      });
      expect(answer.status).toBe(200);
    };
    const unknown = await (await call('/v1/imaging-studies/nobody/geometry')).text();
    const faults: [string, object, number, string][] = [
      ['okafor-james-ct', { status: 'entered-in-error' }, 400, 'study-withdrawn'],
      ['silva-bento-ct', { identifier: [] }, 400, 'study-uid-missing'],
      ['haddad-omar-ct', { subject: { display: 'Unknown' } }, 400, 'study-subject-unusable'],
      ['novak-petra-ct', { subject: { reference: 'Patient/gone' } }, 502, 'ehr-patient-unreadable'],
    ];
    for (const [id, changes, status, code] of faults) {
      await edit(id, changes);
      const toAdministrator = await service.fetch(`/v1/imaging-studies/${id}/geometry`);
      expect([toAdministrator.status, await toAdministrator.json()]).toMatchObject([status, { code }]);
      for (const answer of [await call(`/v1/imaging-studies/${id}/geometry`), await assess(id)]) {
        expect([answer.status, await answer.text()]).toEqual([404, unknown]);
      }
    }
    await edit(`${HIS}-ct`, { status: 'entered-in-error' });
    const own = await call(`/v1/imaging-studies/${HIS}-ct/geometry`);
    await edit(`${HIS}-ct`, { status: 'available' });
    expect([own.status, await own.json()]).toMatchObject([400, { code: 'study-withdrawn' }]);
  });

  it('asks for an assessment of that patient’s study only', async () => {
    expect((await assess(`${HIS}-ct`)).status).toBe(200);
    const before = await assessmentOf(OTHER);
    expect((await assess(`${OTHER}-ct`)).status).toBe(404);
    expect((await assess('moreau-claire-ct')).status).toBe(404);
    expect(await assessmentOf(OTHER)).toEqual(before);
    expect(await assessmentOf('moreau-claire')).toBeUndefined();
  });

  it('does neither cancel, nor notify, nor pause, nor read metrics', async () => {
    const { id } = await assessmentOf(HIS);
    const answers = await Promise.all([
      call(`/v1/assessments/${id}`, { method: 'DELETE' }),
      call('/v1/notifications', { method: 'POST' }),
      call('/v1/operation', {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ mode: 'paused' }),
      }),
      call('/metrics'),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([403, 403, 403, 403]);
    const operation = await call('/v1/operation');
    expect(await operation.json()).toMatchObject({ mode: 'running' });
  });

  it('is let do only what the granted scopes say', async () => {
    const withoutStudies = await launched('launch openid patient/RiskAssessment.rs');
    expect((await call('/v1/assessments', {}, withoutStudies)).status).toBe(200);
    expect((await call(`/v1/imaging-studies/${HIS}-ct/geometry`, {}, withoutStudies)).status).toBe(403);
    expect((await assess(`${HIS}-ct`, withoutStudies)).status).toBe(403);

    const readOnly = await launched('launch openid patient/RiskAssessment.r patient/ImagingStudy.r');
    expect((await call('/v1/assessments', {}, readOnly)).status).toBe(403);
    expect((await call(`/v1/assessments/${(await assessmentOf(HIS)).id}`, {}, readOnly)).status).toBe(200);
  });

  it('keeps two tabs with two patients apart', async () => {
    const second = (await launchFromEhr(service.url, { patient: OTHER }, `launch ${APP_SCOPES}`)).access_token;
    const patientsOf = async (presented: string): Promise<(string | null)[]> => {
      const { items } = (await (await call('/v1/assessments', {}, presented)).json()) as { items: AssessmentJson[] };
      return items.map(({ patient }) => patient);
    };
    expect([await patientsOf(token), await patientsOf(second)]).toEqual([[`Patient/${HIS}`], [`Patient/${OTHER}`]]);
  });

  it('is shut out by a token that the EHR does not know, also on this machine', async () => {
    const answer = await call('/v1/assessments', {}, 'not-a-token-of-this-ehr-at-all');
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    expect((await service.fetch('/v1/assessments')).status).toBe(200);
  });

  it('sees that a scan was read in shadow operation, and neither number nor map of it', async () => {
    await service.setMode('shadow');
    const asked = await service.fetch('/v1/assessments', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ imagingStudy: `ImagingStudy/${HIS}-ct`, force: true }),
    });
    const { id } = (await asked.json()) as AssessmentJson;
    const kept = await service.finished(id);
    await service.setMode('running');
    expect(kept).toMatchObject({
      status: 'completed',
      resources: null,
      prediction: { probability: expect.any(Number) },
    });

    const seen = (await (await call(`/v1/assessments/${id}`)).json()) as AssessmentJson;
    expect(seen).toEqual({ ...kept, prediction: null });
    const { items } = (await (await call('/v1/assessments')).json()) as { items: AssessmentJson[] };
    expect(items[0]).toEqual(seen);
    expect(await (await call(`/v1/assessments/${id}/events`)).text()).toContain('"prediction":null');
    for (const part of ['maps', 'attention', 'difference']) {
      expect((await call(`/v1/assessments/${id}/${part}`)).status).toBe(404);
    }
    expect((await service.fetch(`/v1/assessments/${id}/maps`)).status).toBe(200);
  }, 60_000);
});
