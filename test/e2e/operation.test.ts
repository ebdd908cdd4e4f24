/** `hemocast pause`, `shadow` and `resume` on a running service, as an administrator types them. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { repositoryRoot } from '../support/components.ts';
import { pause, ServiceProcess } from '../support/service-process.ts';
import type { AssessmentJson } from '../support/service-process.ts';

const run = promisify(execFile);
let service: ServiceProcess;
beforeAll(async () => {
  service = await ServiceProcess.start();
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
const ready = async (): Promise<{ operation: unknown }> =>
  (await (await service.fetch('/health/ready')).json()) as { operation: unknown };

it('paused, the service keeps requests, writes nothing, and health says so and why', async () => {
  expect(await hemocast('pause', '--reason', 'Upgrade of the PACS')).toBe('paused');
  expect((await ready()).operation).toMatchObject({ mode: 'paused', reason: 'Upgrade of the PACS' });
  const { status, body } = await service.assess('ImagingStudy/novak-petra-ct');
  expect(status).toBe(202);
  await pause(2_500);
  const waiting = (await (await service.fetch(`/v1/assessments/${body.id}`)).json()) as AssessmentJson;
  expect(waiting.status).toBe('created');
  expect(await forecasts('novak-petra')).toBe(0);

  expect(await hemocast('resume')).toBe('running');
  expect((await service.finished(body.id)).status).toBe('completed');
  expect(await forecasts('novak-petra')).toBe(1);
}, 60_000);

it('paused while it works, the service leaves no half-written result behind', async () => {
  const { body } = await service.assess('ImagingStudy/silva-bento-ct');
  await pause(900);
  await hemocast('pause');
  await service.fhir('metadata');
  await hemocast('resume');
  expect((await service.finished(body.id)).status).toBe('completed');
  expect(await forecasts('silva-bento')).toBe(1);
}, 60_000);

it('paused at any moment of an assessment, the service writes nothing a second later', async () => {
  const versions = async (): Promise<string[]> => {
    const types = ['RiskAssessment', 'Observation', 'Media', 'DocumentReference', 'Provenance'];
    const found = await Promise.all(types.map((type) => service.fhir(`${type}?_count=1000`)));
    const entries = found.flatMap(
      ({ entry = [] }) => entry as { resource: { id: string; meta: { versionId: string } } }[],
    );
    return entries.map(({ resource }) => `${resource.id} ${resource.meta.versionId}`);
  };
  for (const ms of [400, 700, 900, 1_100]) {
    const { body } = await service.assess('ImagingStudy/haddad-omar-ct', { force: true });
    await pause(ms);
    await service.setMode('paused');
    await pause(1_000);
    const then = await versions();
    await pause(1_000);
    expect(await versions()).toEqual(then);
    await service.setMode('running');
    expect((await service.finished(body.id)).status).toBe('completed');
  }
  const { entry } = await service.fhir('RiskAssessment?subject=Patient/haddad-omar');
  const statuses = entry.map(({ resource }: { resource: { status: string } }) => resource.status);
  expect(statuses.sort()).toEqual(['cancelled', 'cancelled', 'cancelled', 'preliminary']);
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
  await hemocast('shadow');
  const shadow = await service.finished((await service.assess('ImagingStudy/tanaka-hiro-ct')).body.id);
  expect(shadow).toMatchObject({ status: 'completed', resources: null });
  expect(shadow.prediction!.probability).toBeGreaterThan(0);
  expect(shadow.flags.map(({ code }) => code)).toContain('shadow-operation');
  expect(await forecasts('tanaka-hiro')).toBe(0);

  await hemocast('resume');
  const { status, body } = await service.assess('ImagingStudy/tanaka-hiro-ct');
  expect(status).toBe(202);
  expect((await service.finished(body.id)).resources).not.toBeNull();
  expect(await forecasts('tanaka-hiro')).toBe(1);
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
  const assessment = (await (await service.fetch(`/v1/assessments/${id}`)).json()) as AssessmentJson;
  expect(assessment.withdrawal).toMatchObject({ code: 'study-withdrawn' });
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
