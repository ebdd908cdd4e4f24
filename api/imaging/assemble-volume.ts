/**
 * Decoded frames of one series -> Volume: HU, LPS, columns to the patient's left, rows to posterior, slices to superior.
 * What can be corrected exactly is corrected (slice order, gantry tilt, uneven spacing, any in-plane orientation, padding);
 * everything else is refused with its code. Nothing is guessed and no pixel is interpolated here.
 */
import { flag } from '../prediction/flags.ts';
import type { Flag } from '../prediction/prediction.ts';
import { RefusalError } from '../prediction/refusals.ts';
import { add, dot } from './geometry.ts';
import { toHounsfield } from './hounsfield.ts';
import { orient } from './orientation.ts';
import { checkPlane, checkSpacing, commonPlane } from './series-geometry.ts';
import type { Frame, Volume } from './volume.ts';

/**
 * Assembles the frames of one series.
 *
 * @param frames decoded frames, any order
 * @returns the volume, and what a reader should know: `gantry-tilt-corrected`, `slice-gap-wide`, `slice-thickness-absent`
 * @throws RefusalError `geometry-missing`, `geometry-inconsistent`, `oblique-plane`, `duplicate-slices`,
 *   `slice-gap-too-large`, `too-few-slices`, `rescale-missing`, `photometric-interpretation-unsupported`
 */
export function assembleVolume(frames: readonly Frame[]): { volume: Volume; flags: Flag[] } {
  if (frames.length < 2) {
    throw new RefusalError('too-few-slices', 'One slice has no neighbours: send the whole series.', {
      slices: frames.length,
      required: 2,
    });
  }
  const orientation = orient(commonPlane(frames.map((frame) => frame.header)));
  const slices = frames
    .map((frame) => {
      const origin = add(frame.header.imagePositionPatient!, orientation.originShift);
      return { frame, origin, z: dot(origin, orientation.normal) };
    })
    .sort((a, b) => a.z - b.z);

  const origins = slices.map(({ origin }) => origin);
  const headers = slices.map(({ frame }) => frame.header);
  const tiltCorrected = checkPlane(orientation.normal, origins, headers);
  const spacing = checkSpacing(
    slices.map(({ z }) => z),
    headers,
  );

  const size = orientation.rows * orientation.columns;
  const hu = new Float32Array(slices.length * size);
  slices.forEach(({ frame }, i) => {
    toHounsfield(frame, orientation, hu.subarray(i * size, (i + 1) * size));
  });

  const thicknesses = headers.map((header) => header.sliceThicknessMm).filter((mm) => mm !== undefined);
  const volume: Volume = {
    hu,
    slices: slices.length,
    rows: orientation.rows,
    columns: orientation.columns,
    rowSpacingMm: orientation.rowSpacingMm,
    columnSpacingMm: orientation.columnSpacingMm,
    rowDirection: orientation.rowDirection,
    columnDirection: orientation.columnDirection,
    normal: orientation.normal,
    origins,
    sopInstanceUids: headers.map((header) => header.sopInstanceUid),
    sliceThicknessMm: thicknesses.length > 0 ? Math.max(...thicknesses) : undefined,
    frameOfReferenceUid: headers[0].frameOfReferenceUid,
  };
  const flags: Flag[] = [];
  if (tiltCorrected) flags.push(flag('gantry-tilt-corrected'));
  if (spacing.wide) flags.push(flag('slice-gap-wide'));
  if (thicknesses.length < headers.length) flags.push(flag('slice-thickness-absent'));
  return { volume, flags };
}
