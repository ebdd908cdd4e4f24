/** The generated change read back onto the initial CT: docs/bundle.md, "Back onto the initial CT". */
import { evenPositions, slicePositions, sliceSpacings } from './geometry.ts';
import { gridPositions, perShift } from './resample.ts';
import { resampleLines, resamplePlanes, resamplingWeights } from './resampling-weights.ts';
import type { GridVolume, Volume } from './volume.ts';

/** HU range that the generated change may touch: fluid, brain, blood and contrast, but no air, fat, bone or metal. */
const EDITABLE_HU = { low: -20, high: 150 } as const;

/**
 * The generated follow-up on the initial CT's own geometry: its voxels plus `followUpHu - image`, read at each of them.
 * Native matrix and noise stay; voxels outside -20..150 HU and voxels outside the grid keep their value exactly.
 *
 * @param image the initial CT on the grid, as the network read it
 * @param followUpHu the network's follow-up on the same grid, `[slice][row][column]`
 * @returns HU of the shape of `volume.hu`
 * @throws RangeError when `followUpHu` does not have the grid's size
 */
export function backProject(volume: Volume, image: GridVolume, followUpHu: Float32Array): Float32Array {
  if (followUpHu.length !== image.hu.length)
    throw new RangeError(`the follow-up has ${followUpHu.length} voxels, the grid ${image.hu.length}`);
  const { shape, spacingMm } = image;
  const [gridZ, gridY, gridX] = gridPositions(image.centerMm, shape, spacingMm);
  const { x, y, z } = slicePositions(volume);
  const plane = shape[1] * shape[2];
  const delta = followUpHu.map((value, i) => value - image.hu[i]);
  const planes = new Float32Array(volume.slices * plane);
  resamplePlanes(delta, 0, plane, resamplingWeights(gridZ, z, sliceSpacings(z)), 0, planes, 0);

  const result = volume.hu.slice();
  const size = volume.rows * volume.columns;
  const wide = new Float32Array(shape[1] * volume.columns);
  const change = new Float32Array(size);
  const columnWeights = perShift((first) =>
    resamplingWeights(gridX, evenPositions(first, volume.columnSpacingMm, volume.columns), volume.columnSpacingMm),
  );
  const rowWeights = perShift((first) =>
    resamplingWeights(gridY, evenPositions(first, volume.rowSpacingMm, volume.rows), volume.rowSpacingMm),
  );
  for (let s = 0; s < volume.slices; s++) {
    resampleLines(planes, s * plane, shape[1], columnWeights(x[s]), 0, wide, 0);
    resamplePlanes(wide, 0, volume.columns, rowWeights(y[s]), 0, change, 0);
    for (let v = 0, at = s * size; v < size; v++, at++) {
      const native = result[at];
      if (native >= EDITABLE_HU.low && native <= EDITABLE_HU.high) result[at] = native + change[v];
    }
  }
  return result;
}
