/** DICOM objects in memory for the tests of this room. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ctElements, writePart10, type Elements } from '../support/part10.ts';
import { testDataDir } from '../support/components.ts';

export const UIDS = { study: '1.2.3.4', series: '1.2.3.4.5', instance: '1.2.3.4.5.1' } as const;

/** A 16 x 16 CT image, Explicit VR Little Endian unless told otherwise. */
export function ctObject(overrides: Elements = {}, transferSyntaxUid?: string): Uint8Array {
  return new Uint8Array(writePart10(ctElements(UIDS, overrides), transferSyntaxUid));
}

/** Encapsulated Pixel Data (PS3.5 A.4) in place of the native ones: offset table of no entries, the fragments, delimiter. */
export function encapsulatedObject(
  fragments: readonly Uint8Array[],
  transferSyntaxUid: string,
  overrides: Elements = {},
  offsetTable: readonly number[] = [],
): Uint8Array {
  const head = ctObject({ ...overrides, '7FE00010': undefined }, transferSyntaxUid);
  const item = (bytes: Uint8Array): Buffer => {
    const padded = Buffer.alloc(bytes.length + (bytes.length % 2));
    padded.set(bytes);
    return Buffer.concat([Buffer.from([0xfe, 0xff, 0x00, 0xe0]), uint32(padded.length), padded]);
  };
  const pixelData = Buffer.from([0xe0, 0x7f, 0x10, 0x00, 0x4f, 0x42, 0, 0, 0xff, 0xff, 0xff, 0xff]);
  const delimiter = Buffer.from([0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0]);
  const table = item(Buffer.concat(offsetTable.map(uint32)));
  return new Uint8Array(Buffer.concat([head, pixelData, table, ...fragments.map(item), delimiter]));
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** A file of the test data folder. */
export function testFile(...path: string[]): Uint8Array {
  return new Uint8Array(readFileSync(join(testDataDir, ...path)));
}

/** The code of the RefusalError that the work ends with; anything else is passed on and fails the test. */
export async function refusalOf(work: () => unknown): Promise<{ code: string; message: string }> {
  try {
    await work();
  } catch (error) {
    const { name, code, message } = error as { name: string; code: string; message: string };
    if (name === 'RefusalError') return { code, message };
    throw error;
  }
  throw new Error('There was no refusal.');
}
