/**
 * Whether the voxels are a head with a brain in it, whatever the headers say. Every criterion is a number, published here and
 * at GET /v1/refusals; every refusal carries the measured value and the limit it broke.
 */
import { flag } from '../prediction/flags.ts';
import type { Flag } from '../prediction/prediction.ts';
import { RefusalError } from '../prediction/refusals.ts';
import { findCalvarium, type Calvarium } from './head-grid.ts';
import { airHu, brainTissue, middleAndEdgeHu, shareOfBone } from './hounsfield-anchors.ts';
import { brainCompartment, DEEPEST_BELOW_VERTEX_MM, enclosedByBone } from './intracranial.ts';
import { makeLattice, type Lattice } from './lattice.ts';
import type { Volume } from './volume.ts';

/** The published criteria. */
export const HEAD_CRITERIA = {
  /** Mode of outside air, HU. */
  airHu: { min: -1060, max: -940 },
  /** Mode of what bone encloses, HU: grey and white matter. */
  brainHu: { min: 20, max: 45 },
  /** Share of what bone encloses that lies within 25 HU of that mode. A brain reaches 0.9, any mixture less. */
  minBrainShare: 0.5,
  /** Share of the volume above 300 HU. Heads stay below 0.1; more means the scale is wrong. */
  maxBoneShare: 0.2,
  /**
   * Where no calvarium is seen: the mode of the middle of no patient lies in this range, HU. Up to `above` it is air; air in
   * the middle with an edge denser than `below` is an inverted scale.
   */
  noTissueHu: { above: -900, below: -200 },
  /** Largest cross-section enclosed by bone, cm2. */
  crossSectionCm2: { min: 80, max: 280 },
  /** Share of the layers 20 to 90 mm below the vertex in which bone encloses at least 30 cm2. */
  minEnclosedLayers: 0.7,
  enclosedLayerCm2: 30,
  /** Volume of the brain's compartment, mL, if it were covered whole (see `coveredShare`). */
  intracranialMl: { min: 700, max: 2000 },
  /** Depth below the vertex that the scan must reach, mm. */
  minCoverageMm: 90,
  /** Brain still visible in the topmost layer, cm2: beyond, more than about 11 mm of brain are missing. */
  maxBrainInTopLayerCm2: 50,
} as const;

/** What was recognized; measurements and pictures build on it. */
export interface HeadAnatomy {
  readonly lattice: Lattice;
  /** 0/1 cells of the lattice: brain and its fluid inside the skull, at most 116 mm below the vertex. */
  readonly intracranial: Uint8Array;
  /** The same, at least 4 mm from bone, fat and air: where measurements are taken. */
  readonly eroded: Uint8Array;
  /** Top of the calvarium along the plane normal, mm (as in `slicePositions`). */
  readonly vertexZ: number;
  /** Depth below the vertex that the scan covers, mm. */
  readonly coverageMm: number;
  readonly intracranialMl: number;
  readonly brainHu: number;
  /** null where no air outside the head was scanned. */
  readonly airHu: number | null;
  readonly flags: Flag[];
}

/**
 * Recognizes the head, in this order: scale of the values, calvarium, enclosure by bone, brain inside it, coverage.
 *
 * @returns anatomy with the flag `vertex-not-covered` where the topmost slice still shows the calvarium
 * @throws RefusalError `hounsfield-implausible`, `not-a-head`, `incomplete-head-coverage`
 */
export function assertHead(volume: Volume): HeadAnatomy {
  const boneShare = shareOfBone(volume);
  if (boneShare > HEAD_CRITERIA.maxBoneShare) {
    throw implausible('Most of the volume is as dense as bone', {
      boneShare: round(boneShare, 2),
      limit: HEAD_CRITERIA.maxBoneShare,
    });
  }
  const air = airHu(volume);
  if (air !== null && (air < HEAD_CRITERIA.airHu.min || air > HEAD_CRITERIA.airHu.max)) {
    throw implausible('Air does not lie near -1000 HU', {
      airHu: air,
      limitsHu: [HEAD_CRITERIA.airHu.min, HEAD_CRITERIA.airHu.max],
    });
  }
  const { vertexZ, topSlice } = findCalvariumOrScale(volume);
  const lattice = makeLattice(volume);
  const enclosed = enclosedByBone(lattice);
  assertEnclosed(lattice, enclosed, vertexZ);
  const brainHu = assertBrainTissue(lattice, enclosed, vertexZ);

  const { mask, core } = brainCompartment(lattice, enclosed, vertexZ);
  const coverageMm = vertexZ - (lattice.z[0] - lattice.thicknessMm[0] / 2);
  const intracranialMl = assertVolume(lattice, mask, coverageMm);
  assertCoverage(lattice, mask, coverageMm);
  return {
    lattice,
    intracranial: mask,
    eroded: core,
    vertexZ,
    coverageMm,
    intracranialMl,
    brainHu,
    airHu: air,
    flags: topSlice === volume.slices - 1 ? [flag('vertex-not-covered')] : [],
  };
}

/** Area of the set cells of each layer, cm2. */
export function areasCm2(lattice: Lattice, cells: Uint8Array): number[] {
  const plane = lattice.rows * lattice.columns;
  return Array.from({ length: lattice.layers }, (_, layer) => {
    let count = 0;
    for (let cell = layer * plane; cell < (layer + 1) * plane; cell++) count += cells[cell];
    return (count * lattice.rowMm * lattice.columnMm) / 100;
  });
}

/** Without a calvarium, a wrong scale is told from a scan of something else by what lies in the middle and around it. */
function findCalvariumOrScale(volume: Volume): Calvarium {
  try {
    return findCalvarium(volume);
  } catch (error) {
    const { middleHu, edgeHu } = middleAndEdgeHu(volume);
    const { above, below } = HEAD_CRITERIA.noTissueHu;
    const details = { middleHu, edgeHu, noTissueHu: [above, below] };
    if (middleHu <= above && edgeHu >= below)
      throw implausible('Air lies inside and tissue around it, as if inverted', details);
    if (middleHu > above && middleHu < below)
      throw implausible('What fills the scan has the density of no tissue', details);
    throw error;
  }
}

function assertEnclosed(lattice: Lattice, enclosed: Uint8Array, vertexZ: number): void {
  const areas = areasCm2(lattice, enclosed);
  const inRange = areas.filter((_, layer) => isCalvarial(vertexZ - lattice.z[layer]));
  const closedShare =
    inRange.filter((area) => area >= HEAD_CRITERIA.enclosedLayerCm2).length / Math.max(1, inRange.length);
  const largest = Math.max(0, ...inRange);
  const { min, max } = HEAD_CRITERIA.crossSectionCm2;
  if (closedShare < HEAD_CRITERIA.minEnclosedLayers || largest < min || largest > max) {
    throw notAHead('Bone does not enclose a space of the size of a skull', {
      largestCrossSectionCm2: round(largest, 1),
      limitsCm2: [min, max],
      enclosedLayerShare: round(closedShare, 2),
      requiredShare: HEAD_CRITERIA.minEnclosedLayers,
    });
  }
}

function assertBrainTissue(lattice: Lattice, enclosed: Uint8Array, vertexZ: number): number {
  const { modeHu, share } = brainTissue(lattice, enclosed, (layer) => isCalvarial(vertexZ - lattice.z[layer]));
  const { min, max } = HEAD_CRITERIA.brainHu;
  const details = {
    modeHu,
    limitsHu: [min, max],
    shareNearMode: round(share, 2),
    requiredShare: HEAD_CRITERIA.minBrainShare,
  };
  if (Math.abs(modeHu) > 200 || share < HEAD_CRITERIA.minBrainShare) {
    assertClosedAtTheTop(lattice, enclosed);
    throw notAHead('The skull does not hold a brain', details);
  }
  if (modeHu < min || modeHu > max) throw implausible('Brain does not lie where Hounsfield units put it', details);
  return modeHu;
}

/** The lower part of a head holds more air and bone than brain; what is wrong with it is that the upper part is missing. */
function assertClosedAtTheTop(lattice: Lattice, enclosed: Uint8Array): void {
  const enclosedInTopSliceCm2 = areasCm2(lattice, enclosed)[lattice.layers - 1];
  if (enclosedInTopSliceCm2 <= HEAD_CRITERIA.maxBrainInTopLayerCm2) return;
  throw new RefusalError('incomplete-head-coverage', 'The top of the skull is outside the scan: send the whole head.', {
    enclosedInTopSliceCm2: round(enclosedInTopSliceCm2, 1),
    limitCm2: HEAD_CRITERIA.maxBrainInTopLayerCm2,
  });
}

function assertVolume(lattice: Lattice, mask: Uint8Array, coverageMm: number): number {
  const areas = areasCm2(lattice, mask);
  const measuredMl = areas.reduce((sum, area, layer) => sum + (area * lattice.thicknessMm[layer]) / 10, 0);
  const share = coveredShare(Math.min(coverageMm, DEEPEST_BELOW_VERTEX_MM));
  const { min, max } = HEAD_CRITERIA.intracranialMl;
  if (measuredMl < min * share || measuredMl > max * share) {
    throw notAHead('The space inside the skull does not have the size of a brain', {
      intracranialMl: Math.round(measuredMl),
      limitsMl: [Math.round(min * share), Math.round(max * share)],
    });
  }
  return measuredMl;
}

function assertCoverage(lattice: Lattice, mask: Uint8Array, coverageMm: number): void {
  const brainInTopLayerCm2 = areasCm2(lattice, mask)[lattice.layers - 1];
  if (coverageMm < HEAD_CRITERIA.minCoverageMm || brainInTopLayerCm2 > HEAD_CRITERIA.maxBrainInTopLayerCm2) {
    throw new RefusalError(
      'incomplete-head-coverage',
      'The scan must reach from the vertex at least 90 mm down: send the whole head.',
      {
        coverageMm: round(coverageMm, 1),
        requiredMm: HEAD_CRITERIA.minCoverageMm,
        brainInTopSliceCm2: round(brainInTopLayerCm2, 1),
        limitCm2: HEAD_CRITERIA.maxBrainInTopLayerCm2,
      },
    );
  }
}

/** Between the cap and the skull base, where every head is closed by bone. */
function isCalvarial(belowVertexMm: number): boolean {
  return belowVertexMm >= 20 && belowVertexMm <= 90;
}

/**
 * Share of the intracranial volume above a depth below the vertex: that of an ellipsoid 130 mm high whose top lies 7 mm below
 * the vertex, 3u^2 - 2u^3.
 */
function coveredShare(depthMm: number): number {
  const u = Math.min(1, Math.max(0, (depthMm - 7) / 130));
  return 3 * u * u - 2 * u * u * u;
}

type Details = Record<string, number | readonly number[]>;

function notAHead(what: string, details: Details): RefusalError {
  return new RefusalError('not-a-head', `${what}: send a head CT of a patient.`, details);
}

function implausible(what: string, details: Details): RefusalError {
  return new RefusalError('hounsfield-implausible', `${what}: check rescale slope and intercept.`, details);
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
