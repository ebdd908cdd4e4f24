/**
 * A volume on a coarser lattice, for looking at anatomy: blocks of whole voxels averaged to cells of about 1 to 1.5 mm in the
 * plane and at least 2 mm along the normal, cropped to the bone. Bounded work for any matrix and slice thickness, and the noise
 * of single voxels gone.
 */
import { slicePositions } from './geometry.ts';
import type { Volume } from './volume.ts';

/** Cells are the largest square blocks of whole voxels up to this, mm: 0.75 to 1.5 mm for the accepted spacings. */
const CELL_MM = 1.5;
/** Thinner slices are averaged in groups up to this, mm. */
const LAYER_MM = 2;
const BONE_HU = 300;
/** Kept around the bone, mm: room for closing gaps in the skull without meeting the edge. */
const MARGIN_MM = 20;

export interface Lattice {
  /** Mean HU of each cell, `[layer][row][column]`. */
  readonly hu: Float32Array;
  readonly layers: number;
  readonly rows: number;
  readonly columns: number;
  /** Cell size in the plane: between rows, between columns, mm. */
  readonly rowMm: number;
  readonly columnMm: number;
  /** Centre of each layer along the plane normal, mm, increasing. */
  readonly z: Float64Array;
  /** Thickness each layer stands for, mm. */
  readonly thicknessMm: Float64Array;
  /** First slice of each layer; the entry after the last is the number of slices. */
  readonly firstSlice: Int32Array;
  /** Voxels per cell edge, and the voxel where the lattice begins. */
  readonly block: number;
  readonly firstRow: number;
  readonly firstColumn: number;
}

/** Makes the lattice. A volume without bone gets one that spans the whole matrix. */
export function makeLattice(volume: Volume): Lattice {
  const spacing = Math.max(volume.rowSpacingMm, volume.columnSpacingMm);
  const block = Math.max(1, Math.floor(CELL_MM / spacing + 1e-6));
  const box = boneBox(volume, Math.ceil(MARGIN_MM / spacing));
  const rows = Math.floor((box.lastRow - box.firstRow + 1) / block);
  const columns = Math.floor((box.lastColumn - box.firstColumn + 1) / block);
  const firstSlice = groupSlices(volume);
  const layers = firstSlice.length - 1;
  const sliceZ = slicePositions(volume).z;
  const z = Float64Array.from({ length: layers }, (_, layer) => {
    const members = sliceZ.subarray(firstSlice[layer], firstSlice[layer + 1]);
    return members.reduce((sum, at) => sum + at, 0) / members.length;
  });
  const lattice = {
    layers,
    rows,
    columns,
    rowMm: block * volume.rowSpacingMm,
    columnMm: block * volume.columnSpacingMm,
    z,
    thicknessMm: layerThicknesses(z),
    firstSlice,
    block,
    firstRow: box.firstRow,
    firstColumn: box.firstColumn,
  };
  return { ...lattice, hu: averageOnLattice(volume.hu, volume, lattice) };
}

/** Averages any HU of the volume's shape, such as a generated follow-up, to the cells of a lattice of that volume. */
export function averageOnLattice(
  hu: Float32Array,
  shape: Pick<Volume, 'rows' | 'columns'>,
  lattice: Omit<Lattice, 'hu'>,
): Float32Array {
  const { layers, rows, columns, block, firstSlice, firstRow, firstColumn } = lattice;
  const cells = new Float32Array(layers * rows * columns);
  for (let layer = 0; layer < layers; layer++) {
    const [from, to] = [firstSlice[layer], firstSlice[layer + 1]];
    const share = 1 / ((to - from) * block * block);
    for (let slice = from; slice < to; slice++) {
      for (let row = 0; row < rows * block; row++) {
        let at = (slice * shape.rows + firstRow + row) * shape.columns + firstColumn;
        const cell = (layer * rows + Math.floor(row / block)) * columns;
        for (let column = 0; column < columns; column++) {
          let sum = 0;
          for (let k = 0; k < block; k++) sum += hu[at++];
          cells[cell + column] += sum * share;
        }
      }
    }
  }
  return cells;
}

interface Box {
  readonly firstRow: number;
  readonly lastRow: number;
  readonly firstColumn: number;
  readonly lastColumn: number;
}

/** The bone's extent over all slices with a margin, inside the matrix. */
function boneBox(volume: Volume, margin: number): Box {
  const { hu, slices, rows, columns } = volume;
  let [firstRow, lastRow, firstColumn, lastColumn] = [rows, -1, columns, -1];
  for (let slice = 0, at = 0; slice < slices; slice++) {
    for (let row = 0; row < rows; row++) {
      let any = false;
      for (let column = 0; column < columns; column++, at++) {
        if (hu[at] > BONE_HU) {
          any = true;
          if (column < firstColumn) firstColumn = column;
          if (column > lastColumn) lastColumn = column;
        }
      }
      if (any) {
        if (row < firstRow) firstRow = row;
        if (row > lastRow) lastRow = row;
      }
    }
  }
  if (lastRow < 0) return { firstRow: 0, lastRow: rows - 1, firstColumn: 0, lastColumn: columns - 1 };
  return {
    firstRow: Math.max(0, firstRow - margin),
    lastRow: Math.min(rows - 1, lastRow + margin),
    firstColumn: Math.max(0, firstColumn - margin),
    lastColumn: Math.min(columns - 1, lastColumn + margin),
  };
}

/** Starts of groups of neighbouring slices that together reach LAYER_MM; a leftover joins the group below it. */
function groupSlices(volume: Volume): Int32Array {
  const { z } = slicePositions(volume);
  const half = (i: number): number =>
    i > 0 && i < z.length ? (z[i - 1] + z[i]) / 2 : i === 0 ? z[0] : z[z.length - 1];
  const starts = [0];
  for (let slice = 1; slice < volume.slices; slice++) {
    if (half(slice) - half(starts[starts.length - 1]) >= LAYER_MM) starts.push(slice);
  }
  return Int32Array.from([...starts, volume.slices]);
}

/** Distance between the borders half way to the neighbours; an end layer reaches as far outward as inward. */
function layerThicknesses(z: Float64Array): Float64Array {
  if (z.length === 1) return Float64Array.of(LAYER_MM);
  return z.map((here, i) => {
    const below = i > 0 ? here - z[i - 1] : z[1] - here;
    const above = i + 1 < z.length ? z[i + 1] - here : here - z[i - 1];
    return (below + above) / 2;
  });
}
