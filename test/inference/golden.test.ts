/** What the trainer wrote, the service reproduces: weights of the resampling, the resampled image, and the network's outputs. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { denseWeights, resamplingWeights } from '../../api/imaging/resampling-weights.ts';
import { describeWith, repositoryRoot, testDataDir } from '../support/components.ts';

const run = promisify(execFile);
const bundle = join(repositoryRoot, 'models/hemocast-tiny');

interface Summary {
  readonly mean: number;
  readonly sd: number;
  readonly samples: readonly (readonly [number, number])[];
}
interface GoldenCase {
  readonly folder: string;
  readonly center_mm: readonly number[];
  readonly image: Summary;
  readonly logit: number;
  readonly probability: number;
  readonly ood_score: number;
  readonly follow_up: Summary;
  readonly attention: Summary;
}
type Tolerance = 'weight' | 'resampled_hu' | 'logit' | 'probability' | 'ood_score' | 'follow_up_hu' | 'attention';
const golden = JSON.parse(readFileSync(join(bundle, 'golden/golden.json'), 'utf8')) as {
  readonly tolerance: Readonly<Record<Tolerance, number>>;
  readonly weights: readonly { positions: number[]; outputs: number[]; spacing: number; weights: number[][] }[];
  readonly dicom: readonly GoldenCase[];
};

const networkChild = async (...args: string[]): Promise<unknown> => {
  const script = join(repositoryRoot, 'test/support/network-child.ts');
  const { stdout } = await run(process.execPath, ['--disable-warning=ExperimentalWarning', script, ...args], {
    maxBuffer: 2 ** 26,
  });
  return JSON.parse(stdout);
};

/** Every sample, and by mean and standard deviation all that was not sampled. */
const expectSame = (values: readonly number[], { samples, mean, sd }: Summary, tolerance: number): void => {
  const off = (index: number, value: number): number => Math.abs(values[index] - value);
  expect(Math.max(...samples.map(([index, value]) => off(index, value)))).toBeLessThanOrEqual(tolerance);
  const gotMean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const gotVariance = values.reduce((sum, value) => sum + (value - gotMean) ** 2, 0) / values.length;
  expect(Math.abs(gotMean - mean)).toBeLessThanOrEqual(tolerance);
  expect(Math.abs(Math.sqrt(gotVariance) - sd)).toBeLessThanOrEqual(tolerance);
};

it('has golden cases at all', () => {
  expect(golden.weights.length).toBeGreaterThan(0);
  expect(golden.dicom.map(({ folder }) => folder)).toContain('api/sandbox/patients/silva-bento/ct'); // tilted, 7 mm
});

it.each(golden.weights)('resampling weights equal the trainer’s (spacing $spacing mm)', (given) => {
  const weights = denseWeights(resamplingWeights(given.positions, given.outputs, given.spacing));
  expect(weights.length).toBe(given.weights.length);
  const differences = weights.flatMap((row, i) => row.map((weight, j) => Math.abs(weight - given.weights[i][j])));
  expect(Math.max(...differences)).toBeLessThanOrEqual(golden.tolerance.weight);
});

describe.each(golden.dicom)('From the DICOM files of $folder', (want) => {
  let got: Record<'logit' | 'probability' | 'oodScore', number> &
    Record<'centerMm' | 'image' | 'followUp' | 'attention', number[]>;
  beforeAll(async () => {
    got = (await networkChild(bundle, 'case', join(repositoryRoot, want.folder))) as typeof got;
  }, 60_000);

  it('the head is found in the same place', () => {
    got.centerMm.forEach((mm, axis) => expect(mm).toBeCloseTo(want.center_mm[axis], 4));
  });

  it('the network sees the same image', () => {
    expectSame(got.image, want.image, golden.tolerance.resampled_hu);
  });

  it('the probability is the same', () => {
    expect(Math.abs(got.logit - want.logit)).toBeLessThanOrEqual(golden.tolerance.logit);
    expect(Math.abs(got.probability - want.probability)).toBeLessThanOrEqual(golden.tolerance.probability);
  });

  it('the generated follow-up CT is the same', () => {
    expectSame(got.followUp, want.follow_up, golden.tolerance.follow_up_hu);
  });

  it('so are its strangeness, which flags or refuses it, and where the network looked', () => {
    expect(Math.abs(got.oodScore - want.ood_score)).toBeLessThanOrEqual(golden.tolerance.ood_score);
    expectSame(got.attention, want.attention, golden.tolerance.attention);
  });
});

describeWith('test data', 'The generated follow-up of a real head CT without a fresh lesion', () => {
  it('keeps its anatomy: bone as it is, the brain within 10 HU', async () => {
    const folder = join(testDataDir, 'ge_hispeed_head_tilt');
    const { image, followUp } = (await networkChild(bundle, 'case', folder)) as Record<'image' | 'followUp', number[]>;
    const bone = image.flatMap((hu, at) => (hu > 150 ? [at] : []));
    expect(bone.length).toBeGreaterThan(20_000);
    expect(bone.every((at) => followUp[at] === image[at])).toBe(true);

    const [rows, columns] = [128, 128];
    const around = [-1, 0, 1].flatMap((y) => [-1, 0, 1].map((x) => y * columns + x));
    const mean = (values: number[], at: number): number => around.reduce((sum, to) => sum + values[at + to], 0) / 9;
    const changes: number[] = [];
    for (let at = columns + 1; at < image.length - columns - 1; at++) {
      const beside = [at % columns, Math.floor(at / columns) % rows];
      if (beside.some((place) => place === 0 || place === 127)) continue;
      const soft = around.every((to) => image[at + to] > -20 && image[at + to] < 90);
      const hu = mean(image, at); // of a voxel alone, noise is taken away
      if (soft && hu > 10 && hu < 60) changes.push(mean(followUp, at) - hu);
    }
    expect(changes.length).toBeGreaterThan(80_000); // 0.9 L
    expect(changes.filter((hu) => Math.abs(hu) > 10).length / changes.length).toBeLessThan(0.01);
    changes.sort((a, b) => a - b);
    expect(Math.abs(changes[changes.length >> 1])).toBeLessThan(2);
  }, 60_000);
});

it('refuses to give a number when the network returns none', async () => {
  expect(await networkChild(bundle, 'not-a-number')).toEqual({ refused: 'model-output-invalid' });
}, 60_000);
