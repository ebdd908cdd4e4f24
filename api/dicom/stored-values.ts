/** From sample bits to stored values: Bits Stored, High Bit and Pixel Representation (PS3.5 section 8.1.1). */
import type { StoredValues } from '../imaging/volume.ts';

export interface SampleFormat {
  readonly bitsAllocated: 8 | 16 | 32;
  /** Bits that carry the value, 1..bitsAllocated. */
  readonly bitsUsed: number;
  /** Position of the most significant of them, bitsUsed - 1 unless an old sender shifted the sample. */
  readonly highBit: number;
  readonly signed: boolean;
}

/**
 * Takes the used bits out of each sample and extends the sign (two's complement). Bits above and below, where older
 * objects keep overlays, are dropped.
 *
 * @param samples sample bits as unsigned integers
 * @returns values in the type of Bits Allocated and Pixel Representation
 */
export function toStoredValues(samples: ArrayLike<number>, format: SampleFormat): StoredValues {
  const values = allocate(format, samples.length);
  const below = format.highBit + 1 - format.bitsUsed;
  const above = 32 - format.bitsUsed;
  for (let i = 0; i < values.length; i += 1) {
    const top = (samples[i] >>> below) << above;
    values[i] = format.signed ? top >> above : top >>> above;
  }
  return values;
}

function allocate({ bitsAllocated, signed }: SampleFormat, length: number): StoredValues {
  if (bitsAllocated === 8) return signed ? new Int8Array(length) : new Uint8Array(length);
  if (bitsAllocated === 16) return signed ? new Int16Array(length) : new Uint16Array(length);
  return signed ? new Int32Array(length) : new Uint32Array(length);
}

/** Uncompressed sample bytes as unsigned integers; `bytes` may begin at any offset. */
export function nativeSamples(
  bytes: Uint8Array,
  samples: number,
  bytesPerSample: number,
  littleEndian: boolean,
): Uint8Array | Uint16Array | Uint32Array {
  if (bytesPerSample === 1) return bytes.subarray(0, samples);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const out = bytesPerSample === 2 ? new Uint16Array(samples) : new Uint32Array(samples);
  for (let i = 0; i < samples; i += 1) {
    out[i] = bytesPerSample === 2 ? view.getUint16(2 * i, littleEndian) : view.getUint32(4 * i, littleEndian);
  }
  return out;
}
