/**
 * One DICOM object to one Frame: header and stored values before rescale. Lossless syntaxes are exact to the bit. Run it
 * through DecodePool: objects from outside are decoded in a worker thread with a time and a memory limit.
 */
import type { Frame, InstanceHeader } from '../imaging/volume.ts';
import { RefusalError } from '../prediction/refusals.ts';
import { decodeWithWasm } from './codecs.ts';
import { jpeg2000Size, jpegLosslessSize, jpegLsSize, type CodestreamSize } from './codestream.ts';
import { decodeJpegLossless } from './jpeg-lossless.ts';
import { malformed } from './malformed.ts';
import { parseInstance, type ParsedInstance, type PixelData } from './parse.ts';
import { decodeRle } from './rle.ts';
import { PARSE_LIMITS, type ParseLimits } from './safe-parse.ts';
import { nativeSamples, toStoredValues } from './stored-values.ts';
import { requireTransferSyntax, type TransferSyntax } from './transfer-syntaxes.ts';

/** Largest matrix in each direction; high-resolution CT reaches 2048. */
export const MAX_ROWS_OR_COLUMNS = 4096;

/** The attributes of the Image Pixel module (PS3.3 C.7.6.3) that decoding rests on, checked. */
interface PixelDescription {
  readonly rows: number;
  readonly columns: number;
  readonly samples: number;
  readonly bitsAllocated: 8 | 16 | 32;
  readonly bitsStored: number;
  readonly highBit: number;
  readonly signed: boolean;
}

/** Sample bits, and how many of them are the value. */
interface DecodedSamples {
  readonly values: ArrayLike<number>;
  readonly bitsUsed: number;
  readonly highBit: number;
}

/**
 * @param bytes a DICOM object with one frame and one sample per pixel
 * @returns stored values `[row][column]`, `rows * columns` long
 * @throws RefusalError `dicom-malformed`, `transfer-syntax-unsupported`, `sop-class-not-supported` (several frames),
 *   `photometric-interpretation-unsupported` (colour)
 */
export async function decodeInstance(bytes: Uint8Array, limits: ParseLimits = PARSE_LIMITS): Promise<Frame> {
  const instance = parseInstance(bytes, limits);
  const { header, pixelData } = instance;
  if (pixelData === undefined) throw malformed('The object has no Pixel Data (7FE0,0010): it is not an image.');
  const syntax = requireTransferSyntax(instance.transferSyntaxUid);
  const description = describePixels(instance);
  if (pixelData.encapsulated !== (syntax.coding !== 'native')) {
    throw malformed(`Pixel Data (7FE0,0010) are not laid out as the transfer syntax ${syntax.name} requires.`);
  }
  const { values, bitsUsed, highBit } = await decodeSamples(pixelData, syntax, description);
  const { bitsAllocated, signed } = description;
  return { header, storedValues: toStoredValues(values, { bitsAllocated, bitsUsed, highBit, signed }) };
}

function describePixels({ header, highBit }: ParsedInstance): PixelDescription {
  assertSingleGrayFrame(header);
  const rows = required(header.rows, 'Rows (0028,0010)');
  const columns = required(header.columns, 'Columns (0028,0011)');
  if (rows < 1 || columns < 1 || rows > MAX_ROWS_OR_COLUMNS || columns > MAX_ROWS_OR_COLUMNS) {
    throw malformed(`Rows and Columns must lie between 1 and ${MAX_ROWS_OR_COLUMNS}.`, { rows, columns });
  }
  const bitsAllocated = required(header.bitsAllocated, 'Bits Allocated (0028,0100)');
  const bitsStored = required(header.bitsStored, 'Bits Stored (0028,0101)');
  const pixelRepresentation = required(header.pixelRepresentation, 'Pixel Representation (0028,0103)');
  const top = highBit ?? bitsStored - 1; // PS3.5 8.1.1 leaves no other value
  if (bitsAllocated !== 8 && bitsAllocated !== 16 && bitsAllocated !== 32) {
    throw malformed('Bits Allocated (0028,0100) must be 8, 16 or 32.', { bitsAllocated });
  }
  if (bitsStored < 1 || bitsStored > bitsAllocated || top < bitsStored - 1 || top >= bitsAllocated) {
    throw malformed('Bits Stored and High Bit do not fit into Bits Allocated.', {
      bitsAllocated,
      bitsStored,
      highBit: top,
    });
  }
  if (pixelRepresentation !== 0 && pixelRepresentation !== 1) {
    throw malformed('Pixel Representation (0028,0103) must be 0 or 1.', { pixelRepresentation });
  }
  const signed = pixelRepresentation === 1;
  return { rows, columns, samples: rows * columns, bitsAllocated, bitsStored, highBit: top, signed };
}

function assertSingleGrayFrame(header: InstanceHeader): void {
  if ((header.numberOfFrames ?? 1) !== 1) {
    throw new RefusalError(
      'sop-class-not-supported',
      'The object holds several frames; send CT Image Storage with one object per slice.',
      { numberOfFrames: header.numberOfFrames ?? null, sopClassUid: header.sopClassUid },
    );
  }
  const samplesPerPixel = required(header.samplesPerPixel, 'Samples per Pixel (0028,0002)');
  if (samplesPerPixel !== 1) {
    throw new RefusalError(
      'photometric-interpretation-unsupported',
      'The image is in colour; CT has one sample per pixel.',
      {
        samplesPerPixel,
      },
    );
  }
}

function required(value: number | undefined, name: string): number {
  if (value === undefined) throw malformed(`${name} is absent.`);
  return value;
}

async function decodeSamples(
  pixelData: PixelData,
  syntax: TransferSyntax,
  description: PixelDescription,
): Promise<DecodedSamples> {
  const { samples, bitsAllocated, bitsStored, highBit } = description;
  const bytesPerSample = bitsAllocated / 8;
  if (syntax.coding === 'native') {
    const bytes = exactNativeBytes(pixelData.parts[0], samples * bytesPerSample);
    return {
      values: nativeSamples(bytes, samples, bytesPerSample, syntax.littleEndian),
      bitsUsed: bitsStored,
      highBit,
    };
  }
  const codestream = singleFrame(pixelData);
  if (syntax.coding === 'rle') {
    const bytes = decodeRle(codestream, samples, bytesPerSample);
    return { values: nativeSamples(bytes, samples, bytesPerSample, true), bitsUsed: bitsStored, highBit };
  }
  const size = readSize(syntax.coding, codestream);
  assertSize(size, description);
  const values =
    syntax.coding === 'jpeg-lossless'
      ? decodeJpegLossless(codestream, samples)
      : await decodeWithWasm(syntax.coding, codestream, samples);
  // A codec yields the value itself, so that High Bit has no say. A signed codestream carries its sign at its own precision.
  const bitsUsed = size.signed ? size.precision : bitsStored;
  return { values, bitsUsed, highBit: bitsUsed - 1 };
}

/**
 * Native pixel data have the size of the matrix, plus a pad byte. Some senders append constant padding; anything else
 * that is longer holds other pixels than the header describes.
 */
function exactNativeBytes(bytes: Uint8Array, expected: number): Uint8Array {
  const surplus = bytes.subarray(expected);
  const padding = surplus.length < expected && surplus.every((byte) => byte === surplus[0]);
  if (bytes.length < expected || !padding) {
    throw malformed(
      `Pixel Data (7FE0,0010) have ${bytes.length} bytes where Rows x Columns x Bits ask for ${expected}.`,
      {
        bytes: bytes.length,
        expected,
      },
    );
  }
  return bytes.subarray(0, expected);
}

/** All fragments belong to the one frame (PS3.5 A.4), whether or not the offset table is filled. */
function singleFrame({ parts, offsets }: PixelData): Uint8Array {
  if (offsets > 1)
    throw malformed('The basic offset table lists several frames in an object of one frame.', { frames: offsets });
  if (parts.length === 0) throw malformed('Encapsulated Pixel Data (7FE0,0010) hold no fragment.');
  if (parts.length === 1) return parts[0];
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function readSize(coding: 'jpeg-lossless' | 'jpeg-ls' | 'jpeg-2000' | 'htj2k', codestream: Uint8Array): CodestreamSize {
  if (coding === 'jpeg-lossless') return jpegLosslessSize(codestream);
  return coding === 'jpeg-ls' ? jpegLsSize(codestream) : jpeg2000Size(codestream);
}

function assertSize(size: CodestreamSize, description: PixelDescription): void {
  const { rows, columns, bitsAllocated, signed } = description;
  const details = { rows: size.rows, columns: size.columns, components: size.components, precision: size.precision };
  if (size.rows !== rows || size.columns !== columns || size.components !== 1) {
    throw malformed(
      'The compressed image has another size or number of components than the DICOM header states.',
      details,
    );
  }
  if (size.precision > Math.min(bitsAllocated, 16) || (size.signed && !signed)) {
    throw malformed('The samples of the compressed image do not fit Bits Allocated and Pixel Representation.', details);
  }
}
