import { describe, expect, it } from '@jest/globals';
import { findCalvarium, findHeadCenter } from '../../api/imaging/head-grid.ts';
import type { Volume } from '../../api/imaging/volume.ts';
import { refusalOf } from '../support/refusal.ts';

/** Slices of 1 mm pixels; slice i holds a block of bone of `areas[i]` mm2, 10 columns wide, from column 20 and row 5 on. */
function blocks(areas: readonly number[], gapMm = 10): Volume {
  const [rows, columns] = [80, 60];
  const hu = new Float32Array(areas.length * rows * columns).fill(-1000);
  areas.forEach((area, slice) => {
    for (let i = 0; i < area; i++) hu[(slice * rows + 5 + Math.floor(i / 10)) * columns + 20 + (i % 10)] = 1000;
  });
  return {
    hu,
    slices: areas.length,
    rows,
    columns,
    rowSpacingMm: 1,
    columnSpacingMm: 1,
    rowDirection: [1, 0, 0],
    columnDirection: [0, 1, 0],
    normal: [0, 0, 1],
    origins: areas.map((_, i) => [-100, -50, i * gapMm]),
    sopInstanceUids: areas.map((_, i) => `2.25.${i}`),
  };
}

describe('The centre of the model grid', () => {
  it('lies 56 mm below the height at which 300 mm2 of bone are reached, interpolated between two slices', () => {
    // Slice 10 (100 mm) has 400 mm2, slice 11 (110 mm) has 100: 300 mm2 lie a third of the way up, at 103.33 mm.
    const volume = blocks([...new Array<number>(10).fill(600), 400, 100]);
    const { vertexZ, centerMm } = findCalvarium(volume);
    expect(vertexZ).toBeCloseTo(100 + 10 / 3, 10);
    expect(centerMm[2]).toBeCloseTo(100 + 10 / 3 - 56, 10);
  });

  it('takes half a gap above the topmost slice when that still holds bone', () => {
    expect(findCalvarium(blocks(new Array<number>(12).fill(600))).vertexZ).toBe(115);
  });

  it('lies in the middle of the bone between 20 and 100 mm below the vertex', () => {
    // Blocks of 600 mm2: columns 20..29 -> x = -100 + 24.5, rows 5..64 -> y = -50 + 34.5.
    const [cx, cy] = findHeadCenter(blocks(new Array<number>(12).fill(600)));
    expect(cx).toBeCloseTo(-75.5, 10);
    expect(cy).toBeCloseTo(-15.5, 10);
  });

  it('is refused where there is no calvarium', () => {
    expect(refusalOf(() => findHeadCenter(blocks(new Array<number>(12).fill(200))))).toMatchObject({
      code: 'not-a-head',
      details: { largestBoneAreaMm2: 200, requiredBoneAreaMm2: 300 },
    });
  });
});
