import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { backProject } from '../../api/imaging/back-projection.ts';
import { assembleVolume } from '../../api/imaging/assemble-volume.ts';
import { findHeadCenter } from '../../api/imaging/head-grid.ts';
import { resampleToGrid } from '../../api/imaging/resample.ts';
import { denseWeights, resamplingWeights } from '../../api/imaging/resampling-weights.ts';
import type { Volume } from '../../api/imaging/volume.ts';
import { syntheticHead } from '../support/synthetic-head.ts';

const GRID = { shape: [24, 128, 128], spacing: [5, 1.5, 1.5] } as const;

const weightsOf = (positions: number[], output: number, spacing: number): number[] =>
  denseWeights(resamplingWeights(positions, [output], spacing))[0];

/** Increasing positions with gaps of 0.2 to 9 mm. */
const unevenPositions = fc
  .array(fc.double({ min: 0.2, max: 9, noNaN: true }), { minLength: 1, maxLength: 30 })
  .map((gaps) => gaps.reduce((positions, gap) => [...positions, positions[positions.length - 1] + gap], [-40]));

describe('Resampling weights', () => {
  it('interpolate linearly where the output is no wider than the gap', () => {
    expect(weightsOf([0, 1, 2, 3], 1.5, 1)).toEqual([0, 0.5, 0.5, 0]);
    expect(weightsOf([0, 4, 6], 1, 2)).toEqual([0.75, 0.25, 0]);
  });

  it('average thin slices over the thickness of the output', () => {
    // s = 3, g = 1: a box of h = 2 over [1, 3]. Hat of 1: its falling half, area 1/2, over 2 -> 1/4. Hat of 2: area 1 -> 1/2.
    expect(weightsOf([0, 1, 2, 3, 4], 2, 3)).toEqual([0, 0.25, 0.5, 0.25, 0]);
  });

  it('take each side of the box from its own gap where the spacing changes', () => {
    // s = 3, g = 1 (the gap 4..5 holds 4.5): box [3.5, 5.5].
    // Hat of 0: integral of (4 - x)/4 over 3.5..4 = 0.03125. Hat of 4: 0.46875 below it, 0.5 above. Hat of 5: 0.5 + 0.5 beyond.
    const weights = weightsOf([0, 4, 5], 4.5, 3);
    [0.03125 / 2, 0.96875 / 2, 1 / 2].forEach((expected, i) => expect(weights[i]).toBeCloseTo(expected, 14));
  });

  it('continue the last slice by half its gap and leave the rest to the pad value', () => {
    expect(weightsOf([0, 1], 1.4, 1)).toEqual([0, 1]);
    expect(weightsOf([0, 1], 1.6, 1)).toEqual([0, 0]);
    // s = 2, g = 1: box [1, 2] at q = 1.5; only [1, 1.5] is covered.
    expect(weightsOf([0, 1], 1.5, 2)).toEqual([0, 0.5]);
  });

  it('are the identity on an equal grid, also when the positions carry rounding errors', () => {
    const positions = Array.from({ length: 20 }, (_, i) => 0.1 + i * 0.3 * 5);
    denseWeights(resamplingWeights(positions, positions, 1.5)).forEach((row, i) =>
      row.forEach((weight, j) => expect(weight).toBeCloseTo(i === j ? 1 : 0, 9)),
    );
  });

  it('never amplify: they are not negative and sum to 1 inside the range, at most to 1 at its ends', () => {
    fc.assert(
      fc.property(
        unevenPositions,
        fc.double({ min: -60, max: 250, noNaN: true }),
        fc.double({ min: 0.1, max: 12, noNaN: true }),
        (positions, q, s) => {
          const weights = weightsOf(positions, q, s);
          const sum = weights.reduce((total, weight) => total + weight, 0);
          expect(Math.min(...weights)).toBeGreaterThanOrEqual(-1e-12);
          expect(sum).toBeLessThanOrEqual(1 + 1e-9);
          if (q - s / 2 >= positions[0] && q + s / 2 <= positions[positions.length - 1]) expect(sum).toBeCloseTo(1, 9);
        },
      ),
      { seed: 11, numRuns: 300 },
    );
  });

  it('reproduce a linear ramp over any slice positions where they interpolate', () => {
    fc.assert(
      fc.property(unevenPositions, fc.double({ min: 0, max: 1, noNaN: true }), (positions, share) => {
        const q = positions[0] + share * (positions[positions.length - 1] - positions[0]);
        const value = weightsOf(positions, q, 0.1).reduce((sum, weight, i) => sum + weight * (7 - 3 * positions[i]), 0);
        expect(value).toBeCloseTo(7 - 3 * q, 6);
      }),
      { seed: 12, numRuns: 300 },
    );
  });

  it('refuse positions that are not increasing', () => {
    expect(() => resamplingWeights([0, 2, 2], [1], 1)).toThrow(RangeError);
    expect(() => resamplingWeights([0], [0], 1)).toThrow(RangeError);
  });
});

/** A volume whose HU is a linear function of patient coordinates, so that the right answer is known everywhere. */
function rampVolume(
  tiltDeg: number,
  gapsMm: number[],
): { volume: Volume; at: (x: number, y: number, z: number) => number } {
  const { volume } = assembleVolume(
    syntheticHead({ tiltDeg, gapsMm, matrix: 96, fieldOfViewMm: 240, sliceThicknessMm: 7 }),
  );
  const hu = volume.hu.slice();
  const at = (x: number, y: number, z: number): number => 0.5 * x - 0.8 * y + 1.25 * z + 3;
  const { rows, columns, rowSpacingMm, columnSpacingMm, rowDirection: r, columnDirection: c } = volume;
  for (let i = 0; i < hu.length; i++) {
    const slice = Math.floor(i / (rows * columns));
    const [row, column] = [Math.floor(i / columns) % rows, i % columns];
    const point = volume.origins[slice].map((o, k) => o + column * columnSpacingMm * r[k] + row * rowSpacingMm * c[k]);
    hu[i] = at(point[0], point[1], point[2]);
  }
  return { volume: { ...volume, hu }, at };
}

describe('The model grid', () => {
  it.each([0, 18.5, -25])(
    'reads a ramp in patient space exactly through a gantry tilt of %s degrees and uneven slices',
    (tilt) => {
      const gaps = [...new Array<number>(13).fill(4.22), 1.14, ...new Array<number>(13).fill(7.38)];
      const { volume, at } = rampVolume(tilt, gaps);
      const { normal: n, columnDirection: c, rowDirection: r } = volume;
      const middle = volume.origins[14].map((o, k) => o + 110 * r[k] + 110 * c[k]);
      const inPlanes = [r, c, n].map((axis) => axis.reduce((sum, value, k) => sum + value * middle[k], 0));
      const shape = [9, 20, 24] as const;
      const grid = resampleToGrid(volume, inPlanes as [number, number, number], shape, [1, 2.5, 2.5], -1024);
      let worst = 0;
      grid.hu.forEach((hu, i) => {
        const offsets = [
          ((i % shape[2]) - (shape[2] - 1) / 2) * 2.5,
          ((Math.floor(i / shape[2]) % shape[1]) - (shape[1] - 1) / 2) * 2.5,
          Math.floor(i / (shape[1] * shape[2])) - (shape[0] - 1) / 2,
        ];
        const p = middle.map((m, k) => m + offsets[0] * r[k] + offsets[1] * c[k] + offsets[2] * n[k]);
        worst = Math.max(worst, Math.abs(hu - at(p[0], p[1], p[2])));
      });
      expect(worst).toBeLessThan(1e-3);
    },
  );

  it('pads what was not scanned with -1024', () => {
    const { volume } = assembleVolume(syntheticHead());
    const [cx, cy, cz] = findHeadCenter(volume);
    const grid = resampleToGrid(volume, [cx, cy, cz + 500], [4, 8, 8], [5, 1.5, 1.5], -1024);
    expect([...new Set(grid.hu)]).toEqual([-1024]);
  });
});

describe('The way back onto the initial CT', () => {
  const { volume } = assembleVolume(syntheticHead({ tiltDeg: 15, noiseHu: 4 }));
  const center = findHeadCenter(volume);
  const image = resampleToGrid(volume, center, GRID.shape, GRID.spacing, -1024);

  it('changes nothing where the network changed nothing', () => {
    expect(backProject(volume, image, image.hu)).toEqual(volume.hu);
  });

  it('keeps air, fat, bone and everything outside -20 to 150 HU exactly', () => {
    const result = backProject(
      volume,
      image,
      image.hu.map((hu) => hu + 40),
    );
    const touched = volume.hu.filter((hu, i) => (hu < -20 || hu > 150) && result[i] !== hu);
    expect(touched).toHaveLength(0);
  });

  it('adds a uniform change in full inside the grid and nothing outside it', () => {
    const result = backProject(
      volume,
      image,
      image.hu.map((hu) => hu + 10),
    );
    const plane = volume.rows * volume.columns;
    const brain = (slice: number): number[] =>
      [...volume.hu.subarray(slice * plane, (slice + 1) * plane)].flatMap((hu, i) =>
        hu > -20 && hu < 100 ? [result[slice * plane + i] - hu] : [],
      );
    const changes = brain(18);
    expect(changes.length).toBeGreaterThan(500);
    changes.forEach((change) => expect(change).toBeCloseTo(10, 3));
    // The lowest slice lies 137 mm below the vertex, the grid ends at 116 mm.
    expect(brain(0).every((change) => change === 0)).toBe(true);
  });
});
