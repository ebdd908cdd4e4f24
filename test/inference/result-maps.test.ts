/** Where the maps of a result lie: what they point at is where it is in the head, whichever way the scan was stored. */
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import type { ResultMap, ResultMaps } from '../../api/assessment/result-maps.ts';
import { assembleVolume } from '../../api/imaging/assemble-volume.ts';
import { findHeadCenter } from '../../api/imaging/head-grid.ts';
import { resampleToGrid } from '../../api/imaging/resample.ts';
import type { GridVolume, Volume } from '../../api/imaging/volume.ts';
import { makeResultMaps } from '../../api/inference/result-maps.ts';
import { storedAnotherWay, syntheticHead } from '../support/synthetic-head.ts';

const SHAPE = [24, 128, 128] as const;
const COARSE = [24, 32, 32] as const;
const BLEED = { center: [24, -13, 9], radiusMm: 11, hu: 75 } as const;
const SHIFT = [7, -5] as const;

function read(tiltDeg: number, way: number, spheres: readonly (typeof BLEED)[]): { volume: Volume; image: GridVolume } {
  const frames = syntheticHead({ tiltDeg, shiftMm: SHIFT, spheres, slices: 34 });
  const { volume } = assembleVolume(frames.map((frame) => storedAnotherWay(frame, way)));
  return { volume, image: resampleToGrid(volume, findHeadCenter(volume), SHAPE, [5, 1.5, 1.5], -1024) };
}

/** A network that takes the bleed away, and that looked where it lies. */
function mapsOf(tiltDeg: number, way: number): ResultMaps {
  const { volume, image } = read(tiltDeg, way, [BLEED]);
  const without = read(tiltDeg, way, []).image.hu;
  const attention = new Float32Array(COARSE[0] * COARSE[1] * COARSE[2]);
  image.hu.forEach((hu, at) => {
    const [slice, row, column] = [Math.floor(at / 128 ** 2), Math.floor(at / 128) % 128, at % 128];
    attention[(slice * 32 + (row >> 2)) * 32 + (column >> 2)] += hu - without[at];
  });
  const sum = attention.reduce((total, weight) => total + weight, 0);
  const output = { followUpHu: without, attention: attention.map((weight) => weight / sum) };
  return makeResultMaps({ volume, image, output, seriesInstanceUid: '2.25.11' }, { attentionShape: COARSE });
}

/** Centre of mass in patient coordinates, as openapi.yaml says how to read a grid. */
function centerOf({ grid }: ResultMap, values: ArrayLike<number>): number[] {
  const center = [0, 0, 0];
  let sum = 0;
  Array.from(values).forEach((value, at) => {
    const slice = Math.floor(at / (grid.rows * grid.columns));
    const row = Math.floor(at / grid.columns) % grid.rows;
    const column = at % grid.columns;
    for (let axis = 0; axis < 3; axis++) {
      center[axis] +=
        value *
        (grid.origin[axis] +
          column * grid.columnSpacingMm * grid.rowDirection[axis] +
          row * grid.rowSpacingMm * grid.columnDirection[axis] +
          slice * grid.sliceSpacingMm * grid.normal[axis]);
    }
    sum += value;
  });
  return center.map((value) => value / sum);
}

const attentionOf = ({ attention }: ResultMaps): Uint8Array => new Uint8Array(gunzipSync(attention.gzip));
const differenceOf = ({ difference }: ResultMaps): Int16Array =>
  new Int16Array(new Uint8Array(gunzipSync(difference.gzip)).buffer);

describe('The maps of a result', () => {
  it.each([
    [0, 0],
    [18, 0],
    [-18, 5],
    [0, 3],
  ])('lie on the bleed, tilted by %i degrees and stored in way %i', (tilt, way) => {
    const maps = mapsOf(tilt, way);
    const bleed = [BLEED.center[0] + SHIFT[0], BLEED.center[1] + SHIFT[1], BLEED.center[2]];
    for (const [map, values] of [
      [maps.difference, differenceOf(maps)],
      [maps.attention, attentionOf(maps)],
    ] as const) {
      const off = centerOf(map, values).map((value, axis) => value - bleed[axis]);
      expect(Math.hypot(...off)).toBeLessThan(0.6); // mm, of voxels of 1.5 and 6 mm
    }
  });

  it('say by how many HU, and what one step of attention is worth', () => {
    const maps = mapsOf(0, 0);
    const difference = differenceOf(maps).sort();
    expect([difference[0], difference[difference.length - 1]]).toEqual([32 - BLEED.hu, 0]);
    const attention = attentionOf(maps);
    expect(attention.toSorted().at(-1)).toBe(255);
    expect(attention.reduce((sum, value) => sum + value, 0) * maps.attention.scale).toBeCloseTo(1, 2);
  });

  it('stay empty where nothing was attended and nothing changed', () => {
    const { volume, image } = read(0, 0, []);
    const output = { followUpHu: image.hu, attention: new Float32Array(COARSE[0] * COARSE[1] * COARSE[2]) };
    const maps = makeResultMaps({ volume, image, output, seriesInstanceUid: '2.25.11' }, { attentionShape: COARSE });
    expect(attentionOf(maps).every((value) => value === 0)).toBe(true);
    expect(differenceOf(maps).every((value) => value === 0)).toBe(true);
    expect(maps.attention.scale).toBe(0);
  });
});
