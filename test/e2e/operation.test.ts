/** `hemocast pause`, `shadow` and `resume` on a running service, as an administrator types them. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { repositoryRoot } from '../support/components.ts';
import { pause, ServiceProcess } from '../support/service-process.ts';
import type { AssessmentJson } from '../support/service-process.ts';

const run = promisify(execFile);
let service: ServiceProcess;
beforeAll(async () => {
  service = await ServiceProcess.start({ STORE_GENERATED_IMAGE: 'true' });
}, 120_000);
afterAll(() => service.stopAndForget());

async function hemocast(...args: string[]): Promise<string> {
  const cli = join(repositoryRoot, 'api/cli.ts');
  const { stdout } = await run(process.execPath, [
    '--disable-warning=ExperimentalWarning',
    cli,
    ...args,
    '--url',
    service.url,
  ]);
  return stdout.trim();
}
const forecasts = async (patient: string): Promise<number> =>
  (await service.fhir(`RiskAssessment?subject=Patient/${patient}&_summary=count`)).total;

interface Holdings {
  /** Every version of what a search finds, ImagingStudy included: the archive changes it when it takes an image. */
  readonly chart: readonly string[];
  /** FHIR has no search for them: every version that the chart took, also of one that nothing names. */
  readonly binaries: readonly string[];
  /** Every instance in the archive, by SOPInstanceUID. */
  readonly instances: readonly string[];
}
const TYPES = ['RiskAssessment', 'Observation', 'Media', 'DocumentReference', 'Provenance', 'Device', 'ImagingStudy'];
async function holdings(): Promise<Holdings> {
  const found = await Promise.all(TYPES.map((type) => service.fhir(`${type}?_count=1000`)));
  const entries = found.flatMap(
    ({ entry = [] }) => entry as { resource: { id: string; meta: { versionId: string } } }[],
  );
  const journal = readFileSync(join(service.dataDir, 'sandbox/fhir/journal.ndjson'), 'utf8').trimEnd().split('\n');
  const versions = journal.flatMap(
    (line) => JSON.parse(line) as { resourceType: string; id: string; versionId: string }[],
  );
  const listed = await service.fetch('/sandbox/dicomweb/instances');
  const instances = (await listed.json()) as { '00080018': { Value: [string] } }[];
  return {
    chart: entries.map(({ resource }) => `${resource.id} ${resource.meta.versionId}`),
    binaries: versions
      .filter(({ resourceType }) => resourceType === 'Binary')
      .map(({ id, versionId }) => `Binary/${id} ${versionId}`),
    instances: instances.map((instance) => instance['00080018'].Value[0]),
  };
}
/** What has come since: the Binaries, and the images in the archive. */
async function addedTo(before: Holdings): Promise<{ binaries: string[]; instances: string[] }> {
  const now = await holdings();
  const added = now.binaries.filter((version) => !before.binaries.includes(version));
  return {
    binaries: [...new Set(added.map((version) => version.split(' ')[0]))].sort(),
    instances: now.instances.filter((uid) => !before.instances.includes(uid)).sort(),
  };
}
/** What the Media of a patient name: two Binaries for each forecast, and the generated CT in the archive. */
async function namedByMedia(patient: string): Promise<{ binaries: string[]; instances: string[] }> {
  const { entry } = await service.fhir(`Media?subject=Patient/${patient}`);
  const media: { content: { url: string }; identifier: { system: string; value: string }[] }[] = entry.map(
    ({ resource }: { resource: unknown }) => resource,
  );
  const uids = media.flatMap(({ identifier }) => identifier.filter(({ system }) => system === 'urn:dicom:uid'));
  return {
    binaries: media.map(({ content }) => content.url).sort(),
    instances: uids.map(({ value }) => value.replace('urn:oid:', '')).sort(),
  };
}
const assessment = async (id: string): Promise<AssessmentJson> =>
  (await (await service.fetch(`/v1/assessments/${id}`)).json()) as AssessmentJson;
const ready = async (): Promise<{ operation: unknown }> =>
  (await (await service.fetch('/health/ready')).json()) as { operation: unknown };

it('paused, the service keeps requests, writes nothing into chart or archive, and health says so and why', async () => {
  const before = await holdings();
  expect(await hemocast('pause', '--reason', 'Upgrade of the PACS')).toBe('paused');
  expect((await ready()).operation).toMatchObject({ mode: 'paused', reason: 'Upgrade of the PACS' });
  const { status, body } = await service.assess('ImagingStudy/novak-petra-ct');
  expect(status).toBe(202);
  await pause(2_500);
  expect((await assessment(body.id)).status).toBe('created');
  expect(await forecasts('novak-petra')).toBe(0);
  expect(await holdings()).toEqual(before);

  expect(await hemocast('resume')).toBe('running');
  expect((await service.finished(body.id)).status).toBe('completed');
  expect(await forecasts('novak-petra')).toBe(1);
  const added = await addedTo(before);
  expect([added.binaries.length, added.instances.length]).toEqual([2, 1]);
  expect(added).toEqual(await namedByMedia('novak-petra'));
}, 60_000);

it('paused while it reads a scan, the service writes nothing of it until it runs again, and then all of it', async () => {
  const before = await holdings();
  const { body } = await service.assess('ImagingStudy/silva-bento-ct');
  for (let i = 0; i < 2_000 && (await assessment(body.id)).stage !== 'reading-scan'; i++) await pause(5);
  await service.setMode('paused');
  await pause(2_500);
  expect(await holdings()).toEqual(before);

  await service.setMode('running');
  expect((await service.finished(body.id)).status).toBe('completed');
  expect(await forecasts('silva-bento')).toBe(1);
  expect(await addedTo(before)).toEqual(await namedByMedia('silva-bento'));
}, 60_000);

it('paused at any moment of an assessment, the service writes nothing a second later', async () => {
  const before = await holdings();
  for (const ms of [400, 700, 900, 1_100]) {
    const { body } = await service.assess('ImagingStudy/haddad-omar-ct', { force: true });
    await pause(ms);
    await service.setMode('paused');
    await pause(1_000);
    const then = await holdings();
    await pause(1_000);
    expect(await holdings()).toEqual(then);
    await service.setMode('running');
    expect((await service.finished(body.id)).status).toBe('completed');
  }
  const { entry } = await service.fhir('RiskAssessment?subject=Patient/haddad-omar');
  const statuses = entry.map(({ resource }: { resource: { status: string } }) => resource.status);
  expect(statuses.sort()).toEqual(['cancelled', 'cancelled', 'cancelled', 'preliminary']);
  const added = await addedTo(before);
  expect([added.binaries.length, added.instances.length]).toEqual([8, 4]);
  expect(added).toEqual(await namedByMedia('haddad-omar'));
}, 90_000);

it('paused, the service shows no card within a second, and shows it again when it runs', async () => {
  await service.finished((await service.assess('ImagingStudy/lindqvist-maja-ct')).body.id);
  // All of it is sent along: a busy EHR decides nothing here.
  const prefetch = {
    riskAssessments: await service.fhir('RiskAssessment?patient=lindqvist-maja'),
    imagingStudies: await service.fhir('ImagingStudy?patient=lindqvist-maja&modality=CT'),
    procedures: await service.fhir('Procedure?patient=lindqvist-maja&status=completed'),
  };
  const shown: number[] = [];
  for (const mode of ['running', 'paused', 'running', 'shadow', 'running']) {
    await service.setMode(mode);
    shown.push((await service.viewChart('lindqvist-maja', { prefetch })).length);
  }
  expect(shown).toEqual([1, 0, 1, 0, 1]);
}, 60_000);

it('is found by PORT where no address is given; where nothing answers, the address is said', async () => {
  const command = (port: string, mode: string): Promise<{ stdout: string }> =>
    run(process.execPath, ['--disable-warning=ExperimentalWarning', join(repositoryRoot, 'api/cli.ts'), mode], {
      env: { PATH: process.env.PATH, PORT: port },
    });
  expect((await command(new URL(service.url).port, 'pause')).stdout).toBe('paused\n');
  expect((await command(new URL(service.url).port, 'resume')).stdout).toBe('running\n');
  await expect(command('1', 'pause')).rejects.toMatchObject({
    stderr: expect.stringMatching(
      /^No service answers at http:\/\/127\.0\.0\.1:1 \(.+\): start it, or name where it is with --url\.$/m,
    ),
  });
});

it('in shadow, the result is kept but not written, and made anew for the chart when the service runs', async () => {
  const before = await holdings();
  await hemocast('shadow');
  const shadow = await service.finished((await service.assess('ImagingStudy/tanaka-hiro-ct')).body.id);
  expect(shadow).toMatchObject({ status: 'completed', resources: null });
  expect(shadow.prediction!.probability).toBeGreaterThan(0);
  expect(shadow.flags.map(({ code }) => code)).toContain('shadow-operation');
  expect(await forecasts('tanaka-hiro')).toBe(0);
  expect(await holdings()).toEqual(before);

  await hemocast('resume');
  const { status, body } = await service.assess('ImagingStudy/tanaka-hiro-ct');
  expect(status).toBe(202);
  expect((await service.finished(body.id)).resources).not.toBeNull();
  expect(await forecasts('tanaka-hiro')).toBe(1);
  expect(await addedTo(before)).toEqual(await namedByMedia('tanaka-hiro'));
}, 60_000);

it('in shadow, a result in the chart is not taken back there; it is when the service runs again', async () => {
  const { id, resources } = await service.finished((await service.assess('ImagingStudy/okafor-james-ct')).body.id);
  const statusInChart = async (): Promise<string> => (await service.fhir(resources!.riskAssessment)).status;
  await hemocast('shadow');
  const study = await service.fhir('ImagingStudy/okafor-james-ct');
  const withdrawn = await fetch(`${service.url}/sandbox/fhir/ImagingStudy/okafor-james-ct`, {
    method: 'PUT',
    headers: { 'content-type': 'application/fhir+json' },
    body: JSON.stringify({ ...study, status: 'entered-in-error' }),
  });
  expect(withdrawn.status).toBe(200);
  await service.fetch('/v1/notifications', { method: 'POST' });
  await pause(2_000);
  expect(await statusInChart()).toBe('preliminary');
  await hemocast('resume');
  for (let i = 0; i < 50 && (await statusInChart()) === 'preliminary'; i++) await pause(100);
  expect(await statusInChart()).toBe('entered-in-error');
  expect((await assessment(id)).withdrawal).toMatchObject({ code: 'study-withdrawn' });
}, 60_000);

it('a revision made in shadow supersedes nothing in the chart; the next one that is written supersedes what stands there', async () => {
  const assess = async (): Promise<AssessmentJson> =>
    service.finished((await service.assess('ImagingStudy/moreau-claire-ct', { force: true })).body.id);
  const statusOf = async ({ resources }: AssessmentJson): Promise<string> =>
    (await service.fhir(resources!.riskAssessment)).status;
  const first = await assess();
  await hemocast('shadow');
  const dark = await assess();
  expect(dark).toMatchObject({ revision: 2, resources: null });
  expect(await statusOf(first)).toBe('preliminary');
  await hemocast('resume');
  const third = await assess();
  expect(third).toMatchObject({ revision: 3, supersedes: dark.id });
  expect([await statusOf(first), await statusOf(third)]).toEqual(['cancelled', 'preliminary']);
  const { note } = await service.fhir(third.resources!.riskAssessment);
  expect(JSON.stringify(note)).toContain(`It supersedes ${first.resources!.riskAssessment}`);
}, 90_000);
