/**
 * Hyperdense components inside the brain's compartment: blood, contrast, calcification, whatever is denser than 50 HU.
 * Definition: HU smoothed by a Gaussian of 3 mm full width at half maximum (sigma 1.27 mm), cells above 50 HU at least 4 mm
 * from bone, face-connected, at least 0.1 mL. Full width, because a sigma of 3 mm would lower the peak of a 0.1 mL focus
 * (5.8 mm across) to a fifth and hide it.
 */
import type { HeadAnatomy } from './anatomy.ts';
import { averageOnLattice, type Lattice } from './lattice.ts';
import { labelComponents } from './morphology.ts';
import type { Volume } from './volume.ts';

export const HYPERDENSE = { aboveHu: 50, fwhmMm: 3, minComponentMl: 0.1 } as const;

export interface Hyperdense {
  /** Smoothed HU of every cell of the lattice. */
  readonly smoothedHu: Float32Array;
  /** Cells of each component, in the order met from inferior to superior. */
  readonly components: readonly Int32Array[];
  /** Volume of each component, mL. */
  readonly volumesMl: readonly number[];
  /** Volume of all components in each layer, mL. */
  readonly layerMl: Float64Array;
}

/**
 * @param hu HU of the shape of `volume`: its own, or a generated follow-up on the same geometry
 */
export function findHyperdense(volume: Volume, anatomy: HeadAnatomy, hu: Float32Array = volume.hu): Hyperdense {
  const { lattice, eroded } = anatomy;
  const cells = hu === volume.hu ? lattice.hu : averageOnLattice(hu, volume, lattice);
  const smoothedHu = smooth(cells, lattice, HYPERDENSE.fwhmMm / Math.sqrt(8 * Math.log(2)));
  const dense = eroded.map((inside, cell) => (inside === 1 && smoothedHu[cell] > HYPERDENSE.aboveHu ? 1 : 0));
  const all = labelComponents(dense, lattice.layers, lattice.rows, lattice.columns).members;
  const components = all.filter((members) => volumeMl(lattice, members) >= HYPERDENSE.minComponentMl);

  const layerMl = new Float64Array(lattice.layers);
  for (const cell of components.flatMap((members) => [...members]))
    layerMl[layerOf(lattice, cell)] += cellMl(lattice, cell);
  return { smoothedHu, components, volumesMl: components.map((members) => volumeMl(lattice, members)), layerMl };
}

export function layerOf(lattice: Lattice, cell: number): number {
  return Math.floor(cell / (lattice.rows * lattice.columns));
}

/** Volume of one cell, mL. */
export function cellMl(lattice: Lattice, cell: number): number {
  return (lattice.rowMm * lattice.columnMm * lattice.thicknessMm[layerOf(lattice, cell)]) / 1000;
}

function volumeMl(lattice: Lattice, cells: Int32Array): number {
  return cells.reduce((sum, cell) => sum + cellMl(lattice, cell), 0);
}

/** Separable Gaussian with each axis in mm: columns, rows, then layers at their own positions. Weights are normalized. */
function smooth(cells: Float32Array, lattice: Lattice, sigmaMm: number): Float32Array {
  const { layers, rows, columns, z } = lattice;
  const plane = rows * columns;
  const alongColumns = new Float32Array(cells.length);
  const alongRows = new Float32Array(cells.length);
  const kernel = (spacingMm: number): Float64Array => {
    const reach = Math.ceil((3 * sigmaMm) / spacingMm);
    return Float64Array.from({ length: reach + 1 }, (_, i) => Math.exp(-0.5 * ((i * spacingMm) / sigmaMm) ** 2));
  };
  smoothAxis(cells, alongColumns, columns, 1, kernel(lattice.columnMm));
  smoothAxis(alongColumns, alongRows, rows, columns, kernel(lattice.rowMm));

  const result = new Float32Array(cells.length);
  for (let layer = 0; layer < layers; layer++) {
    const weights = Array.from(z, (at) => Math.exp(-0.5 * ((at - z[layer]) / sigmaMm) ** 2));
    const reached = weights.map((weight) => (weight > 1e-4 ? weight : 0));
    const total = reached.reduce((sum, weight) => sum + weight, 0);
    reached.forEach((weight, other) => {
      if (weight === 0) return;
      for (let cell = 0; cell < plane; cell++)
        result[layer * plane + cell] += (weight / total) * alongRows[other * plane + cell];
    });
  }
  return result;
}

/** Symmetric kernel along one axis of length `n` and step `stride`; normalized by the weights inside the volume. */
function smoothAxis(source: Float32Array, target: Float32Array, n: number, stride: number, kernel: Float64Array): void {
  for (let block = 0; block < source.length; block += n * stride) {
    for (let at = 0; at < n; at++) {
      let total = kernel[0];
      for (let i = 1; i < kernel.length; i++) total += kernel[i] * ((at >= i ? 1 : 0) + (at + i < n ? 1 : 0));
      const from = block + at * stride;
      for (let cell = from; cell < from + stride; cell++) {
        let sum = kernel[0] * source[cell];
        for (let i = 1; i < kernel.length; i++) {
          if (at >= i) sum += kernel[i] * source[cell - i * stride];
          if (at + i < n) sum += kernel[i] * source[cell + i * stride];
        }
        target[cell] = sum / total;
      }
    }
  }
}
