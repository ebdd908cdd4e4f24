/** What the reading says of the network's own doubt. The network itself is a stand-in here: only its outputs matter. */
import { beforeAll, describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { loadBundle } from '../../api/inference/bundle.ts';
import type { Bundle } from '../../api/inference/bundle.ts';
import { readSeries } from '../../api/inference/read-series.ts';
import type { SeriesReading } from '../../api/assessment/ports.ts';
import { repositoryRoot } from '../support/components.ts';
import { syntheticHead } from '../support/synthetic-head.ts';

let bundle: Bundle;
beforeAll(() => {
  bundle = loadBundle(join(repositoryRoot, 'models/hemocast-tiny'));
});

function read(oodScore: number, changes: Partial<Bundle> = {}): Promise<SeriesReading> {
  const used = { ...bundle, ...changes };
  const model = {
    executionProvider: 'cpu',
    run: async (image: Float32Array) => ({
      logit: 0.5,
      probability: 0.62,
      followUpHu: image,
      attention: new Float32Array(24 * 32 * 32),
      oodScore,
    }),
  };
  const input = {
    frames: syntheticHead({}),
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

  it('of a scan unlike the training scans is flagged, or refused where the bundle says so', async () => {
    const { threshold } = bundle.outOfDistribution;
    expect(codes(await read(threshold * 1.1))).toContain('out-of-distribution');
    const refusing = read(threshold * 1.1, { outOfDistribution: { threshold, action: 'refuse' } });
    await expect(refusing).rejects.toMatchObject({ code: 'out-of-distribution', details: { limit: threshold } });
  }, 30_000);

  it('of a bundle without an interval has none, and says so', async () => {
    const calibration = { ...bundle.calibration, interval: null, intervalAbsentReason: 'not stated' };
    const reading = await read(0, { calibration });
    expect(reading.prediction.probabilityInterval).toBeNull();
    expect(codes(reading)).toContain('interval-absent');
  }, 30_000);
});
