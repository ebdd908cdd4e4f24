/** Which slices a clinician should see first. */
import { areasCm2, type HeadAnatomy } from './anatomy.ts';

/** Half of the pictures at most go to the densest findings; the rest show the head from bottom to top. */
const FINDINGS_SHARE = 0.5;
/** Findings nearer than this are shown by one slice, mm. */
const APART_MM = 9;
const SMALLEST_FINDING_ML = 0.2;
/** Layers with less brain than this share of the largest are left out. */
const MIN_AREA_SHARE = 0.3;

/**
 * Chooses `count` slices: those with most hyperdense volume, at least 9 mm apart, then always the one farthest from all
 * chosen so far. Fewer where the head has fewer.
 *
 * @param layerMl hyperdense volume of each lattice layer, mL (of initial and follow-up CT, the larger)
 * @returns slice indices, inferior to superior
 */
export function chooseSlices(anatomy: HeadAnatomy, layerMl: ArrayLike<number>, count: number): number[] {
  const { lattice } = anatomy;
  const areas = areasCm2(lattice, anatomy.intracranial);
  const enough = MIN_AREA_SHARE * Math.max(...areas);
  const shown = areas.flatMap((area, layer) => (area >= enough ? [layer] : []));
  const distance = (a: number, b: number): number => Math.abs(lattice.z[a] - lattice.z[b]);
  const toChosen = (layer: number): number => Math.min(Infinity, ...chosen.map((other) => distance(layer, other)));

  const chosen: number[] = [];
  const byFinding = shown
    .filter((layer) => layerMl[layer] >= SMALLEST_FINDING_ML)
    .sort((a, b) => layerMl[b] - layerMl[a] || a - b);
  for (const layer of byFinding) {
    if (chosen.length >= Math.floor(count * FINDINGS_SHARE)) break;
    if (toChosen(layer) >= APART_MM) chosen.push(layer);
  }
  if (chosen.length === 0 && shown.length > 0) chosen.push(shown[shown.length >> 1]);
  while (chosen.length < Math.min(count, shown.length)) {
    chosen.push(shown.reduce((best, layer) => (toChosen(layer) > toChosen(best) ? layer : best)));
  }
  return chosen
    .sort((a, b) => a - b)
    .map((layer) => (lattice.firstSlice[layer] + lattice.firstSlice[layer + 1] - 1) >> 1);
}
