/**
 * The transfer syntaxes that are decoded exactly here, and how (DICOM PS3.5 section 10 and Annex A). Whatever is not in
 * this table is refused by name.
 */
import { RefusalError } from '../prediction/refusals.ts';

/** How the pixel data of a transfer syntax are turned into stored values. */
export type PixelCoding = 'native' | 'rle' | 'jpeg-lossless' | 'jpeg-ls' | 'jpeg-2000' | 'htj2k';

/** How the elements of a data set are written. */
export interface Encoding {
  readonly explicitVr: boolean;
  readonly littleEndian: boolean;
  /** The data set after the file meta information is one raw deflate stream (PS3.5 A.5). */
  readonly deflated: boolean;
}

export interface TransferSyntax extends Encoding {
  readonly uid: string;
  readonly name: string;
  readonly coding: PixelCoding;
  /** The syntax admits irreversible compression, so that the image is treated as compressed with loss. */
  readonly lossy: boolean;
}

export const IMPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2';
export const EXPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2.1';
export const EXPLICIT_BIG_ENDIAN = '1.2.840.10008.1.2.2';

function syntax(uid: string, name: string, coding: PixelCoding, special: Partial<TransferSyntax> = {}): TransferSyntax {
  return { uid, name, coding, explicitVr: true, littleEndian: true, deflated: false, lossy: false, ...special };
}

const SUPPORTED = [
  syntax(IMPLICIT_LITTLE_ENDIAN, 'Implicit VR Little Endian', 'native', { explicitVr: false }),
  syntax(EXPLICIT_LITTLE_ENDIAN, 'Explicit VR Little Endian', 'native'),
  syntax('1.2.840.10008.1.2.1.99', 'Deflated Explicit VR Little Endian', 'native', { deflated: true }),
  syntax(EXPLICIT_BIG_ENDIAN, 'Explicit VR Big Endian', 'native', { littleEndian: false }),
  syntax('1.2.840.10008.1.2.5', 'RLE Lossless', 'rle'),
  syntax('1.2.840.10008.1.2.4.57', 'JPEG Lossless, Process 14', 'jpeg-lossless'),
  syntax('1.2.840.10008.1.2.4.70', 'JPEG Lossless, Process 14, Selection Value 1', 'jpeg-lossless'),
  syntax('1.2.840.10008.1.2.4.80', 'JPEG-LS Lossless', 'jpeg-ls'),
  syntax('1.2.840.10008.1.2.4.81', 'JPEG-LS Near-Lossless', 'jpeg-ls', { lossy: true }),
  syntax('1.2.840.10008.1.2.4.90', 'JPEG 2000 Lossless Only', 'jpeg-2000'),
  syntax('1.2.840.10008.1.2.4.91', 'JPEG 2000', 'jpeg-2000', { lossy: true }),
  syntax('1.2.840.10008.1.2.4.201', 'High-Throughput JPEG 2000 Lossless Only', 'htj2k'),
  syntax('1.2.840.10008.1.2.4.203', 'High-Throughput JPEG 2000', 'htj2k', { lossy: true }),
] as const;

const BY_UID: ReadonlyMap<string, TransferSyntax> = new Map(SUPPORTED.map((entry) => [entry.uid, entry]));

/** Names of what senders use and we refuse, so that the refusal can be understood without a table at hand. */
const REFUSED_NAMES: Readonly<Record<string, string>> = {
  '1.2.840.10008.1.2.4.50': 'JPEG Baseline, 8 bit, lossy',
  '1.2.840.10008.1.2.4.51': 'JPEG Extended, 12 bit, lossy',
  '1.2.840.10008.1.2.4.53': 'JPEG Spectral Selection, lossy, retired',
  '1.2.840.10008.1.2.4.55': 'JPEG Full Progression, lossy, retired',
  '1.2.840.10008.1.2.4.92': 'JPEG 2000 Multi-component Lossless',
  '1.2.840.10008.1.2.4.93': 'JPEG 2000 Multi-component',
  '1.2.840.10008.1.2.4.110': 'JPEG XL Lossless',
  '1.2.840.10008.1.2.4.111': 'JPEG XL JPEG Recompression',
  '1.2.840.10008.1.2.4.112': 'JPEG XL',
  '1.2.840.10008.1.2.4.202': 'High-Throughput JPEG 2000 with RPCL Options, Lossless Only',
};

/** The syntax with this UID (0002,0010), or undefined where it is not decoded here. */
export function findTransferSyntax(uid: string | undefined): TransferSyntax | undefined {
  return uid === undefined ? undefined : BY_UID.get(uid);
}

/** Encoding of the data set. All syntaxes but four are explicit little endian, also those not decoded here (PS3.5 A.4). */
export function encodingOf(uid: string): Encoding {
  return BY_UID.get(uid) ?? { explicitVr: true, littleEndian: true, deflated: false };
}

/**
 * The syntax with this UID.
 * @throws RefusalError `transfer-syntax-unsupported`, naming the UID and what to send instead
 */
export function requireTransferSyntax(uid: string): TransferSyntax {
  const found = BY_UID.get(uid);
  if (found !== undefined) return found;
  const name = REFUSED_NAMES[uid];
  throw new RefusalError(
    'transfer-syntax-unsupported',
    `The transfer syntax ${uid}${name ? ` (${name})` : ''} is not decoded here. Send the original images as Explicit VR ` +
      `Little Endian (${EXPLICIT_LITTLE_ENDIAN}) or in any lossless syntax: RLE, JPEG Lossless, JPEG-LS, JPEG 2000, HTJ2K.`,
    { transferSyntaxUid: uid },
  );
}
