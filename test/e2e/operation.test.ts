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
