/** A chart that is corrected takes the forecast with it: nobody must act on a result whose ground is gone. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { pause, ServiceProcess } from '../support/service-process.ts';
import type { AssessmentJson } from '../support/service-process.ts';

let service: ServiceProcess;
beforeAll(async () => {
  service = await ServiceProcess.start({ CHART_WATCH_MS: '300' });
}, 120_000);
afterAll(() => service.stopAndForget());

// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Resource = any;

async function write(method: 'PUT' | 'DELETE', reference: string, resource?: Resource): Promise<void> {
  const answer = await fetch(`${service.url}/sandbox/fhir/${reference}`, {
    method,
    headers: { 'content-type': 'application/fhir+json' },
    body: resource === undefined ? undefined : JSON.stringify(resource),
  });
  expect(answer.ok).toBe(true);
}
async function change(reference: string, edit: (resource: Resource) => void): Promise<void> {
  const resource = await service.fhir(reference);
  edit(resource);
  await write('PUT', reference, resource);
}
async function assess(slug: string): Promise<AssessmentJson> {
  const assessment = await service.finished((await service.assess(`ImagingStudy/${slug}-ct`)).body.id);
  expect(assessment.status).toBe('completed');
  return assessment;
}
const hoursBefore = (time: string, hours: number): string =>
  new Date(Date.parse(time) - hours * 3_600_000).toISOString();
const statusesOf = ({ resources }: AssessmentJson): Promise<string[]> =>
  Promise.all(
    [resources!.riskAssessment, ...resources!.observations, ...resources!.media].map(
      async (reference) => (await service.fhir(reference)).status,
    ),
  );

/** The service asks the chart itself. */
const cardOf = async (patient: string): Promise<string> =>
  (await service.viewChart(patient, { fhirServer: `${service.url}/sandbox/fhir` })).join();

describe('A written result is entered in error, with a Provenance that says why,', () => {
  it.each<[string, string, string, () => Promise<void>]>([
    [
      'when the study is withdrawn',
      'moreau-claire',
      'study-withdrawn',
      () => change('ImagingStudy/moreau-claire-ct', (study) => (study.status = 'entered-in-error')),
    ],
    [
      'when the study is deleted',
      'okafor-james',
      'study-deleted',
      () => write('DELETE', 'ImagingStudy/okafor-james-ct'),
    ],
    [
      'when the study loses its Study Instance UID',
      'lindqvist-maja',
      'study-corrected',
      () => change('ImagingStudy/lindqvist-maja-ct', (study) => (study.identifier = [])),
    ],
    [
      'when the thrombectomy turns out not to have been done',
      'haddad-omar',
      'procedure-withdrawn',
      () => change('Procedure/haddad-omar-thrombectomy', (procedure) => (procedure.status = 'not-done')),
    ],
    [
      'when the thrombectomy ended two hours earlier than it was noted',
      'tanaka-hiro',
      'procedure-corrected',
      () =>
        change('Procedure/tanaka-hiro-thrombectomy', ({ performedPeriod }) => {
          performedPeriod.start = hoursBefore(performedPeriod.start, 2);
          performedPeriod.end = hoursBefore(performedPeriod.end, 2);
        }),
    ],
    [
      'when the images are filed under another patient',
      'novak-petra',
      'patient-changed',
      () => change('ImagingStudy/novak-petra-ct', (study) => (study.subject = { reference: 'Patient/rivera-ana' })),
    ],
    [
      'when the patient record is merged into another',
      'silva-bento',
      'patient-changed',
      () =>
        change('Patient/silva-bento', (patient) => {
          patient.active = false;
          patient.link = [{ other: { reference: 'Patient/rivera-ana' }, type: 'replaced-by' }];
        }),
    ],
  ])(
    '%s',
    async (_, slug, code, correct) => {
      const assessment = await assess(slug);
      expect(new Set(await statusesOf(assessment))).toEqual(new Set(['preliminary', 'completed']));
      await correct();
      const { withdrawal } = await service.withdrawn(assessment.id);
      expect(withdrawal).toMatchObject({ code, at: expect.any(String) });
      expect(new Set(await statusesOf(assessment))).toEqual(new Set(['entered-in-error']));
      const { entry } = await service.fhir(`Provenance?target=${assessment.resources!.riskAssessment}`);
      expect(await cardOf(slug)).not.toMatch(/\d %/);
      const reasons = entry.map(({ resource }: Resource) => resource.reason[0].text);
      expect(reasons).toContain(withdrawal!.message);
    },
    60_000,
  );
});

describe('A result that was taken back', () => {
  it('was beside the chart as a card while it stood, and is not any more', async () => {
    await change('Procedure/haddad-omar-thrombectomy', (procedure) => (procedure.status = 'completed'));
    const { id } = await assess('haddad-omar');
    expect(await cardOf('haddad-omar')).toMatch(/\d %/);
    await change('ImagingStudy/haddad-omar-ct', (study) => (study.status = 'cancelled'));
    await service.withdrawn(id);
    expect(await cardOf('haddad-omar')).not.toMatch(/\d %/);
  }, 60_000);

  it('is made anew when asked for after the chart was mended', async () => {
    const first = await assess('tanaka-hiro');
    expect(first).toMatchObject({ revision: 2 }); // of the corrected time
    await change('Procedure/tanaka-hiro-thrombectomy', (procedure) => (procedure.status = 'not-done'));
    await service.withdrawn(first.id);
    await change('Procedure/tanaka-hiro-thrombectomy', (procedure) => (procedure.status = 'completed'));
    const second = await assess('tanaka-hiro');
    expect(second).toMatchObject({ revision: 3, withdrawal: null });
    const { entry } = await service.fhir('RiskAssessment?subject=Patient/tanaka-hiro');
    const statuses = entry.map(({ resource }: Resource) => resource.status);
    expect(statuses.sort()).toEqual(['entered-in-error', 'entered-in-error', 'preliminary']);
  }, 60_000);

  it('stands as long as only other things of the chart change', async () => {
    const assessment = await assess('rivera-ana');
    await change('Patient/rivera-ana', (patient) => (patient.telecom = [{ system: 'phone', value: '0' }]));
    await change('ImagingStudy/rivera-ana-ct', (study) => (study.description = 'CT HEAD'));
    await pause(1_500);
    const after = (await (await service.fetch(`/v1/assessments/${assessment.id}`)).json()) as AssessmentJson;
    expect(after.withdrawal).toBeNull();
    expect(new Set(await statusesOf(assessment))).not.toContain('entered-in-error');
  }, 60_000);
});
