/**
 * A head simple enough to reason about: an ellipsoid of brain in an ellipsoid of bone in a layer of scalp, sampled at the
 * positions of any slices. Everything lies where the options say, so that tests can state in advance what must be found.
 */
import type { Frame, InstanceHeader, Vector3 } from '../../api/imaging/volume.ts';

export interface Sphere {
  /** Patient coordinates (LPS) relative to the middle of the head, mm. */
  readonly center: Vector3;
  readonly radiusMm: number;
  readonly hu: number;
}

export interface SyntheticHeadOptions {
  /** Distances between neighbouring slices along the table, mm, inferior to superior. */
  readonly gapsMm?: readonly number[];
  readonly slices?: number;
  readonly gapMm?: number;
  readonly sliceThicknessMm?: number;
  /** Square matrix and its field of view, mm. */
  readonly matrix?: number;
  readonly fieldOfViewMm?: number;
  /** Gantry tilt, degrees: the planes lean, the table moves along the patient's axis. */
  readonly tiltDeg?: number;
  /** Height of the topmost slice over the top of the skull, mm. */
  readonly aboveVertexMm?: number;
  /** Scale of the whole head; 1 encloses about 1570 mL. */
  readonly size?: number;
  /** Shift of the head in the field of view, mm (left, posterior). */
  readonly shiftMm?: readonly [number, number];
  readonly brainHu?: number;
  readonly spheres?: readonly Sphere[];
  /** Standard deviation of Gaussian noise, HU. */
  readonly noiseHu?: number;
  readonly seed?: number;
  readonly header?: Partial<InstanceHeader>;
  /** Stored value = (HU - intercept) / slope; the header states `rescaleSlope` and `rescaleIntercept` as they are given there. */
  readonly slope?: number;
  readonly intercept?: number;
}

/** Normal numbers, drawn once and read from many starts: one draw per voxel would be most of a test's time. */
const NORMAL_MASK = 0xffff;
const NORMAL = standardNormals(NORMAL_MASK + 1);

/** Semi-axes in mm (left-right, front-back, up-down) of brain, skull and scalp. */
const BRAIN: Vector3 = [68, 85, 65];
const SKULL: Vector3 = [75, 92, 72];
const SCALP: Vector3 = [80, 97, 77];
const SKULL_HU = 900;

/** HU at a point relative to the middle of the head, mm. */
export function headHuAt(x: number, y: number, z: number, options: SyntheticHeadOptions = {}): number {
  return headHuAlong(y, z, options)(x);
}

/** HU along a line from right to left through the head: the line's chord of each ellipsoid is computed once. */
function headHuAlong(y: number, z: number, options: SyntheticHeadOptions): (x: number) => number {
  const { size = 1, brainHu = 32, spheres = [] } = options;
  const [brain, skull, scalp] = [BRAIN, SKULL, SCALP].map(
    ([a, b, c]) => a * a * (size * size - (y * y) / (b * b) - (z * z) / (c * c)),
  );
  const met = spheres
    .map(({ center, radiusMm, hu }) => ({
      at: center[0],
      chord: radiusMm ** 2 - (y - center[1]) ** 2 - (z - center[2]) ** 2,
      hu,
    }))
    .filter(({ chord }) => chord >= 0);
  return (x) => {
    const square = x * x;
    if (square > scalp) return -1000;
    if (square > skull) return 10;
    if (square > brain) return SKULL_HU;
    for (let i = 0; i < met.length; i++) if ((x - met[i].at) * (x - met[i].at) <= met[i].chord) return met[i].hu;
    return brainHu;
  };
}

/** Frames of a valid non-contrast head CT, inferior to superior; every option changes one thing about it. */
export function syntheticHead(options: SyntheticHeadOptions = {}): Frame[] {
  const {
    matrix = 160,
    fieldOfViewMm = 232,
    tiltDeg = 0,
    aboveVertexMm = 6,
    size = 1,
    shiftMm = [0, 0],
    noiseHu = 0,
    slope = 1,
    intercept = -1024,
  } = options;
  const gaps = options.gapsMm ?? new Array<number>((options.slices ?? 30) - 1).fill(options.gapMm ?? 5);
  const spacing = fieldOfViewMm / matrix;
  const tilt = (tiltDeg * Math.PI) / 180;
  const rowDirection: Vector3 = [1, 0, 0];
  const columnDirection: Vector3 = [0, Math.cos(tilt), -Math.sin(tilt)];
  const length = gaps.reduce((sum, gap) => sum + gap, 0);
  // With a leaning plane the top of the skull is met at another height: the tangent plane of the ellipsoid.
  const top = size * Math.hypot(SKULL[2], SKULL[1] * Math.tan(tilt));

  let height = top + aboveVertexMm - length;
  return [0, ...gaps].map((gap, i) => {
    height += gap;
    const origin: Vector3 = [
      -((matrix - 1) / 2) * spacing,
      -((matrix - 1) / 2) * spacing * columnDirection[1],
      height - ((matrix - 1) / 2) * spacing * columnDirection[2],
    ];
    const storedValues = new Uint16Array(matrix * matrix);
    let noiseAt = (options.seed ?? 1) * 104_729 + i * 7919; // primes: slices and seeds begin in different places
    for (let row = 0, at = 0; row < matrix; row++) {
      const huAlong = headHuAlong(
        origin[1] + row * spacing * columnDirection[1] - shiftMm[1],
        origin[2] + row * spacing * columnDirection[2],
        options,
      );
      const left = origin[0] - shiftMm[0];
      for (let column = 0; column < matrix; column++, at++) {
        const hu = huAlong(left + column * spacing) + noiseHu * NORMAL[noiseAt++ & NORMAL_MASK];
        const stored = (hu - intercept) / slope;
        storedValues[at] = stored > 0 ? stored + 0.5 : 0; // the array cuts the fraction off
      }
    }
    const header: InstanceHeader = {
      sopInstanceUid: `2.25.1${String(i).padStart(3, '0')}`,
      sopClassUid: '1.2.840.10008.5.1.4.1.1.2',
      studyInstanceUid: '2.25.10',
      seriesInstanceUid: '2.25.11',
      transferSyntaxUid: '1.2.840.10008.1.2.1',
      modality: 'CT',
      imageType: ['ORIGINAL', 'PRIMARY', 'AXIAL'],
      seriesNumber: 2,
      instanceNumber: i + 1,
      bodyPartExamined: 'HEAD',
      kvp: 120,
      convolutionKernel: ['H31s'],
      sliceThicknessMm: options.sliceThicknessMm ?? Math.max(...gaps) * Math.cos(tilt),
      gantryDetectorTiltDeg: tiltDeg,
      patientId: 'SYNTHETIC',
      frameOfReferenceUid: '2.25.12',
      rows: matrix,
      columns: matrix,
      samplesPerPixel: 1,
      photometricInterpretation: 'MONOCHROME2',
      bitsAllocated: 16,
      bitsStored: 16,
      pixelRepresentation: 0,
      rescaleSlope: slope,
      rescaleIntercept: intercept,
      pixelSpacingMm: [spacing, spacing],
      imagePositionPatient: origin,
      imageOrientationPatient: [...rowDirection, ...columnDirection],
      ...options.header,
    };
    return { header, storedValues };
  });
}

/**
 * The same image stored another way round: the pixels are turned or mirrored, and position, orientation and spacing say so.
 *
 * @param way 0..7: transposed (4), rows reversed (2), columns reversed (1)
 */
export function storedAnotherWay(frame: Frame, way: number): Frame {
  const { header, storedValues } = frame;
  const [transposed, rowsReversed, columnsReversed] = [(way & 4) !== 0, (way & 2) !== 0, (way & 1) !== 0];
  const rows = header.rows!;
  const columns = header.columns!;
  const [rowSpacing, columnSpacing] = header.pixelSpacingMm!;
  const orientation = header.imageOrientationPatient!;
  const along = orientation.slice(0, 3).map((value) => (columnsReversed ? -value : value));
  const down = orientation.slice(3).map((value) => (rowsReversed ? -value : value));
  const corner = header.imagePositionPatient!.map(
    (value, axis) =>
      value +
      (columnsReversed ? (columns - 1) * columnSpacing * orientation[axis] : 0) +
      (rowsReversed ? (rows - 1) * rowSpacing * orientation[3 + axis] : 0),
  ) as unknown as Vector3;
  const turned = storedValues.slice();
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const r = rowsReversed ? rows - 1 - row : row;
      const c = columnsReversed ? columns - 1 - column : column;
      turned[transposed ? c * rows + r : r * columns + c] = storedValues[row * columns + column];
    }
  }
  return {
    storedValues: turned,
    header: {
      ...header,
      rows: transposed ? columns : rows,
      columns: transposed ? rows : columns,
      pixelSpacingMm: transposed ? [columnSpacing, rowSpacing] : [rowSpacing, columnSpacing],
      imagePositionPatient: corner,
      imageOrientationPatient: (transposed ? [...down, ...along] : [...along, ...down]) as unknown as readonly [
        number,
        number,
        number,
        number,
        number,
        number,
      ],
    },
  };
}

/** Uniform numbers 0..1 from a seed (mulberry32). */
export function uniform(seed: number): () => number {
  const { imul } = Math; // a look-up of a global is slow inside Jest
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** Standard normal numbers (Box and Muller). */
function standardNormals(count: number): Float32Array {
  const { sqrt, log, cos, PI } = Math;
  const random = uniform(1);
  const normals = new Float32Array(count);
  for (let i = 0; i < count; i++) normals[i] = sqrt(-2 * log(1 - random())) * cos(2 * PI * random());
  return normals;
}
