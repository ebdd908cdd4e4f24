/** Checkable findings on the initial CT: what a radiologist can verify with a region of interest. */
import type { HeadAnatomy } from '../imaging/anatomy.ts';
import { cellMl, findHyperdense, HYPERDENSE, layerOf, type Hyperdense } from '../imaging/hyperdense.ts';
import type { Lattice } from '../imaging/lattice.ts';
import { labelComponents } from '../imaging/morphology.ts';
import type { Volume } from '../imaging/volume.ts';
import type { Absent, Measured, Measurements } from './prediction.ts';

/** A side is named when it holds more than this share of the hyperdense volume. */
const ONE_SIDED_SHARE = 0.8;
/** Metallic hyperdensity sign: denser than 90 HU over at least 1 cm, in the deep grey matter. */
const METALLIC_HU = 90;
const METALLIC_MM = 10;

/**
 * Measures the hyperdense components (definition: imaging/hyperdense.ts).
 *
 * - `hyperdenseVolumeMl`: their volume; 0 when there are none.
 * - `maxHu`, `meanHu`: unsmoothed voxels inside them; absent when there are none.
 * - `side`: left or right of the patient with more than 80 % of the volume, else bilateral; the midline of a slice is the mean
 *   column of its intracranial mask. Absent when there are none.
 * - `metallicSign`: false when no part is above 90 HU (smoothed) over 10 mm. Where there is such a part it is absent: without
 *   an atlas nobody can vouch that it lies in the deep grey matter, and calcified choroid plexus looks the same.
 */
export function measure(volume: Volume, anatomy: HeadAnatomy): Measurements {
  const hyperdense = findHyperdense(volume, anatomy);
  const { components, volumesMl } = hyperdense;
  if (components.length === 0) {
    const none: Absent = { value: null, reason: `No component above ${HYPERDENSE.aboveHu} HU of at least 0.1 mL.` };
    return {
      hyperdenseVolumeMl: { value: 0 },
      maxHu: none,
      meanHu: none,
      side: none,
      metallicSign: { value: false },
    };
  }
  const { maxHu, meanHu } = voxelsInside(volume, anatomy.lattice, components);
  return {
    hyperdenseVolumeMl: { value: volumesMl.reduce((sum, ml) => sum + ml, 0) },
    maxHu: { value: maxHu },
    meanHu: { value: meanHu },
    side: { value: sideOf(anatomy, components) },
    metallicSign: metallicSign(anatomy.lattice, hyperdense),
  };
}

/** The hyperdense volume of a generated follow-up on the geometry of `volume`, by the definition for the initial CT, mL. */
export function generatedHyperdenseVolumeMl(volume: Volume, anatomy: HeadAnatomy, followUpHu: Float32Array): number {
  return findHyperdense(volume, anatomy, followUpHu).volumesMl.reduce((sum, ml) => sum + ml, 0);
}

/** Maximum and mean HU of the volume's own voxels inside the components. */
function voxelsInside(
  volume: Volume,
  lattice: Lattice,
  components: readonly Int32Array[],
): { maxHu: number; meanHu: number } {
  const { rows, columns, block, firstRow, firstColumn, firstSlice } = lattice;
  let [max, sum, count] = [-Infinity, 0, 0];
  for (const cell of components.flatMap((cells) => [...cells])) {
    const layer = layerOf(lattice, cell);
    const row = firstRow + (Math.floor(cell / columns) % rows) * block;
    const column = firstColumn + (cell % columns) * block;
    for (let slice = firstSlice[layer]; slice < firstSlice[layer + 1]; slice++) {
      for (let r = row; r < row + block; r++) {
        for (let c = column; c < column + block; c++) {
          const hu = volume.hu[(slice * volume.rows + r) * volume.columns + c];
          if (hu > max) max = hu;
          sum += hu;
          count++;
        }
      }
    }
  }
  return { maxHu: max, meanHu: sum / count };
}

function sideOf(anatomy: HeadAnatomy, components: readonly Int32Array[]): 'left' | 'right' | 'bilateral' {
  const { lattice, intracranial } = anatomy;
  const plane = lattice.rows * lattice.columns;
  const midlines = Array.from({ length: lattice.layers }, (_, layer) => {
    let [sum, count] = [0, 0];
    for (let cell = 0; cell < plane; cell++) {
      if (intracranial[layer * plane + cell] === 0) continue;
      sum += cell % lattice.columns;
      count++;
    }
    return sum / count;
  });
  let [left, right] = [0, 0];
  for (const cell of components.flatMap((cells) => [...cells])) {
    // Columns run from the patient's right to the left.
    const fromMidline = (cell % lattice.columns) - midlines[layerOf(lattice, cell)];
    if (fromMidline > 0) left += cellMl(lattice, cell);
    if (fromMidline < 0) right += cellMl(lattice, cell);
  }
  if (left > ONE_SIDED_SHARE * (left + right)) return 'left';
  return right > ONE_SIDED_SHARE * (left + right) ? 'right' : 'bilateral';
}

function metallicSign(lattice: Lattice, { components, smoothedHu }: Hyperdense): Measured<boolean> {
  const dense = new Uint8Array(smoothedHu.length);
  for (const cells of components) for (const cell of cells) if (smoothedHu[cell] > METALLIC_HU) dense[cell] = 1;
  const parts = labelComponents(dense, lattice.layers, lattice.rows, lattice.columns).members;
  if (!parts.some((cells) => acrossMm(lattice, cells) >= METALLIC_MM)) return { value: false };
  return {
    value: null,
    reason:
      'A part above 90 HU at least 10 mm across was found, but its place in the deep grey matter cannot be vouched for; ' +
      'calcified choroid plexus looks the same.',
  };
}

/** Largest extent in the plane, from edge to edge, over 12 directions, mm. */
function acrossMm(lattice: Lattice, cells: Int32Array): number {
  let across = 0;
  for (let step = 0; step < 12; step++) {
    const angle = (step * Math.PI) / 12;
    const [dx, dy] = [Math.cos(angle) * lattice.columnMm, Math.sin(angle) * lattice.rowMm];
    let [low, high] = [Infinity, -Infinity];
    for (const cell of cells) {
      const along = (cell % lattice.columns) * dx + (Math.floor(cell / lattice.columns) % lattice.rows) * dy;
      if (along < low) low = along;
      if (along > high) high = along;
    }
    across = Math.max(across, high - low + Math.abs(dx) + Math.abs(dy));
  }
  return across;
}
