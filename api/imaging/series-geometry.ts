/** The rules a stack of slices must meet before it counts as one volume, and the plane its slices share. */
import { RefusalError } from '../prediction/refusals.ts';
import { angleBetweenLinesDeg, dot, norm, normalize, scale, add } from './geometry.ts';
import type { InstanceHeader, Vector3 } from './volume.ts';

/** Limits of the accepted geometry; each refusal's details carry the measured value and the limit it broke. */
export const GEOMETRY_LIMITS = {
  /** Largest distance between neighbouring slices, mm. */
  maxGapMm: 8,
  /** Largest gap as a multiple of the stated slice thickness. */
  maxGapPerThickness: 2,
  /** From this multiple on, the gap is flagged `slice-gap-wide`. */
  wideGapPerThickness: 1.2,
  /** Two slices nearer than this lie at the same position, mm. No CT table moves in smaller steps. */
  samePositionMm: 0.05,
  /** Largest angle of the image plane from the axial plane beyond gantry tilt, degrees. */
  maxObliqueDeg: 30,
  /** Largest tilt a CT gantry can have, degrees. */
  maxGantryTiltDeg: 30,
} as const;

/** Positions in DICOM are decimal strings: differences below this are rounding, mm. */
const ROUNDING_MM = 1e-3;
/** Direction cosines of two slices, or of one pair of axes, may differ by this much: 0.25 mm over a head. */
const COSINE_TOLERANCE = 1e-3;

/** The image plane all slices of the sender share, as sent (before any reordering). */
export interface SenderPlane {
  readonly rows: number;
  readonly columns: number;
  readonly rowSpacingMm: number;
  readonly columnSpacingMm: number;
  /** Direction of increasing column index, first triple of (0020,0037). */
  readonly rowDirection: Vector3;
  /** Direction of increasing row index, second triple of (0020,0037), made exactly perpendicular. */
  readonly columnDirection: Vector3;
}

/**
 * The plane of all slices.
 *
 * @throws RefusalError `geometry-missing` naming the absent attributes; `geometry-inconsistent` when slices differ in matrix,
 *   spacing, orientation or frame of reference, or when directions are not perpendicular unit vectors
 */
export function commonPlane(headers: readonly InstanceHeader[]): SenderPlane {
  const planes = headers.map(planeOf);
  const first = planes[0];
  for (const [i, plane] of planes.entries()) {
    const differs =
      plane.rows !== first.rows || plane.columns !== first.columns
        ? 'matrix size'
        : relativeDifference(plane.rowSpacingMm, first.rowSpacingMm) > 1e-4 ||
            relativeDifference(plane.columnSpacingMm, first.columnSpacingMm) > 1e-4
          ? 'pixel spacing'
          : farApart(plane.rowDirection, first.rowDirection) || farApart(plane.columnDirection, first.columnDirection)
            ? 'orientation'
            : headers[i].frameOfReferenceUid !== headers[0].frameOfReferenceUid
              ? 'frame of reference'
              : undefined;
    if (differs !== undefined)
      throw inconsistent(`The slices differ in ${differs}: send one series of parallel slices.`, { differs, slice: i });
  }
  return first;
}

function planeOf(header: InstanceHeader): SenderPlane {
  const absent = [
    header.imagePositionPatient === undefined && 'Image Position (Patient) (0020,0032)',
    header.imageOrientationPatient === undefined && 'Image Orientation (Patient) (0020,0037)',
    header.pixelSpacingMm === undefined && 'Pixel Spacing (0028,0030)',
    header.rows === undefined && 'Rows (0028,0010)',
    header.columns === undefined && 'Columns (0028,0011)',
  ].filter((name) => name !== false);
  if (absent.length > 0) {
    throw new RefusalError('geometry-missing', `${absent.join(', ')} is absent; geometry is never guessed.`, {
      absent,
    });
  }
  const orientation = header.imageOrientationPatient!;
  const [rowSpacingMm, columnSpacingMm] = header.pixelSpacingMm!;
  const numbers = [...orientation, ...header.imagePositionPatient!, rowSpacingMm, columnSpacingMm];
  if (!numbers.every(Number.isFinite) || rowSpacingMm <= 0 || columnSpacingMm <= 0)
    throw inconsistent('Position, orientation and spacing must be finite numbers, spacing above 0.', {});

  const row: Vector3 = [orientation[0], orientation[1], orientation[2]];
  const column: Vector3 = [orientation[3], orientation[4], orientation[5]];
  const skew = Math.max(Math.abs(norm(row) - 1), Math.abs(norm(column) - 1), Math.abs(dot(row, column)));
  if (skew > COSINE_TOLERANCE * 10) {
    throw inconsistent('The two directions of Image Orientation (Patient) are not perpendicular unit vectors.', {
      deviation: skew,
      limit: COSINE_TOLERANCE * 10,
    });
  }
  const rowDirection = normalize(row);
  const columnDirection = normalize(add(column, scale(rowDirection, -dot(column, rowDirection))));
  return { rows: header.rows!, columns: header.columns!, rowSpacingMm, columnSpacingMm, rowDirection, columnDirection };
}

/**
 * Holds the plane to the axial one. Gantry tilt explains an angle as far as (0018,1120) states it, or as the stack itself
 * shows it: a tilted gantry leaves the slices sheared along the table, an oblique reformat does not.
 *
 * @param normal plane normal, pointing to +S
 * @param origins first voxel of each slice, inferior to superior, mm
 * @returns whether the slices are shifted against each other (sheared stack, kept exactly by their own origins)
 * @throws RefusalError `oblique-plane`
 */
export function checkPlane(normal: Vector3, origins: readonly Vector3[], headers: readonly InstanceHeader[]): boolean {
  const table = add(origins[origins.length - 1], scale(origins[0], -1));
  const shearDeg = norm(table) > 0 ? angleBetweenLinesDeg(table, normal) : 0;
  const statedDeg = Math.abs(headers[0].gantryDetectorTiltDeg ?? 0);
  const fromAxialDeg = angleBetweenLinesDeg(normal, [0, 0, 1]);
  const explainedDeg = Math.min(Math.max(shearDeg, statedDeg), GEOMETRY_LIMITS.maxGantryTiltDeg);
  const obliqueDeg = fromAxialDeg - Math.min(fromAxialDeg, explainedDeg);
  if (obliqueDeg > GEOMETRY_LIMITS.maxObliqueDeg) {
    throw new RefusalError('oblique-plane', 'The slices are not axial: send the original axial series.', {
      obliqueDeg: round(obliqueDeg, 1),
      limitDeg: GEOMETRY_LIMITS.maxObliqueDeg,
      gantryTiltDeg: round(explainedDeg, 1),
    });
  }
  const shiftMm = norm(table) * Math.sin((shearDeg * Math.PI) / 180);
  return shiftMm > 0.5;
}

/**
 * Holds the distances between neighbouring slices, measured along the plane normal, to the limits.
 *
 * @param z increasing slice positions along the normal, mm
 * @param headers in the same order; the thickness stated for a pair is the mean of its two
 * @returns whether a gap is wide enough to be flagged
 * @throws RefusalError `duplicate-slices`, `slice-gap-too-large`
 */
export function checkSpacing(z: readonly number[], headers: readonly InstanceHeader[]): { wide: boolean } {
  let wide = false;
  for (let i = 1; i < z.length; i++) {
    const gapMm = z[i] - z[i - 1];
    if (gapMm < GEOMETRY_LIMITS.samePositionMm) {
      throw new RefusalError('duplicate-slices', 'Two slices lie at the same position: send one reconstruction.', {
        positionMm: round(z[i], 2),
        instanceNumbers: [headers[i - 1].instanceNumber, headers[i].instanceNumber].filter((n) => n !== undefined),
      });
    }
    const [below, above] = [headers[i - 1].sliceThicknessMm, headers[i].sliceThicknessMm];
    const thicknessMm = below !== undefined && above !== undefined ? (below + above) / 2 : undefined;
    const limitMm = Math.min(GEOMETRY_LIMITS.maxGapMm, (thicknessMm ?? Infinity) * GEOMETRY_LIMITS.maxGapPerThickness);
    if (gapMm > limitMm + ROUNDING_MM) {
      throw new RefusalError('slice-gap-too-large', 'Slices are missing or too far apart: send the complete series.', {
        gapMm: round(gapMm, 2),
        limitMm: round(limitMm, 2),
        sliceThicknessMm: thicknessMm ?? null,
        positionMm: round(z[i], 2),
      });
    }
    wide ||= thicknessMm !== undefined && gapMm > thicknessMm * GEOMETRY_LIMITS.wideGapPerThickness + ROUNDING_MM;
  }
  return { wide };
}

function inconsistent(message: string, details: Record<string, string | number>): RefusalError {
  return new RefusalError('geometry-inconsistent', message, details);
}

function farApart(a: Vector3, b: Vector3): boolean {
  return a.some((value, i) => Math.abs(value - b[i]) > COSINE_TOLERANCE);
}

function relativeDifference(a: number, b: number): number {
  return Math.abs(a - b) / b;
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
