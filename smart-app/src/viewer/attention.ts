/** Where both tasks looked, as one hue over the initial CT. Pure. */
import type { components } from '../../../api/generated/openapi.d.ts';

export type MapGrid = components['schemas']['MapGrid'];
type Geometry = components['schemas']['SliceGeometry'];

export interface AttentionMap {
  readonly grid: MapGrid;
  /** `[slice][row][column]`, 255 = the most attended voxel of this scan. */
  readonly values: Uint8Array;
}

/** Reddish purple of Okabe and Ito: neither of the colours of the difference. */
export const ATTENTION_RGB = [204, 121, 167] as const;
const MOST_OPAQUE = 0.75;
/** Below this share of the most attended voxel nothing is drawn. */
const LEAST_SHARE = 0.1;

/** Paints one slice of the initial CT's matrix; 4 bytes per pixel, overwritten. What lies outside of the map stays clear. */
export function paintAttention(map: AttentionMap, geometry: Geometry, slice: number, rgba: Uint8ClampedArray): void {
  const { grid } = map;
  const { rows, columns, rowSpacingMm, columnSpacingMm } = geometry;
  const from = geometry.origins[slice].map((mm, axis) => mm - grid.origin[axis]);
  const along = (direction: readonly number[]): number =>
    from[0] * direction[0] + from[1] * direction[1] + from[2] * direction[2];
  const plane = planeAt(map, along(grid.normal) / grid.sliceSpacingMm);
  const [top, left] = [along(grid.columnDirection), along(grid.rowDirection)];
  for (let row = 0; row < rows; row++) {
    const y = (top + row * rowSpacingMm) / grid.rowSpacingMm;
    for (let column = 0; column < columns; column++) {
      const x = (left + column * columnSpacingMm) / grid.columnSpacingMm;
      const share = plane === undefined ? 0 : readPlane(plane, grid, y, x) / 255;
      const at = 4 * (row * columns + column);
      rgba[at] = ATTENTION_RGB[0];
      rgba[at + 1] = ATTENTION_RGB[1];
      rgba[at + 2] = ATTENTION_RGB[2];
      rgba[at + 3] = share < LEAST_SHARE ? 0 : 255 * MOST_OPAQUE * share;
    }
  }
}

/** Index of the CT slice nearest to the most attended voxel: elsewhere there may be nothing to see. */
export function mostAttendedSlice({ grid, values }: AttentionMap, { origins }: Pick<Geometry, 'origins'>): number {
  const voxel = values.reduce((best, value, at) => (value > values[best] ? at : best), 0);
  const plane = Math.floor(voxel / (grid.rows * grid.columns));
  const away = origins.map((origin) => {
    const along = origin.reduce((sum, mm, axis) => sum + (mm - grid.origin[axis]) * grid.normal[axis], 0);
    return Math.abs(along / grid.sliceSpacingMm - plane);
  });
  return away.indexOf(Math.min(...away));
}

/** The map between two of its slices; undefined more than half a slice outside. */
function planeAt({ grid, values }: AttentionMap, z: number): Float32Array | undefined {
  if (z < -0.5 || z > grid.slices - 0.5) return undefined;
  const low = Math.min(grid.slices - 1, Math.max(0, Math.floor(z)));
  const high = Math.min(grid.slices - 1, low + 1);
  const part = Math.min(1, Math.max(0, z - low));
  const size = grid.rows * grid.columns;
  const [below, above] = [low, high].map((index) => values.subarray(index * size, (index + 1) * size));
  return Float32Array.from(below, (value, at) => value * (1 - part) + above[at] * part);
}

/** Bilinear; 0 more than half a cell outside. */
function readPlane(plane: Float32Array, { rows, columns }: MapGrid, y: number, x: number): number {
  if (y < -0.5 || x < -0.5 || y > rows - 0.5 || x > columns - 0.5) return 0;
  const [row, column] = [Math.min(rows - 1, Math.max(0, y)), Math.min(columns - 1, Math.max(0, x))];
  const [up, left] = [Math.floor(row), Math.floor(column)];
  const [down, right] = [Math.min(rows - 1, up + 1), Math.min(columns - 1, left + 1)];
  const [dy, dx] = [row - up, column - left];
  const above = plane[up * columns + left] * (1 - dx) + plane[up * columns + right] * dx;
  const below = plane[down * columns + left] * (1 - dx) + plane[down * columns + right] * dx;
  return above * (1 - dy) + below * dy;
}
