/**
 * With AUTO_ASSESS the first plain head CT after a thrombectomy is assessed without anyone asking, and nothing else is: told by
 * notifications, found by polling, or both at once.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { repositoryRoot } from '../support/components.ts';
import { pause, ServiceProcess } from '../support/service-process.ts';
import type { AssessmentJson } from '../support/service-process.ts';
import { stow } from '../support/stow.ts';

let service: ServiceProcess;
beforeAll(async () => {
  // Looks on its own only once in a long while: what happens soon happened because of a notification.
  service = await ServiceProcess.start({
    AUTO_ASSESS: 'true',
    CHART_WATCH_MS: '600000',
    STORE_GENERATED_IMAGE: 'true',
  });
  await notify(); // the first look is the beginning
  await pause(1_000);
}, 120_000);
afterAll(() => service.stopAndForget());

// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Resource = any;

const notify = async (body?: object): Promise<void> => {
  const answer = await service.fetch('/v1/notifications', {
    method: 'POST',
    ...(body && { headers: { 'content-type': 'application/fhir+json' }, body: JSON.stringify(body) }),
  });
  expect(answer.status).toBe(202);
};
const assessmentsOf = async (patient: string): Promise<AssessmentJson[]> => {
  const answer = await service.fetch(`/v1/assessments?patient=Patient/${patient}`);
  return ((await answer.json()) as { items: AssessmentJson[] }).items;
};
async function touch(reference: string, edit: (resource: Resource) => void = () => undefined): Promise<void> {
  const resource = await service.fhir(reference);
  resource.meta.tag = [...(resource.meta.tag ?? []), { system: 'https://test.example', code: `t${Date.now()}` }];
  edit(resource);
  const answer = await fetch(`${service.url}/sandbox/fhir/${reference}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/fhir+json' },
    body: JSON.stringify(resource),
  });
  expect(answer.ok).toBe(true);
}
async function untilAssessed(patient: string): Promise<AssessmentJson> {
  for (let i = 0; i < 150; i++) {
    const [assessment] = await assessmentsOf(patient);
    if (assessment?.status === 'completed') return assessment;
    await pause(100);
  }
  throw new Error('Nothing was assessed in 15 s.');
}

it('leaves alone what was in the chart before it began', async () => {
  expect(await assessmentsOf('moreau-claire')).toEqual([]);
});

it('assesses a study whose chart entry arrives, when a Subscription says so', async () => {
  await touch('ImagingStudy/moreau-claire-ct');
  await notify();
  expect(await untilAssessed('moreau-claire')).toMatchObject({
    revision: 1,
    imagingStudy: 'ImagingStudy/moreau-claire-ct',
  });
}, 60_000);

it('takes a topic-based notification and one sent as an update alike, and does nothing twice', async () => {
  await touch('ImagingStudy/moreau-claire-ct');
  await notify({ resourceType: 'Bundle', type: 'history', entry: [] });
  const update = await service.fetch('/v1/notifications/ImagingStudy/moreau-claire-ct', { method: 'PUT' });
  expect(update.status).toBe(202);
  await pause(3_000);
  expect(await assessmentsOf('moreau-claire')).toHaveLength(1);
}, 60_000);

it('is not triggered by its own generated series in the PACS, also where the chart counts its image', async () => {
  const { identifier, numberOfInstances } = await service.fhir('ImagingStudy/moreau-claire-ct');
  const uid = identifier[0].value.replace('urn:oid:', '');
  const series = (await (await fetch(`${service.url}/sandbox/dicomweb/studies/${uid}/series`)).json()) as Resource[];
  const descriptions = series.map((each) => each['0008103E']?.Value?.[0]);
  expect(descriptions).toContainEqual(expect.stringContaining('AI-GENERATED NOT ACQUIRED'));
  await touch('ImagingStudy/moreau-claire-ct', (study) => (study.numberOfInstances = numberOfInstances + 1));
  await notify();
  await pause(3_500);
  expect(await assessmentsOf('moreau-claire')).toHaveLength(1);
}, 60_000);

it('assesses a study when the thrombectomy before it is entered into the chart later', async () => {
  await touch('Procedure/haddad-omar-thrombectomy', (procedure) => (procedure.status = 'in-progress'));
  await touch('ImagingStudy/haddad-omar-ct');
  await notify();
  await pause(2_500);
  expect(await assessmentsOf('haddad-omar')).toEqual([]);
  await touch('Procedure/haddad-omar-thrombectomy', (procedure) => (procedure.status = 'completed'));
  await notify();
  await untilAssessed('haddad-omar');
}, 60_000);

it('does not assess a CT without a thrombectomy before it', async () => {
  await touch('Procedure/okafor-james-thrombectomy', (procedure) => (procedure.status = 'not-done'));
  await touch('ImagingStudy/okafor-james-ct');
  await notify();
  await pause(2_500);
  expect(await assessmentsOf('okafor-james')).toEqual([]);
}, 60_000);

it('does not assess a later CT: the first one is the initial CT', async () => {
  const folder = join(repositoryRoot, 'api/sandbox/patients/tanaka-hiro/ct');
  const original = readdirSync(folder).map((name) => readFileSync(join(folder, name)));
  const known = new Set(
    (await service.fhir('ImagingStudy?patient=Patient/tanaka-hiro')).entry.map((e: Resource) => e.resource.id),
  );
  const stored = await stow(`${service.url}/sandbox/dicomweb`, original.map(asSecondStudy));
  expect(stored.status).toBe(200);
  const studies = (await service.fhir('ImagingStudy?patient=Patient/tanaka-hiro')).entry.map(
    (e: Resource) => e.resource,
  );
  const second = studies.find((study: Resource) => !known.has(study.id));
  await touch(`ImagingStudy/${second.id}`, (study) => {
    study.started = new Date(Date.parse(study.started) + 6 * 3_600_000).toISOString();
  });
  await notify();
  await pause(2_500);
  expect(await assessmentsOf('tanaka-hiro')).toEqual([]);

  await touch('ImagingStudy/tanaka-hiro-ct');
  await notify();
  await untilAssessed('tanaka-hiro');
  await pause(1_500);
  expect((await assessmentsOf('tanaka-hiro')).map(({ imagingStudy }) => imagingStudy)).toEqual([
    'ImagingStudy/tanaka-hiro-ct',
  ]);
  const [first] = await assessmentsOf('tanaka-hiro');
  const later = await service.finished((await service.assess(`ImagingStudy/${second.id}`)).body.id);
  const isFlagged = ({ flags }: AssessmentJson): boolean => flags.some(({ code }) => code === 'first-ct-uncertain');
  expect([first, later].map(isFlagged)).toEqual([false, true]);
}, 60_000);

it('found by polling alone, and by polling and many notifications at once, a study is assessed once', async () => {
  const told = service;
  service = await ServiceProcess.start({ AUTO_ASSESS: 'true', CHART_WATCH_MS: '300' });
  try {
    await pause(1_000);
    await touch('ImagingStudy/haddad-omar-ct');
    await untilAssessed('haddad-omar');

    await touch('ImagingStudy/moreau-claire-ct');
    for (let i = 0; i < 5; i++) await Promise.all(Array.from({ length: 8 }, () => notify()));
    await untilAssessed('moreau-claire');
    await Promise.all(Array.from({ length: 8 }, () => notify()));
    await pause(1_500);
    for (const patient of ['haddad-omar', 'moreau-claire']) {
      expect(await assessmentsOf(patient)).toMatchObject([{ revision: 1, status: 'completed' }]);
      expect((await service.fhir(`RiskAssessment?subject=Patient/${patient}`)).total).toBe(1);
    }
  } finally {
    await service.stopAndForget();
    service = told;
  }
}, 120_000);

/** The same images as another study of the same patient: the last digit of every UID of ours changes. */
function asSecondStudy(file: Buffer): Buffer {
  const copy = Buffer.from(file);
  for (const [group, element] of [
    [0x0002, 0x0003],
    [0x0008, 0x0018],
    [0x0020, 0x000d],
    [0x0020, 0x000e],
  ]) {
    const tag = Buffer.alloc(4);
    tag.writeUInt16LE(group, 0);
    tag.writeUInt16LE(element, 2);
    const at = copy.indexOf(Buffer.concat([tag, Buffer.from('UI')]));
    const end = at + 8 + copy.readUInt16LE(at + 6);
    const last = copy[end - 1] === 0 ? end - 2 : end - 1;
    copy[last] = 0x30 + ((copy[last] - 0x30 + 1) % 10);
  }
  return copy;
}
