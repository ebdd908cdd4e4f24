/** What the network changed, read back onto the scan: the numbers of a pixel stay those of the scanner plus the change. */
import { describe, expect, it } from '@jest/globals';
import { assembleVolume } from '../../api/imaging/assemble-volume.ts';
import { backProject } from '../../api/imaging/back-projection.ts';
import { slicePositions } from '../../api/imaging/geometry.ts';
import { gridPositions } from '../../api/imaging/resample.ts';
import type { GridVolume, Volume } from '../../api/imaging/volume.ts';
import { syntheticHead } from '../support/synthetic-head.ts';

/** A volume of one HU with the geometry of a tilted, uneven stack, and a grid that covers its middle. */
function scene(tiltDeg: number, hu: number): { readonly volume: Volume; readonly image: GridVolume } {
  const gapsMm = [4.22, 4.22, 4.22, 1.14, 7.38, 7.38, 7.38];
  const { volume } = assembleVolume(syntheticHead({ tiltDeg, gapsMm, matrix: 24, fieldOfViewMm: 60 }));
  const { x, y, z } = slicePositions(volume);
  const middle = ((volume.columns - 1) / 2) * volume.columnSpacingMm;
  const shape = [60, 40, 40] as const;
  const image: GridVolume = {
    hu: new Float32Array(shape[0] * shape[1] * shape[2]).fill(hu),
    shape,
    spacingMm: [1, 2, 2], // finer than the slices, so that a ramp is read by interpolation
    centerMm: [x[3] + middle, y[3] + middle, (z[0] + z[z.length - 1]) / 2],
  };
  return { volume: { ...volume, hu: volume.hu.map(() => hu) }, image };
}

describe('The generated change on the initial CT', () => {
  it.each([0, 18.5, -25])(
    'reads a change that grows across the head exactly, tilted by %s degrees, slices uneven',
    (tilt) => {
      const { volume, image } = scene(tilt, 30);
      const [gridZ, gridY, gridX] = gridPositions(image.centerMm, image.shape, image.spacingMm);
      const changeAt = (px: number, py: number, pz: number): number => 5 + 0.1 * px - 0.2 * py + 0.3 * pz;
      const followUp = image.hu.map((hu, i) => {
        const plane = image.shape[1] * image.shape[2];
        const [slice, row, column] = [Math.floor(i / plane), Math.floor(i / image.shape[2]) % image.shape[1], i % 40];
        return hu + changeAt(gridX[column], gridY[row], gridZ[slice]);
      });
      const result = backProject(volume, image, followUp);
      const { x, y, z } = slicePositions(volume);
      let worst = 0;
      // The outer slices are averaged over half a gap that the grid may not hold; all between are exact but for the mean
      // over a slice where its two gaps differ.
      const size = volume.rows * volume.columns;
      for (let slice = 1; slice < volume.slices - 1; slice++) {
        for (let i = 0; i < size; i++) {
          const px = x[slice] + (i % volume.columns) * volume.columnSpacingMm;
          const py = y[slice] + Math.floor(i / volume.columns) * volume.rowSpacingMm;
          worst = Math.max(worst, Math.abs(result[slice * size + i] - 30 - changeAt(px, py, z[slice])));
        }
      }
      expect(worst).toBeLessThan(1e-3);
    },
  );

  it.each([
    [-21, false],
    [-20, true],
    [30, true],
    [150, true],
    [151, false],
  ])('of 12 HU at %s HU: applied is %s; fat, bone, metal and air stay what the scanner measured', (hu, applied) => {
    const { volume, image } = scene(0, hu);
    const result = backProject(
      volume,
      image,
      image.hu.map((value) => value + 12),
    );
    const middle = 3 * volume.rows * volume.columns + 12 * volume.columns + 12;
    expect(result[middle]).toBeCloseTo(applied ? hu + 12 : hu, 4);
  });

  it('of nothing gives back the initial CT, number for number, and leaves it alone', () => {
    const { volume, image } = scene(18.5, 33.25);
    const before = volume.hu.slice();
    expect(backProject(volume, image, image.hu)).toEqual(before);
    backProject(
      volume,
      image,
      image.hu.map((hu) => hu + 5),
    );
    expect(volume.hu).toEqual(before);
  });

  it('must have the size of the grid', () => {
    const { volume, image } = scene(0, 30);
    expect(() => backProject(volume, image, new Float32Array(7))).toThrow('the follow-up has 7 voxels, the grid 96000');
  });
});
