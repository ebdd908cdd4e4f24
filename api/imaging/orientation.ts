/** How the sender's pixels become columns to the patient's left and rows to posterior: swaps and flips, nothing else. */
import { add, cross, dot, scale } from './geometry.ts';
import type { SenderPlane } from './series-geometry.ts';
import type { Vector3 } from './volume.ts';

export interface Orientation {
  /** Matrix after reordering. */
  readonly rows: number;
  readonly columns: number;
  readonly rowSpacingMm: number;
  readonly columnSpacingMm: number;
  /** Direction of increasing column index, towards +L. */
  readonly rowDirection: Vector3;
  /** Direction of increasing row index, towards +P. */
  readonly columnDirection: Vector3;
  /** Plane normal, towards +S. */
  readonly normal: Vector3;
  /** Index among the sender's pixels of voxel [0][0], and the steps to the next row and column. */
  readonly offset: number;
  readonly rowStride: number;
  readonly columnStride: number;
  /** From the sender's first pixel to voxel [0][0], mm. */
  readonly originShift: Vector3;
}

/** The reordering for one plane (docs/bundle.md, "Axes"): of the two directions, the one nearer to left-right becomes the columns. */
export function orient(plane: SenderPlane): Orientation {
  const swapped = Math.abs(plane.columnDirection[0]) > Math.abs(plane.rowDirection[0]);
  const reverseColumns = plane.rowDirection[swapped ? 1 : 0] < 0;
  const reverseRows = plane.columnDirection[swapped ? 0 : 1] < 0;

  const alongColumns = scale(plane.rowDirection, reverseColumns ? -1 : 1);
  const alongRows = scale(plane.columnDirection, reverseRows ? -1 : 1);
  const rowDirection = swapped ? alongRows : alongColumns;
  const columnDirection = swapped ? alongColumns : alongRows;
  const normal = cross(rowDirection, columnDirection);

  const columnStep = reverseColumns ? -1 : 1;
  const rowStep = reverseRows ? -plane.columns : plane.columns;
  return {
    rows: swapped ? plane.columns : plane.rows,
    columns: swapped ? plane.rows : plane.columns,
    rowSpacingMm: swapped ? plane.columnSpacingMm : plane.rowSpacingMm,
    columnSpacingMm: swapped ? plane.rowSpacingMm : plane.columnSpacingMm,
    rowDirection,
    columnDirection,
    normal: dot(normal, [0, 0, 1]) < 0 ? scale(normal, -1) : normal,
    offset: (reverseRows ? (plane.rows - 1) * plane.columns : 0) + (reverseColumns ? plane.columns - 1 : 0),
    rowStride: swapped ? columnStep : rowStep,
    columnStride: swapped ? rowStep : columnStep,
    originShift: add(
      scale(plane.rowDirection, reverseColumns ? (plane.columns - 1) * plane.columnSpacingMm : 0),
      scale(plane.columnDirection, reverseRows ? (plane.rows - 1) * plane.rowSpacingMm : 0),
    ),
  };
}
