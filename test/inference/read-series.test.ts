/** What the reading says of the network's own doubt. The network itself is a stand-in here: only its outputs matter. */
import { beforeAll, describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { loadBundle } from '../../api/inference/bundle.ts';
import type { Bundle } from '../../api/inference/bundle.ts';
import { readSeries } from '../../api/inference/read-series.ts';
import type { SeriesReading } from '../../api/assessment/ports.ts';
import { repositoryRoot } from '../support/components.ts';
import { syntheticHead } from '../support/synthetic-head.ts';
import type { Sphere } from '../support/synthetic-head.ts';

let bundle: Bundle;
beforeAll(() => {
  bundle = loadBundle(join(repositoryRoot, 'models/hemocast-tiny'));
});

function read(
  oodScore: number,
  changes: Partial<Bundle> = {},
  { probability = 0.62, spheres = [] as readonly Sphere[], followUp = (hu: number): number => hu } = {},
): Promise<SeriesReading> {
  const used = { ...bundle, ...changes };
  const model = {
    executionProvider: 'cpu',
    run: async (image: Float32Array) => ({
      logit: 0.5,
      probability,
      followUpHu: image.map(followUp),
      attention: new Float32Array(24 * 32 * 32),
      oodScore,
    }),
  };
  const input = {
    frames: syntheticHead({ spheres }),
    identity: 'test/1',
    assumedPrevalence: 0.35,
    riskBandBounds: { moderate: 0.15, high: 0.5 },
  };
  return readSeries(input, used, model);
}
const codes = ({ flags }: SeriesReading): string[] => flags.map(({ code }) => code);

describe('A reading', () => {
  it('always says that contrast can look like blood, and nothing of strangeness where there is none', async () => {
    const flags = codes(await read(bundle.outOfDistribution.threshold));
    expect(flags).toContain('contrast-can-look-like-blood');
    expect(flags).not.toContain('out-of-distribution');
  }, 30_000);

  it('of a scan unlike the training scans is flagged, and refused only far beyond that, where the bundle says so', async () => {
    const { threshold } = bundle.outOfDistribution;
    expect(codes(await read(threshold * 1.1))).toContain('out-of-distribution');
    const refuseAbove = threshold * 5;
    const changes = { outOfDistribution: { threshold, refuseAbove } };
    expect(codes(await read(threshold * 4.9, changes))).toContain('out-of-distribution');
    const refusing = read(threshold * 5.1, changes);
    await expect(refusing).rejects.toMatchObject({ code: 'out-of-distribution', details: { limit: refuseAbove } });
  }, 30_000);

  it('forecasts the hyperdense volume of the generated image by the definition for the initial one', async () => {
    const spheres: Sphere[] = [{ center: [24, -13, 9], radiusMm: 12, hu: 70 }];
    const { prediction } = await read(0, {}, { spheres });
    const initialMl = prediction.measurements.hyperdenseVolumeMl.value!;
    expect(initialMl).toBeGreaterThan(4); // a ball of 7.2 mL
    expect(prediction.generatedHyperdenseVolumeMl).toBeCloseTo(initialMl, 6); // this network changed nothing
  }, 30_000);

  it('whose probability and generated image contradict each other says so', async () => {
    const spheres: Sphere[] = [{ center: [24, -13, 9], radiusMm: 12, hu: 70 }];
    const washedOut = { spheres, followUp: (hu: number): number => (hu > 40 && hu < 100 ? 32 : hu) };
    expect(codes(await read(0, {}, { ...washedOut, probability: 0.95 }))).toContain('tasks-disagree');
    expect(codes(await read(0, {}, { ...washedOut, probability: 0.2 }))).not.toContain('tasks-disagree');
    const spread = (hu: number): number => (hu > 25 && hu < 40 ? 70 : hu);
    expect(codes(await read(0, {}, { followUp: spread, probability: 0.05 }))).toContain('tasks-disagree');
    expect(codes(await read(0, {}, { followUp: spread, probability: 0.5 }))).not.toContain('tasks-disagree');
  }, 60_000);

  it('changes nothing beside metal that is brighter than the network can return', async () => {
    const spheres: Sphere[] = [{ center: [24, -13, 9], radiusMm: 4, hu: 20_000 }];
    const asTheGraphClips = (hu: number): number => Math.min(3100, hu);
    const { maps } = await read(0, {}, { spheres, followUp: asTheGraphClips });
    const difference = new Int16Array(new Uint8Array(gunzipSync(maps.difference.gzip)).buffer);
    expect(difference.every((hu) => hu === 0)).toBe(true);
  }, 30_000);

  it('of a bundle without an interval has none, and says so', async () => {
    const calibration = { ...bundle.calibration, interval: null, intervalAbsentReason: 'not stated' };
    const reading = await read(0, { calibration });
    expect(reading.prediction.probabilityInterval).toBeNull();
    expect(codes(reading)).toContain('interval-absent');
  }, 30_000);
});
