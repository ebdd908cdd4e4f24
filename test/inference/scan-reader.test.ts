/** Reading a scan in its own thread: one at a time, stoppable, and replaced when it is stopped. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { decodeInstance } from '../../api/dicom/decode.ts';
import { LongestTurn } from '../../api/http/longest-turn.ts';
import type { SeriesInput } from '../../api/assessment/ports.ts';
import type { Frame } from '../../api/imaging/volume.ts';
import { OnnxScanReader } from '../../api/inference/onnx-scan-reader.ts';
import { describeWith, repositoryRoot } from '../support/components.ts';
import { readDicomFolder } from '../support/read-dicom-folder.ts';

const modelBundle = join(repositoryRoot, 'models/hemocast-tiny');
const ct = join(repositoryRoot, 'api/sandbox/patients/rivera-ana/ct');
const never = new AbortController().signal;
/** Long enough for the latest turn to be counted. */
const tick = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 50));

const simulatedFrames = (): Promise<Frame[]> =>
  Promise.all(readdirSync(ct).map((name) => decodeInstance(readFileSync(join(ct, name)))));
const inputOf = (frames: readonly Frame[]): SeriesInput => ({
  frames,
  identity: 'test/1',
  assumedPrevalence: 0.35,
  riskBandBounds: { moderate: 0.15, high: 0.5 },
});

let reader: OnnxScanReader;
beforeAll(async () => {
  reader = await OnnxScanReader.start({ modelBundle, provider: 'cpu', readingTimeoutMs: 120_000 });
}, 60_000);
afterAll(() => reader.close());

describe('The scan reader', () => {
  it('gives the same prediction and the same generated pixels for the same frames', async () => {
    const first = await reader.read(inputOf(await simulatedFrames()), never);
    const second = await reader.read(inputOf(await simulatedFrames()), never);
    expect(second.prediction).toEqual(first.prediction);
    expect(second.images.followUpSopInstanceUid).toBe(first.images.followUpSopInstanceUid);
    expect(Buffer.compare(second.images.comparisonPng, first.images.comparisonPng)).toBe(0);
    expect(first.prediction.probability).toBeGreaterThan(0);
    expect(first.prediction.probability).toBeLessThan(1);
    expect(Object.keys(first.timings)).toContain('network');
  }, 60_000);

  it('answers other work of the process while it reads', async () => {
    const frames = await simulatedFrames();
    const turns = new LongestTurn();
    await tick();
    turns.take();
    const reading = await reader.read(inputOf(frames), never);
    await tick();
    const workMs = Object.values(reading.timings).reduce((sum, ms) => sum + ms, 0);
    // On the same thread the longest turn would be the longest of these steps, hundreds of ms; a quarter of the whole is generous.
    expect(turns.take()).toBeLessThan(workMs / 4);
  }, 60_000);

  it('lets go of a reading that is cancelled at once, and reads the next one when the thread is free', async () => {
    const controller = new AbortController();
    const reading = reader.read(inputOf(await simulatedFrames()), controller.signal, () => controller.abort());
    await expect(reading).rejects.toMatchObject({ name: 'CancelledError' });
    expect(reader.health().ok).toBe(true);
    const next = await reader.read(inputOf(await simulatedFrames()), never);
    expect(next.executionProvider).toBe('cpu');
  }, 60_000);

  it('ends a reading that takes too long as a fault that is not tried again by itself', async () => {
    const hasty = await OnnxScanReader.start({ modelBundle, provider: 'cpu', readingTimeoutMs: 20 });
    await expect(hasty.read(inputOf(await simulatedFrames()), never)).rejects.toMatchObject({
      code: 'reading-timeout',
      transient: false,
    });
    await hasty.close();
  }, 60_000);

  it('tells which step it has reached', async () => {
    const stages: string[] = [];
    await reader.read(inputOf(await simulatedFrames()), never, (stage) => stages.push(stage));
    expect(stages).toEqual([
      'assemble-volume',
      'recognize-head',
      'resample',
      'network',
      'measure',
      'back-project',
      'measure-generated',
      'draw',
      'write-dicom',
    ]);
  }, 60_000);
});

describeWith('test data', 'The scan reader on real series', () => {
  it('refuses a plastic skull although its headers are perfect', async () => {
    const frames = await readDicomFolder('philips_skull_phantom_5mm');
    await expect(reader.read(inputOf(frames), never)).rejects.toMatchObject({
      name: 'RefusalError',
      code: 'not-a-head',
    });
  }, 60_000);
});
