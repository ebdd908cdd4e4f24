import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from '@jest/globals';
import { DecodePool } from '../../api/dicom/decode-pool.ts';
import { describeWith, testDataDir } from '../support/components.ts';
import { refusalOf, testFile } from './objects.ts';

/** The pixels of an uncompressed little-endian 512 x 512 file, found without a parser: what follows the element's header. */
function originalPixels(folder: string, file: string): Int16Array {
  const bytes = testFile(folder, file);
  const header = Buffer.from([0xe0, 0x7f, 0x10, 0x00, 0x4f, 0x57, 0x00, 0x00, 0x00, 0x00, 0x08, 0x00]);
  const start = Buffer.from(bytes).indexOf(header) + header.length;
  return new Int16Array(bytes.slice(start, start + 2 * 512 * 512).buffer);
}

/** Largest difference between two images. */
function largestError(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  for (let i = 0; i < a.length; i += 1) largest = Math.max(largest, Math.abs(a[i] - b[i]));
  return largest;
}

describeWith('test data', 'One CT slice in every transfer syntax', () => {
  const pool = new DecodePool();
  afterAll(() => pool.close());
  const chest = 'cornerstone_ctimage_16ts';
  const files = (folder: string): string[] =>
    readdirSync(join(testDataDir, folder)).filter((name) => !name.endsWith('.txt'));
  const named = (uid: string): string => files(chest).find((name) => name.endsWith(`_${uid}.dcm`)) as string;

  const lossless = ['.5', '.2', '.1.99', '.4.90', '.4.80', '.4.70', '.4.57', ''].map(
    (end) => `1.2.840.10008.1.2${end}`,
  );
  it.each(lossless)('reads %s to the very bits of the uncompressed image', async (uid) => {
    const { storedValues, header } = await pool.decode(testFile(chest, named(uid)));
    expect(largestError(storedValues, originalPixels(chest, named('1.2.840.10008.1.2.1')))).toBe(0);
    expect(header.transferSyntaxUid).toBe(uid);
    expect(header.lossyImageCompression).not.toBe('01');
  });

  it.each(['CT1_J2KR', 'CT1_JLSL', 'CT1_JPLL', 'CT1_RLE'])(
    'reads the NEMA sample %s to the very bits',
    async (name) => {
      const { storedValues } = await pool.decode(testFile('wg04_ct1_chest_all_ts', name));
      expect(largestError(storedValues, originalPixels('wg04_ct1_chest_all_ts', 'CT1_UNC.dcm'))).toBe(0);
    },
  );

  it.each(['CT1_HTJ2K_201.dcm', 'CT1_HTJ2K_203.dcm'])(
    'reads High-Throughput JPEG 2000 (%s) to the very bits',
    async (name) => {
      const { storedValues } = await pool.decode(testFile('htj2k_ct_dicom', name));
      expect(largestError(storedValues, originalPixels('wg04_ct1_chest_all_ts', 'CT1_UNC.dcm'))).toBe(0);
    },
  );

  it.each([
    [chest, '1.2.840.10008.1.2.4.81', 3],
    [chest, '1.2.840.10008.1.2.4.91', 16],
    ['wg04_ct1_chest_all_ts', 'CT1_JLSN', 10],
    ['wg04_ct1_chest_all_ts', 'CT1_J2KI', 700],
  ])(
    'reads the lossy image %s %s, close to the original, and says that it is lossy',
    async (folder, name, tolerance) => {
      const file = folder === chest ? named(name) : name;
      const original = folder === chest ? named('1.2.840.10008.1.2.1') : 'CT1_UNC.dcm';
      const { storedValues, header } = await pool.decode(testFile(folder, file));
      const error = largestError(storedValues, originalPixels(folder, original));
      expect(error).toBeGreaterThan(0);
      expect(error).toBeLessThanOrEqual(tolerance);
      expect(header.lossyImageCompression).toBe('01');
    },
  );

  it.each(['.50', '.51', '.53', '.55'])('refuses JPEG %s by name and says what to send instead', async (end) => {
    const uid = `1.2.840.10008.1.2.4${end}`;
    const refusal = await refusalOf(() => pool.decode(testFile(chest, named(uid))));
    expect(refusal.code).toBe('transfer-syntax-unsupported');
    expect(refusal.message).toContain(uid);
    expect(refusal.message).toContain('1.2.840.10008.1.2.1');
  });
});
