/** The maps of one reading, as they are kept: integers on the network's own grids, compressed. */
import { gzipSync } from 'node:zlib';
import type { MapGrid, ResultMap, ResultMaps } from '../assessment/result-maps.ts';
import { add, scale } from '../imaging/geometry.ts';
import type { GridVolume, Volume } from '../imaging/volume.ts';
import type { Bundle } from './bundle.ts';
import type { ModelOutput } from './onnx-model.ts';

/**
 * @param image the initial CT on the model grid, as the network read it
 * @returns attention on its own coarser grid (uint8, 255 = the largest weight), difference in HU on the model grid (int16)
 */
export function makeResultMaps(
  {
    volume,
    image,
    output,
    seriesInstanceUid,
  }: {
    readonly volume: Volume;
    readonly image: GridVolume;
    readonly output: Pick<ModelOutput, 'attention' | 'followUpHu'>;
    readonly seriesInstanceUid: string;
  },
  { attentionShape }: Pick<Bundle, 'attentionShape'>,
): ResultMaps {
  const most = output.attention.reduce((max, weight) => Math.max(max, weight), 0);
  const attention = Uint8Array.from(output.attention, (weight) => (most > 0 ? Math.round((255 * weight) / most) : 0));
  const difference = Int16Array.from(output.followUpHu, (hu, at) => Math.round(hu - image.hu[at]));
  return {
    seriesInstanceUid,
    attention: toMap(attention, most / 255, placeGrid(volume, image, attentionShape)),
    difference: toMap(difference, 1, placeGrid(volume, image, image.shape)),
  };
}

function toMap(values: Uint8Array | Int16Array, perStep: number, grid: MapGrid): ResultMap {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return { grid, scale: perStep, gzip: new Uint8Array(gzipSync(bytes)) };
}

/** A grid of another shape fills the same box: its voxels are as much larger as they are fewer. */
function placeGrid(volume: Volume, image: GridVolume, shape: readonly [number, number, number]): MapGrid {
  const spacingMm = [0, 1, 2].map((axis) => (image.spacingMm[axis] * image.shape[axis]) / shape[axis]);
  const [sliceSpacingMm, rowSpacingMm, columnSpacingMm] = spacingMm;
  const { rowDirection, columnDirection, normal } = volume;
  const first = (axis: number): number => image.centerMm[2 - axis] - ((shape[axis] - 1) / 2) * spacingMm[axis];
  return {
    slices: shape[0],
    rows: shape[1],
    columns: shape[2],
    sliceSpacingMm,
    rowSpacingMm,
    columnSpacingMm,
    rowDirection,
    columnDirection,
    normal,
    origin: add(add(scale(rowDirection, first(2)), scale(columnDirection, first(1))), scale(normal, first(0))),
  };
}
