/** RLE Lossless (PS3.5 Annex G): PackBits-like runs, one segment per byte of the sample, most significant byte first. */
import { malformed } from './malformed.ts';

const HEADER_BYTES = 64;

/**
 * @param frame the one frame: 64-byte header and segments
 * @param samples rows x columns
 * @param bytesPerSample 1, 2 or 4
 * @returns the samples, little endian, `samples * bytesPerSample` bytes
 * @throws RefusalError `dicom-malformed` where the segments do not hold exactly this many samples
 */
export function decodeRle(frame: Uint8Array, samples: number, bytesPerSample: number): Uint8Array {
  if (frame.length < HEADER_BYTES) throw malformed('The RLE header (64 bytes) is cut short.');
  const header = new DataView(frame.buffer, frame.byteOffset, HEADER_BYTES);
  const segments = header.getUint32(0, true);
  if (segments !== bytesPerSample) {
    throw malformed(`The RLE frame has ${segments} segments where ${bytesPerSample} are needed.`, { segments });
  }
  const out = new Uint8Array(samples * bytesPerSample);
  for (let segment = 0; segment < segments; segment += 1) {
    const start = header.getUint32(4 + 4 * segment, true);
    const end = segment + 1 < segments ? header.getUint32(8 + 4 * segment, true) : frame.length;
    if (start < HEADER_BYTES || end > frame.length || start >= end) {
      throw malformed('The RLE segment offsets lie outside the frame.');
    }
    decodeSegment(frame.subarray(start, end), out, bytesPerSample - 1 - segment, bytesPerSample);
  }
  return out;
}

/** Writes one segment to every `stride`-th byte of `out`, beginning at `offset`. */
function decodeSegment(segment: Uint8Array, out: Uint8Array, offset: number, stride: number): void {
  let to = offset;
  let at = 0;
  while (to < out.length) {
    if (at >= segment.length) throw malformed('An RLE segment ends before its last sample.');
    const control = segment[at++];
    if (control === 128) continue; // no operation
    const literal = control < 128;
    const count = literal ? control + 1 : 257 - control;
    const needed = literal ? count : 1;
    if (at + needed > segment.length || to + (count - 1) * stride >= out.length) {
      throw malformed('An RLE run reaches beyond its segment or beyond the image.');
    }
    for (let i = 0; i < count; i += 1, to += stride) out[to] = segment[literal ? at + i : at];
    at += needed;
  }
  // Padding to even length is a zero or a no operation; anything else means that a run before was damaged.
  if (!segment.subarray(at).every((byte) => byte === 0 || byte === 128)) {
    throw malformed('An RLE segment holds more than its samples.');
  }
}
