/** Stored values -> Hounsfield units, in the voxel order of the house. */
import { RefusalError } from '../prediction/refusals.ts';
import type { Orientation } from './orientation.ts';
import type { Frame, InstanceHeader, StoredValues } from './volume.ts';

/** HU of padding, and the lowest HU kept: nothing attenuates less than vacuum, lower values are the scanner's own padding. */
export const PADDING_HU = -1024;

/**
 * HU = stored value x slope + intercept (PS3.3 C.11.1.1.2), padding and everything below -1024 as -1024.
 *
 * @param target HU of one slice, `[row][column]` of the house, written
 * @throws RefusalError `photometric-interpretation-unsupported`, `rescale-missing`, `geometry-inconsistent` (too few values)
 */
export function toHounsfield(frame: Frame, orientation: Orientation, target: Float32Array): void {
  const { header, storedValues } = frame;
  if (header.photometricInterpretation !== 'MONOCHROME2' || header.samplesPerPixel !== 1) {
    throw new RefusalError(
      'photometric-interpretation-unsupported',
      'Only MONOCHROME2 with one sample per pixel is read: send the images as the scanner made them.',
      {
        photometricInterpretation: header.photometricInterpretation ?? null,
        samplesPerPixel: header.samplesPerPixel ?? null,
      },
    );
  }
  const { slope, intercept } = rescaleOf(header);
  if (storedValues.length !== target.length) {
    throw new RefusalError('geometry-inconsistent', 'Rows x Columns does not match the number of stored values.', {
      storedValues: storedValues.length,
      expected: target.length,
    });
  }
  const padding = paddingRange(header, storedValues);
  const { offset, rowStride, columnStride, rows, columns } = orientation;
  let to = 0;
  for (let row = 0; row < rows; row++) {
    let from = offset + row * rowStride;
    for (let column = 0; column < columns; column++, from += columnStride) {
      const stored = storedValues[from];
      const hu = stored >= padding.low && stored <= padding.high ? PADDING_HU : stored * slope + intercept;
      target[to++] = hu < PADDING_HU ? PADDING_HU : hu;
    }
  }
}

/**
 * Rescale slope and intercept, never defaulted.
 *
 * @throws RefusalError `rescale-missing` when absent, not finite, zero, or when Rescale Type (0028,1054) names another unit.
 *   "US" (unspecified) passes: the content check then vouches for the scale.
 */
export function rescaleOf(header: InstanceHeader): { slope: number; intercept: number } {
  const { rescaleSlope: slope, rescaleIntercept: intercept, rescaleType } = header;
  if (slope === undefined || intercept === undefined || !Number.isFinite(slope * intercept) || slope === 0) {
    throw new RefusalError('rescale-missing', 'Rescale Slope (0028,1053) and Intercept (0028,1052) must be stated.', {
      slope: slope ?? null,
      intercept: intercept ?? null,
    });
  }
  if (rescaleType !== undefined && !['HU', 'US'].includes(rescaleType.trim().toUpperCase())) {
    throw new RefusalError('rescale-missing', 'Rescale Type (0028,1054) is not HU: these values are not attenuation.', {
      rescaleType,
    });
  }
  return { slope, intercept };
}

/**
 * Stored values that are padding (PS3.3 C.7.5.1.1.2): Pixel Padding Value, and all up to the Range Limit where stated.
 * Some senders encode the value with the wrong sign; the same 16 bits are then read with the sign of the pixels.
 */
function paddingRange(header: InstanceHeader, storedValues: StoredValues): { low: number; high: number } {
  const value = header.pixelPaddingValue;
  if (value === undefined) return { low: Infinity, high: -Infinity };
  const limit = header.pixelPaddingRangeLimit ?? value;
  const [a, b] = [withSignOf(value, storedValues), withSignOf(limit, storedValues)];
  return { low: Math.min(a, b), high: Math.max(a, b) };
}

function withSignOf(value: number, storedValues: StoredValues): number {
  if (storedValues instanceof Int16Array && value > 32767) return value - 65536;
  if (storedValues instanceof Uint16Array && value < 0) return value + 65536;
  return value;
}
