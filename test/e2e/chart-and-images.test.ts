/** When chart and images do not agree, or not yet: nothing is guessed. And an EHR that is not the sandbox of the same process. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { pause, ServiceProcess } from '../support/service-process.ts';
import type { AssessmentJson } from '../support/service-process.ts';

let hospital: ServiceProcess;
beforeAll(async () => {
  hospital = await ServiceProcess.start();
}, 120_000);
afterAll(() => hospital.stopAndForget());

// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Resource = any;

async function change(reference: string, edit: (resource: Resource) => void): Promise<void> {
  const resource = await hospital.fhir(reference);
  edit(resource);
  const answer = await fetch(`${hospital.url}/sandbox/fhir/${reference}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/fhir+json' },
    body: JSON.stringify(resource),
  });
  expect(answer.status).toBe(200);
}
const forecastsOf = async (patient: string): Promise<number> =>
  (await hospital.fhir(`RiskAssessment?subject=${patient}&_summary=count`)).total;

describe('A chart that contradicts the images', () => {
  it.each<[string, string, (patient: Resource) => void]>([
    ['birth date', 'okafor-james', (patient) => (patient.birthDate = '1959-09-24')],
    ['sex', 'tanaka-hiro', (patient) => (patient.gender = 'female')],
    ['identifier', 'novak-petra', (patient) => (patient.identifier[0].value = 'SIM-9999')],
  ])(
    'in the %s of the patient refuses the assessment, and no forecast is written',
    async (_, slug, edit) => {
      await change(`Patient/${slug}`, edit);
      const { body } = await hospital.assess(`ImagingStudy/${slug}-ct`);
      const assessment = await hospital.finished(body.id);
      expect(assessment).toMatchObject({ status: 'refused', prediction: null, refusal: { code: 'identity-conflict' } });
      expect(await forecastsOf(`Patient/${slug}`)).toBe(0);
    },
    60_000,
  );
});

describe('Images that the chart files under another patient as well', () => {
  it('are refused there, and the result of the patient they belong to is not shown for the other', async () => {
    const own = await hospital.finished((await hospital.assess('ImagingStudy/rivera-ana-ct')).body.id);
    expect(own.status).toBe('completed');
    const study = await hospital.fhir('ImagingStudy/rivera-ana-ct');
    const wrong = { ...study, id: 'wrong-patient-ct', subject: { reference: 'Patient/lindqvist-maja' } };
    const answer = await fetch(`${hospital.url}/sandbox/fhir/ImagingStudy/wrong-patient-ct`, {
      method: 'PUT',
      headers: { 'content-type': 'application/fhir+json' },
      body: JSON.stringify(wrong),
    });
    expect(answer.status).toBe(201);
    const { body } = await hospital.assess('ImagingStudy/wrong-patient-ct');
    const refused = await hospital.finished(body.id);
    expect(refused).toMatchObject({
      status: 'refused',
      refusal: { code: 'identity-conflict' },
      imagingStudy: 'ImagingStudy/wrong-patient-ct',
      patient: 'Patient/lindqvist-maja',
    });
    expect((await hospital.assess('ImagingStudy/rivera-ana-ct')).body).toEqual(own);
  }, 60_000);
});

describe('A study that is still arriving', () => {
  it('waits for the announced number of images, and begins as soon as they are there', async () => {
    const study = 'ImagingStudy/silva-bento-ct';
    const { numberOfInstances } = await hospital.fhir(study);
    await change(study, (resource) => (resource.numberOfInstances = numberOfInstances + 1));
    const { status, body } = await hospital.assess(study);
    expect(status).toBe(202);
    await pause(3_000);
    const waiting = (await (await hospital.fetch(`/v1/assessments/${body.id}`)).json()) as AssessmentJson;
    expect(['created', 'active']).toContain(waiting.status);
    expect(await forecastsOf('Patient/silva-bento')).toBe(0);
    await change(study, (resource) => (resource.numberOfInstances = numberOfInstances));
    expect((await hospital.finished(body.id)).status).toBe('completed');
    expect(await forecastsOf('Patient/silva-bento')).toBe(1);
  }, 90_000);
});

describe('A study that does not exist', () => {
  it('is answered 404 with a stable code', async () => {
    const { status, body } = await hospital.assess('ImagingStudy/nobody');
    expect(status).toBe(404);
    expect(body).toMatchObject({ code: 'study-not-found' });
  });
});

describe('An EHR elsewhere', () => {
  const token = 'a-token-of-at-least-thirty-two-characters';

  it('gets the result of the images its Endpoint names, when that address is allowed', async () => {
    const service = await ServiceProcess.start({
      EHR_FHIR_URL: `${hospital.url}/sandbox/fhir`,
      ALLOWED_DICOMWEB_URLS: `${hospital.url}/sandbox/dicomweb`,
      API_TOKEN: token,
    });
    try {
      const { body } = await service.assess('ImagingStudy/haddad-omar-ct');
      expect((await service.finished(body.id)).status).toBe('completed');
      expect(await forecastsOf('Patient/haddad-omar')).toBe(1);
    } finally {
      await service.stopAndForget();
    }
  }, 120_000);

  it('whose Endpoint names an address that nobody allowed is not followed there', async () => {
    const service = await ServiceProcess.start({ EHR_FHIR_URL: `${hospital.url}/sandbox/fhir`, API_TOKEN: token });
    try {
      const { status, body } = await service.assess('ImagingStudy/moreau-claire-ct');
      expect(status).toBe(502);
      expect(body).toMatchObject({ code: 'endpoint-not-allowed' });
    } finally {
      await service.stopAndForget();
    }
  }, 120_000);
});
