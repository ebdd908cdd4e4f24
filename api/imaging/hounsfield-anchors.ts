/** Substances every head CT shows, air around and brain inside, and where their values lie. */
import type { Lattice } from './lattice.ts';
import type { Volume } from './volume.ts';

/** Voxels looked at for air and bone: every fourth. */
const STRIDE = 4;
/** Padding and clipped air lie at or below this; anything above -500 is no air. */
const AIR_RANGE_HU = { above: -1024, below: -500 } as const;
/** Fewer air voxels than this share of the volume: the head fills the field of view. */
const MIN_AIR_SHARE = 0.005;
const BONE_HU = 300;
const MODE_RANGE_HU = 25;
/** Histogram of a whole scan: -1024 to 3075 HU. */
const BIN_HU = 5;
const BINS = 820;

/** Share of voxels above 300 HU, 0..1. */
export function shareOfBone(volume: Volume): number {
  let bone = 0;
  let all = 0;
  for (let at = 0; at < volume.hu.length; at += STRIDE, all++) if (volume.hu[at] > BONE_HU) bone++;
  return bone / all;
}

/** Most frequent HU of unclipped air, in bins of 5 HU; null where too little of it was scanned. */
export function airHu(volume: Volume): number | null {
  const { above, below } = AIR_RANGE_HU;
  const voxels = volume.hu;
  const counts = new Uint32Array((below - above) / BIN_HU + 1);
  let air = 0;
  for (let at = 0; at < voxels.length; at += STRIDE) {
    const hu = voxels[at];
    if (hu <= above || hu >= below) continue;
    counts[((hu - above) / BIN_HU) | 0]++;
    air++;
  }
  if (air * STRIDE < MIN_AIR_SHARE * voxels.length) return null;
  return above + (counts.indexOf(Math.max(...counts)) + 0.5) * BIN_HU;
}

/**
 * Most frequent HU, in bins of 5 HU, in the middle third of every slice and along its edge. A patient lies in the middle and
 * air around: this needs no bone, and so tells a wrong scale where no skull can be seen for it.
 */
export function middleAndEdgeHu(volume: Volume): { readonly middleHu: number; readonly edgeHu: number } {
  const { hu, slices, rows, columns } = volume;
  const bin = (at: number): number => Math.min(BINS - 1, Math.max(0, Math.floor((hu[at] + 1024) / BIN_HU)));
  const middle = new Uint32Array(BINS);
  const edge = new Uint32Array(BINS);
  const inMiddle = (i: number, n: number): boolean => 3 * i >= n && 3 * i < 2 * n;
  for (let slice = 0, at = 0; slice < slices; slice++) {
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++, at++) {
        if (inMiddle(row, rows) && inMiddle(column, columns)) middle[bin(at)]++;
        else if (row === 0 || row === rows - 1 || column === 0 || column === columns - 1) edge[bin(at)]++;
      }
    }
  }
  const mode = (counts: Uint32Array): number => -1024 + counts.indexOf(Math.max(...counts)) * BIN_HU;
  return { middleHu: mode(middle), edgeHu: mode(edge) };
}

/**
 * Mode of the enclosed cells of some layers, and the share of them within 25 HU of it.
 *
 * @param isUsed which layers count
 * @returns `modeHu` from a histogram of 1 HU smoothed by 1, 2, 3, 2, 1; -1024 and 0 where nothing is enclosed
 */
export function brainTissue(
  lattice: Lattice,
  enclosed: Uint8Array,
  isUsed: (layer: number) => boolean,
): { readonly modeHu: number; readonly share: number } {
  const lowest = -1024;
  const counts = new Float64Array(300 - lowest + 1);
  const { hu } = lattice;
  const plane = lattice.rows * lattice.columns;
  let cells = 0;
  for (let layer = 0; layer < lattice.layers; layer++) {
    if (!isUsed(layer)) continue;
    for (let cell = layer * plane; cell < (layer + 1) * plane; cell++) {
      if (enclosed[cell] === 0) continue;
      counts[(hu[cell] - lowest + 0.5) | 0]++;
      cells++;
    }
  }
  if (cells === 0) return { modeHu: lowest, share: 0 };
  const sumOf = (bin: number, reach: number, weight: (distance: number) => number): number => {
    let sum = 0;
    for (let i = Math.max(0, bin - reach); i <= Math.min(counts.length - 1, bin + reach); i++)
      sum += counts[i] * weight(Math.abs(i - bin));
    return sum;
  };
  const smoothed = Array.from(counts, (_, bin) => sumOf(bin, 2, (distance) => 3 - distance));
  const mode = smoothed.indexOf(Math.max(...smoothed));
  return { modeHu: mode + lowest, share: sumOf(mode, MODE_RANGE_HU, () => 1) / cells };
}
