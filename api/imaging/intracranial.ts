/** The inside of the skull, found from bone alone: what is enclosed by it, and of that the brain's compartment. */
import type { Lattice } from './lattice.ts';
import { dilatePlane, fillHoles, labelComponents } from './morphology.ts';

const BONE_HU = 300;
/** The skull's outline is followed at this lower level: thin bone in thick slices is averaged with what lies beside it. */
const OUTLINE_HU = 200;
/** Gaps in the skull up to twice this are closed (sutures, foramina, a burr hole), mm. */
const CLOSING_MM = 9;
/** Where that leaves a layer open, gaps up to twice this: the roof of an orbit is too thin to be seen between its walls. */
const WIDE_CLOSING_MM = 18;
/** A layer counts as left open when it encloses less than this share of the layer above it. */
const LEFT_OPEN_SHARE = 0.6;
/** Below this a cell is fat or air: orbits and sinuses are told from the brain by their fat and air. */
const FAT_HU = -30;
/** Distance kept from bone, fat and air, mm: partial volume, beam hardening and dura lie within. */
export const CLEARANCE_MM = 4;
/** A separate piece of the compartment counts from this share of the largest on. The globe of an eye is 0.2 % of a brain. */
const SMALLEST_PIECE = 0.02;
/** Deepest level looked at below the vertex, mm: the lower edge of the model grid. Below lie skull base and face. */
export const DEEPEST_BELOW_VERTEX_MM = 116;

/**
 * Everything inside the skull's outline in each layer, without bone itself: 0/1 cells of the lattice. From the vertex down,
 * a layer that is left open is closed again with a wider reach.
 */
export function enclosedByBone(lattice: Lattice): Uint8Array {
  const { hu } = lattice;
  const plane = lattice.rows * lattice.columns;
  const outline = new Uint8Array(hu.length);
  for (let cell = 0; cell < hu.length; cell++) if (hu[cell] > OUTLINE_HU) outline[cell] = 1;
  const enclosed = new Uint8Array(outline.length);
  let above = 0;
  for (let layer = lattice.layers - 1; layer >= 0; layer--) {
    const bone = outline.subarray(layer * plane, (layer + 1) * plane);
    const layerHu = hu.subarray(layer * plane, (layer + 1) * plane);
    let inside = insideOf(lattice, bone, layerHu, CLOSING_MM);
    if (inside.count < LEFT_OPEN_SHARE * above) {
      const wider = insideOf(lattice, bone, layerHu, WIDE_CLOSING_MM);
      if (wider.count > inside.count) inside = wider;
    }
    enclosed.set(inside.cells, layer * plane);
    above = inside.count;
  }
  return enclosed;
}

/** One layer's bone closed (dilated, filled, eroded), without the bone. */
function insideOf(
  lattice: Lattice,
  outline: Uint8Array,
  hu: Float32Array,
  radiusMm: number,
): { readonly cells: Uint8Array; readonly count: number } {
  const closed = new Uint8Array(outline.length);
  dilatePlane(lattice, outline, 0, radiusMm, closed);
  fillHoles(lattice, closed, 0);
  const open = new Uint8Array(outline.length);
  for (let cell = 0; cell < open.length; cell++) open[cell] = 1 - closed[cell];
  const nearOpen = new Uint8Array(outline.length);
  dilatePlane(lattice, open, 0, radiusMm, nearOpen);
  let count = 0;
  for (let cell = 0; cell < closed.length; cell++) {
    closed[cell] = nearOpen[cell] === 0 && hu[cell] <= BONE_HU ? 1 : 0; // what was open is near open
    count += closed[cell];
  }
  return { cells: closed, count };
}

/** The brain's compartment, and its core at least 4 mm from bone, fat and air. 0/1 cells of the lattice. */
export interface Compartment {
  readonly mask: Uint8Array;
  readonly core: Uint8Array;
}

/**
 * Of what bone encloses, the large connected pieces that stay connected 4 mm away from bone, fat and air: brain and its
 * fluid, with everything in them; not orbits, sinuses, or the muscles between skull base and jaw.
 *
 * @param enclosed see `enclosedByBone`
 * @param vertexZ top of the calvarium along the plane normal, mm
 */
export function brainCompartment(lattice: Lattice, enclosed: Uint8Array, vertexZ: number): Compartment {
  const { hu, layers, rows, columns } = lattice;
  const plane = rows * columns;
  const barrier = new Uint8Array(hu.length);
  for (let cell = 0; cell < hu.length; cell++) if (enclosed[cell] === 0 || hu[cell] < FAT_HU) barrier[cell] = 1;
  const core = clearOf(lattice, barrier);
  for (let layer = 0; layer < layers; layer++) {
    if (lattice.z[layer] < vertexZ - DEEPEST_BELOW_VERTEX_MM) core.fill(0, layer * plane, (layer + 1) * plane);
  }
  const { members } = labelComponents(core, layers, rows, columns);
  const largest = members.reduce((size, cells) => Math.max(size, cells.length), 0);
  core.fill(0);
  for (const cells of members) if (cells.length >= SMALLEST_PIECE * largest) for (const cell of cells) core[cell] = 1;

  const mask = new Uint8Array(core.length);
  for (let layer = 0; layer < layers; layer++) dilatePlane(lattice, core, layer * plane, CLEARANCE_MM, mask);
  for (let cell = 0; cell < mask.length; cell++) if (barrier[cell] === 1) mask[cell] = 0;
  return { mask, core };
}

/**
 * Cells at least 4 mm from every barrier cell in three dimensions. A barrier cell of another layer begins half way between
 * the layers, so a thick layer's neighbour still counts as near.
 */
function clearOf(lattice: Lattice, barrier: Uint8Array): Uint8Array {
  const { layers, z } = lattice;
  const plane = lattice.rows * lattice.columns;
  const clear = new Uint8Array(barrier.length).fill(1);
  const near = new Uint8Array(barrier.length);
  for (let from = 0; from < layers; from++) {
    for (let layer = 0; layer < layers; layer++) {
      const between = Math.abs(z[layer] - z[from]) - (from === layer ? 0 : lattice.thicknessMm[from] / 2);
      if (between >= CLEARANCE_MM) continue;
      dilatePlane(lattice, barrier, from * plane, Math.sqrt(CLEARANCE_MM ** 2 - Math.max(0, between) ** 2), near);
      for (let cell = 0; cell < plane; cell++) if (near[from * plane + cell] === 1) clear[layer * plane + cell] = 0;
    }
  }
  return clear;
}
