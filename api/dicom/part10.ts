/**
 * How a DICOM object begins: the preamble of a Part 10 file (PS3.10 section 7.1), or a bare data set as older tools wrote
 * them to disk.
 */
import { malformed } from './malformed.ts';
import { EXPLICIT_BIG_ENDIAN, EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN } from './transfer-syntaxes.ts';

/** "DICM" after 128 bytes that may hold anything (another format's header too: they are never read). */
export function hasPreamble(bytes: Uint8Array): boolean {
  return bytes.length >= 132 && latin1(bytes, 128, 132) === 'DICM';
}

/** True for a Part 10 file and for a bare data set: what is worth parsing among the files of a folder. */
export function looksLikeDicom(bytes: Uint8Array): boolean {
  return hasPreamble(bytes) || encodingOfBareDataSet(bytes) !== undefined;
}

/**
 * Transfer syntax of a data set without file meta information. Its first element, of group 0008, tells the byte order and
 * whether value representations are written out; only uncompressed data can be meant (PS3.5 section 10.1: whatever is
 * compressed had its syntax negotiated or stated).
 *
 * @throws RefusalError `dicom-malformed` where the first bytes do not leave exactly one reading
 */
export function sniffTransferSyntax(bytes: Uint8Array): string {
  const uid = encodingOfBareDataSet(bytes);
  if (uid !== undefined) return uid;
  throw malformed(
    'This is not a DICOM Part 10 object: there is no "DICM" prefix and the bytes do not begin like a data set. ' +
      'Send whole instances with their file meta information.',
  );
}

/** The value representations an element of group 0008 may have first. */
const FIRST_VRS = new Set(['UL', 'CS', 'UI', 'DA', 'TM', 'DT', 'SH', 'LO', 'SQ', 'PN', 'AE', 'ST', 'UN']);

function encodingOfBareDataSet(bytes: Uint8Array): string | undefined {
  if (bytes.length < 16) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const vr = latin1(bytes, 4, 6);
  if (view.getUint16(0, false) === 0x0008 && FIRST_VRS.has(vr)) return EXPLICIT_BIG_ENDIAN;
  if (view.getUint16(0, true) !== 0x0008 || view.getUint16(2, true) > 0x0100) return undefined;
  if (FIRST_VRS.has(vr)) return EXPLICIT_LITTLE_ENDIAN;
  const length = view.getUint32(4, true);
  return length % 2 === 0 && length <= bytes.length - 8 ? IMPLICIT_LITTLE_ENDIAN : undefined;
}

function latin1(bytes: Uint8Array, start: number, end: number): string {
  return String.fromCharCode(...bytes.subarray(start, end));
}
