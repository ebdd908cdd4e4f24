/** A CT series read on the model grid: docs/bundle.md, "The model grid". */
import { evenPositions, slicePositions } from './geometry.ts';
import type { AxisWeights } from './resampling-weights.ts';
import { resampleLines, resamplePlanes, resamplingWeights } from './resampling-weights.ts';
import type { GridVolume, Vector3, Volume } from './volume.ts';

/**
 * Reads a volume on an evenly spaced grid aligned with its image planes: columns, then rows, then slices.
 * Gantry tilt is a shift of the row positions of each slice; uneven slice positions enter the slice weights as they are.
 *
 * @param centerMm grid centre (x, y, z) in the axes of the image planes, see `findHeadCenter`
 * @param shape, spacingMm slices, rows, columns
 * @param padHu value of everything outside the scan
 */
export function resampleToGrid(
  volume: Volume,
  centerMm: Vector3,
  shape: readonly [number, number, number],
  spacingMm: readonly [number, number, number],
  padHu: number,
): GridVolume {
  const [gridZ, gridY, gridX] = gridPositions(centerMm, shape, spacingMm);
  const { x, y, z } = slicePositions(volume);
  const plane = shape[1] * shape[2];
  const planes = new Float32Array(volume.slices * plane);
  const wide = new Float32Array(volume.rows * shape[2]);
  const columnWeights = perShift((first) =>
    resamplingWeights(evenPositions(first, volume.columnSpacingMm, volume.columns), gridX, spacingMm[2]),
  );
  const rowWeights = perShift((first) =>
    resamplingWeights(evenPositions(first, volume.rowSpacingMm, volume.rows), gridY, spacingMm[1]),
  );
  for (let s = 0; s < volume.slices; s++) {
    resampleLines(volume.hu, s * volume.rows * volume.columns, volume.rows, columnWeights(x[s]), padHu, wide, 0);
    resamplePlanes(wide, 0, shape[2], rowWeights(y[s]), padHu, planes, s * plane);
  }
  const hu = new Float32Array(shape[0] * plane);
  resamplePlanes(planes, 0, plane, resamplingWeights(z, gridZ, spacingMm[0]), padHu, hu, 0);
  return { hu, shape, spacingMm, centerMm };
}

/** Voxel centres of a grid, mm: [slices, rows, columns]. */
export function gridPositions(
  centerMm: Vector3,
  shape: readonly [number, number, number],
  spacingMm: readonly [number, number, number],
): Float64Array[] {
  return shape.map((n, axis) =>
    evenPositions(centerMm[2 - axis] - ((n - 1) / 2) * spacingMm[axis], spacingMm[axis], n),
  );
}

/** Computes weights anew only where the first position differs from the slice before: most series have one. */
export function perShift(weightsFrom: (first: number) => AxisWeights): (first: number) => AxisWeights {
  let last: { first: number; weights: AxisWeights } | undefined;
  return (first) => {
    if (last?.first !== first) last = { first, weights: weightsFrom(first) };
    return last.weights;
  };
}
