/** One slice as a picture: cropped to the head, in square pixels of the screen. */
import type { HeadAnatomy } from './anatomy.ts';
import { evenPositions } from './geometry.ts';
import { resampleLines, resamplePlanes, resamplingWeights } from './resampling-weights.ts';
import type { Volume } from './volume.ts';
import { greyOf } from './window.ts';

/** Shown around the brain's compartment: skull and scalp, mm. */
const AROUND_BRAIN_MM = 16;

/** Centers of the tile's pixels in mm from the first voxel of a slice, and the size of one. */
export interface Crop {
  readonly xMm: Float64Array;
  readonly yMm: Float64Array;
  readonly spacingMm: number;
}

/** The rectangle of the brain over all slices with skull and scalp around it, as wide as a tile, in square pixels. */
export function cropOf(volume: Volume, anatomy: HeadAnatomy, tileWidth: number): Crop {
  const { lattice, intracranial } = anatomy;
  let [left, right, top, bottom] = [lattice.columns, 0, lattice.rows, 0];
  intracranial.forEach((inside, cell) => {
    if (inside === 0) return;
    const column = cell % lattice.columns;
    const row = Math.floor(cell / lattice.columns) % lattice.rows;
    left = Math.min(left, column);
    right = Math.max(right, column + 1);
    top = Math.min(top, row);
    bottom = Math.max(bottom, row + 1);
  });
  const firstX = (lattice.firstColumn + left * lattice.block) * volume.columnSpacingMm - AROUND_BRAIN_MM;
  const firstY = (lattice.firstRow + top * lattice.block) * volume.rowSpacingMm - AROUND_BRAIN_MM;
  const spacingMm = ((right - left) * lattice.columnMm + 2 * AROUND_BRAIN_MM) / tileWidth;
  const tileHeight = Math.round(((bottom - top) * lattice.rowMm + 2 * AROUND_BRAIN_MM) / spacingMm);
  return {
    xMm: evenPositions(firstX + spacingMm / 2, spacingMm, tileWidth),
    yMm: evenPositions(firstY + spacingMm / 2, spacingMm, tileHeight),
    spacingMm,
  };
}

/** One slice in grey, resampled like the network's input, `[row][column]` of the tile. */
export function tileOf(volume: Volume, hu: Float32Array, slice: number, crop: Crop): Uint8Array {
  const { rows, columns } = volume;
  const across = resamplingWeights(evenPositions(0, volume.columnSpacingMm, columns), crop.xMm, crop.spacingMm);
  const down = resamplingWeights(evenPositions(0, volume.rowSpacingMm, rows), crop.yMm, crop.spacingMm);
  const wide = new Float32Array(rows * crop.xMm.length);
  const tile = new Float32Array(crop.yMm.length * crop.xMm.length);
  resampleLines(hu, slice * rows * columns, rows, across, -1024, wide, 0);
  resamplePlanes(wide, 0, crop.xMm.length, down, -1024, tile, 0);
  const grey = new Uint8Array(tile.length);
  for (let i = 0; i < tile.length; i++) grey[i] = greyOf(tile[i]);
  return grey;
}
