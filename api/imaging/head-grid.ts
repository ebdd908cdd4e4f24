/** Where the model grid is centred: docs/bundle.md, "Where the grid is centred" (`calvarium-v1`). */
import { RefusalError } from '../prediction/refusals.ts';
import { cellThicknesses, slicePositions } from './geometry.ts';
import type { Vector3, Volume } from './volume.ts';

const BONE_HU = 300;
/** Bone area at which the top of the calvarium is said to begin, mm2. */
const VERTEX_BONE_MM2 = 300;
/** The grid centre lies this far below the vertex, mm. */
const CENTER_BELOW_VERTEX_MM = 56;
/** Depth below the vertex over which bone is averaged for the in-plane centre, mm. */
const CALVARIUM_DEPTH_MM = { from: 20, to: 100 } as const;

/** The calvarium as the centring rule sees it, in the axes of the image planes, mm. */
export interface Calvarium {
  /** Height at which the bone area reaches 300 mm2, coming from above. */
  readonly vertexZ: number;
  /** Topmost slice with at least 300 mm2 of bone. */
  readonly topSlice: number;
  /** (cx, cy, cz) of the model grid. */
  readonly centerMm: Vector3;
}

/**
 * Finds vertex and grid centre.
 *
 * @throws RefusalError `not-a-head` when no slice holds 300 mm2 of bone (HU > 300), or none lies 20 to 100 mm below the vertex
 */
export function findCalvarium(volume: Volume): Calvarium {
  const { x, y, z } = slicePositions(volume);
  const bone = Array.from({ length: volume.slices }, (_, slice) => boneOfSlice(volume, slice));
  const area = bone.map(({ count }) => count * volume.rowSpacingMm * volume.columnSpacingMm);

  const topSlice = area.findLastIndex((mm2) => mm2 >= VERTEX_BONE_MM2);
  if (topSlice < 0) {
    throw new RefusalError('not-a-head', 'No slice holds a calvarium: send the head CT, reconstructed to its top.', {
      largestBoneAreaMm2: Math.round(Math.max(...area)),
      requiredBoneAreaMm2: VERTEX_BONE_MM2,
    });
  }
  const above = topSlice + 1;
  const vertexZ =
    above < volume.slices
      ? z[topSlice] + ((z[above] - z[topSlice]) * (area[topSlice] - VERTEX_BONE_MM2)) / (area[topSlice] - area[above])
      : z[topSlice] + (topSlice > 0 ? z[topSlice] - z[topSlice - 1] : 0) / 2;

  const thickness = cellThicknesses(z);
  let weight = 0;
  let sumX = 0;
  let sumY = 0;
  for (let i = 0; i < volume.slices; i++) {
    if (z[i] < vertexZ - CALVARIUM_DEPTH_MM.to || z[i] > vertexZ - CALVARIUM_DEPTH_MM.from) continue;
    weight += thickness[i] * bone[i].count;
    sumX += thickness[i] * (x[i] * bone[i].count + volume.columnSpacingMm * bone[i].columnSum);
    sumY += thickness[i] * (y[i] * bone[i].count + volume.rowSpacingMm * bone[i].rowSum);
  }
  if (weight === 0) {
    throw new RefusalError(
      'not-a-head',
      'No bone lies 20 to 100 mm below the top of the bone: this is not a head CT.',
      {
        bonyDepthRequiredMm: [CALVARIUM_DEPTH_MM.from, CALVARIUM_DEPTH_MM.to],
      },
    );
  }
  return { vertexZ, topSlice, centerMm: [sumX / weight, sumY / weight, vertexZ - CENTER_BELOW_VERTEX_MM] };
}

/** Grid centre (cx, cy, cz) in mm, in the axes of the image planes. @throws RefusalError `not-a-head`, see `findCalvarium` */
export function findHeadCenter(volume: Volume): Vector3 {
  return findCalvarium(volume).centerMm;
}

/** Bone voxels of one slice: how many, and the sums of their column and row indices. */
function boneOfSlice(volume: Volume, slice: number): { count: number; columnSum: number; rowSum: number } {
  let count = 0;
  let columnSum = 0;
  let rowSum = 0;
  let at = slice * volume.rows * volume.columns;
  for (let row = 0; row < volume.rows; row++) {
    let inRow = 0;
    for (let column = 0; column < volume.columns; column++) {
      if (volume.hu[at++] > BONE_HU) {
        inRow++;
        columnSum += column;
      }
    }
    count += inRow;
    rowSum += inRow * row;
  }
  return { count, columnSum, rowSum };
}
