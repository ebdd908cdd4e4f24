/** Where the network looked and what it changed: maps of a completed assessment, on grids in the space of its initial CT. */
import type { Vector3 } from '../imaging/volume.ts';

/**
 * An evenly spaced, rectangular grid whose planes are parallel to the slices of the initial CT and whose rows and columns are
 * parallel to theirs: over a slice it is laid by a shift and a scale. Conventions of imaging/volume.ts (LPS, mm).
 */
export interface MapGrid {
  readonly slices: number;
  readonly rows: number;
  readonly columns: number;
  readonly sliceSpacingMm: number;
  readonly rowSpacingMm: number;
  readonly columnSpacingMm: number;
  readonly rowDirection: Vector3;
  readonly columnDirection: Vector3;
  readonly normal: Vector3;
  /** LPS centre of the voxel [slice 0][row 0][column 0], mm. */
  readonly origin: Vector3;
}

export interface ResultMap {
  readonly grid: MapGrid;
  /** A stored value times this is the quantity in its unit. */
  readonly scale: number;
  /** Stored values `[slice][row][column]`, compressed by gzip (RFC 1952). */
  readonly gzip: Uint8Array;
}

export const MAPS = {
  attention: {
    dtype: 'uint8',
    unit: '1',
    meaning:
      'Share of the attention that both tasks paid to each voxel; 255 is the most attended voxel of this scan. Says where the ' +
      'network looked, not why, and is not comparable between scans.',
  },
  difference: {
    dtype: 'int16',
    unit: "[hnsf'U]",
    meaning:
      'Generated follow-up CT minus initial CT as the network gave it (AI-generated, not acquired). Voxels of the initial CT ' +
      'outside -20..150 HU keep their value in the generated image, whatever this map says between grid points.',
  },
} as const;

export type MapName = keyof typeof MAPS;

export interface ResultMaps extends Readonly<Record<MapName, ResultMap>> {
  /** The series in whose space the grids lie. */
  readonly seriesInstanceUid: string;
}
