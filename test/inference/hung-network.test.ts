/** A network that never comes to an end is killed at its deadline: the assessment has failed, and the next one succeeds. */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import request from 'supertest';
import type { ScanReader } from '../../api/assessment/ports.ts';
import { OnnxScanReader } from '../../api/inference/onnx-scan-reader.ts';
import { startTestApp } from '../support/app.ts';
import type { TestApp } from '../support/app.ts';
import type { Story } from '../support/in-memory-hospital.ts';
import { networkProcesses } from '../support/network-processes.ts';
import { untilEnded } from '../support/queue-service.ts';
import { syntheticHead } from '../support/synthetic-head.ts';
import type { SyntheticHeadOptions } from '../support/synthetic-head.ts';

async function untilThat(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!holds() && Date.now() < deadline) await pause(25);
  expect(holds()).toBe(true);
}

describe('A network that never comes to an end', () => {
  let reader: ScanReader & { close(): Promise<void> };
  let service: TestApp;
  let before: number[];
  beforeAll(async () => {
    before = networkProcesses(process.pid);
    const modelBundle = join(import.meta.dirname, 'bundles/endless');
    reader = await OnnxScanReader.start({ modelBundle, provider: 'cpu', readingTimeoutMs: 6_000 });
    service = await startTestApp();
  });
  afterAll(async () => {
    await service.close();
    await reader.close();
  });

  const assess = async (options: SyntheticHeadOptions): Promise<request.Response> => {
    const story: Story = async (_assessment, signal) => {
      const riskBandBounds = { moderate: 0.15, high: 0.5 };
      const frames = syntheticHead({ matrix: 128, ...options });
      const input = { frames, identity: 'test/1', assumedPrevalence: 0.35, riskBandBounds };
      const { prediction, flags, maps, executionProvider, timings } = await reader.read(input, signal);
      return { kind: 'completed', prediction, flags, maps, basis: null, resources: null, executionProvider, timings };
    };
    const imagingStudy = service.hospital.addStudy({ story });
    const { body } = await request(service.app).post('/v1/assessments').send({ imagingStudy }).expect(202);
    await untilEnded(service.store, body.id);
    return request(service.app).get(`/v1/assessments/${body.id}`);
  };
  const mine = (): number[] => networkProcesses(process.pid).filter((pid) => !before.includes(pid));

  it('is killed at its deadline and replaced, and harms nobody else', async () => {
    const [first, ...others] = mine();
    expect(others).toEqual([]);

    // The network of this bundle counts without end where it sees metal.
    const hung = await assess({ spheres: [{ center: [20, 10, 5], radiusMm: 9, hu: 3_900 }] });
    expect(hung.body).toMatchObject({ status: 'failed', error: { code: 'reading-timeout' }, prediction: null });

    const next = await assess({});
    expect(next.body).toMatchObject({ status: 'completed', executionProvider: 'cpu' });
    expect(reader.health()).toMatchObject({ ok: true });
    await untilThat(() => mine().length === 1);
    expect(mine()).not.toContain(first);
  }, 60_000);

  it('takes nothing with it: the reading that waits behind it is read by the next one', async () => {
    const riskBandBounds = { moderate: 0.15, high: 0.5 };
    const read = (options: SyntheticHeadOptions): Promise<unknown> => {
      const frames = syntheticHead({ matrix: 128, ...options });
      const input = { frames, identity: 'test/1', assumedPrevalence: 0.35, riskBandBounds };
      return reader.read(input, new AbortController().signal);
    };
    const hung = read({ spheres: [{ center: [20, 10, 5], radiusMm: 9, hu: 3_900 }] });
    const waiting = read({});
    await expect(hung).rejects.toMatchObject({ code: 'reading-timeout' });
    expect(reader.health()).toMatchObject({ ok: false, executionProvider: null });
    await expect(waiting).resolves.toMatchObject({ executionProvider: 'cpu' });
    expect(mine()).toHaveLength(1);
  }, 60_000);

  it('is replaced at once where it crashes, before anyone asks for a reading', async () => {
    const [crashing] = mine();
    process.kill(crashing, 'SIGKILL');
    await untilThat(() => !reader.health().ok);
    await untilThat(() => reader.health().ok);
    expect(mine()).toHaveLength(1);
    expect(mine()).not.toContain(crashing);
  }, 60_000);

  it('does not hold up the end of the service', async () => {
    const frames = syntheticHead({ matrix: 128, spheres: [{ center: [20, 10, 5], radiusMm: 9, hu: 3_900 }] });
    const riskBandBounds = { moderate: 0.15, high: 0.5 };
    const input = { frames, identity: 'test/1', assumedPrevalence: 0.35, riskBandBounds };
    const reading = new Promise<void>((begun) => {
      reader
        .read(input, new AbortController().signal, (stage) => stage === 'network' && begun())
        .catch(() => undefined);
    });
    await reading;
    await reader.close();
    await untilThat(() => mine().length === 0);
  }, 60_000);
});
