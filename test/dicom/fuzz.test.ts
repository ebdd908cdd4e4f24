/**
 * Mutational fuzzing of parser and decoders. HEMOCAST_FUZZ sets the number of parsed mutants (default 2,000; a tenth of them
 * is decoded too), HEMOCAST_FUZZ_SEED repeats a run. The seed is part of every name that could fail.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import dicomParser from 'dicom-parser';
import { afterAll, describe, expect, it } from '@jest/globals';
import { DecodePool } from '../../api/dicom/decode-pool.ts';
import { decodeInstance } from '../../api/dicom/decode.ts';
import { parseInstance } from '../../api/dicom/parse.ts';
import { isPresent, testDataDir } from '../support/components.ts';
import { encodeJpegLossless } from './jpeg-lossless-encoder.ts';
import { ctObject, encapsulatedObject, testFile } from './objects.ts';

const count = Number(process.env.HEMOCAST_FUZZ ?? 2_000);
const seed = Number(process.env.HEMOCAST_FUZZ_SEED ?? Date.now() % 1_000_000_000);

/** mulberry32: small, fast, the same on every machine. */
function randomFrom(start: number): () => number {
  let state = start >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What parsers trip over: lengths, tags of items and delimiters, value representations. */
const TOKENS: readonly (readonly number[])[] = [
  [0xff, 0xff, 0xff, 0xff],
  [0xfe, 0xff, 0xff, 0x7f],
  [0x00, 0x00, 0x00, 0x00],
  [0xfe, 0xff, 0x00, 0xe0],
  [0xfe, 0xff, 0x0d, 0xe0],
  [0xfe, 0xff, 0xdd, 0xe0],
  [0xe0, 0x7f, 0x10, 0x00],
  [0x53, 0x51],
  [0x55, 0x4e],
  [0x4f, 0x42],
  [0xff, 0xd9],
];

function mutate(original: Uint8Array, random: () => number): Uint8Array {
  const below = (limit: number): number => Math.floor(random() * limit);
  let bytes = original.slice();
  // Mostly in the header, where structure is; sometimes anywhere.
  const place = (): number => below(random() < 0.7 ? Math.min(bytes.length, 2_500) : bytes.length);
  for (let edits = 1 + below(6); edits > 0 && bytes.length > 16; edits -= 1) {
    const kind = random();
    if (kind < 0.35) bytes[place()] = below(256);
    else if (kind < 0.5) bytes[place()] ^= 1 << below(8);
    else if (kind < 0.75) bytes.set(TOKENS[below(TOKENS.length)], Math.min(place(), bytes.length - 4));
    else if (kind < 0.85) bytes = bytes.slice(0, 1 + place());
    else {
      const from = place();
      const piece = bytes.slice(from, from + 1 + below(200));
      const to = place();
      bytes = new Uint8Array([...bytes.slice(0, to), ...piece, ...bytes.slice(kind < 0.93 ? to : to + piece.length)]);
    }
  }
  return bytes;
}

/** Small objects of every layout; the compressed images of the test data too, where they are. */
function corpus(): Uint8Array[] {
  const samples = Array.from({ length: 256 }, (_, index) => (index * 37) % 4096);
  const jpeg = encodeJpegLossless(samples, 16, 16, { precision: 12, predictor: 6, restartLines: 4 });
  const twelve = { '00280101': ['US', [12]], '00280102': ['US', [11]], '00280103': ['US', [0]] } as const;
  const made = [
    ctObject(),
    ctObject({}, '1.2.840.10008.1.2'),
    ctObject({ '00081140': ['SQ', [{ '00081150': ['UI', '1.2'], '00081155': ['UI', '1.3'] }, {}]] }),
    encapsulatedObject([jpeg.slice(0, 90), jpeg.slice(90)], '1.2.840.10008.1.2.4.57', twelve),
  ];
  if (!isPresent('test data')) return made;
  const odd = readdirSync(join(testDataDir, 'malformed_and_odd')).filter((name) => name.endsWith('.dcm'));
  return [...made, ...odd.map((name) => testFile('malformed_and_odd', name)).filter((bytes) => bytes.length < 50_000)];
}

/** Compressed images for the codecs, one of each. */
function compressed(): Uint8Array[] {
  if (!isPresent('test data')) return corpus();
  const files = readdirSync(join(testDataDir, 'wg04_ct1_chest_all_ts')).filter((name) =>
    /JLSN|J2KI|RLE|JPLL/.test(name),
  );
  return [
    ...corpus(),
    ...files.map((name) => testFile('wg04_ct1_chest_all_ts', name)),
    testFile('htj2k_ct_dicom', 'CT1_HTJ2K_201.dcm'),
  ];
}

const isTyped = (error: unknown): boolean => (error as { name?: unknown } | null)?.name === 'RefusalError';

describe(`Fuzzing with seed ${seed}`, () => {
  it(`ends ${count} parsed mutants in a header or a typed refusal`, () => {
    const originals = corpus();
    const random = randomFrom(seed);
    const untyped: unknown[] = [];
    let read = 0;
    for (let i = 0; i < count; i += 1) {
      const mutant = mutate(originals[i % originals.length], random);
      try {
        parseInstance(mutant);
        read += 1;
      } catch (error) {
        if (!isTyped(error)) untyped.push(error);
      }
    }
    expect(untyped).toEqual([]);
    expect(read).toBeGreaterThan(0); // the mutants are not all hopeless: the parser gets deep into some
    expect(read).toBeLessThan(count);
  }, 1_800_000);

  it('is a test: the bare parser throws untyped on the same mutants', () => {
    const originals = corpus();
    const random = randomFrom(seed);
    let untyped = 0;
    for (let i = 0; i < Math.min(count, 500); i += 1) {
      const mutant = mutate(originals[i % originals.length], random);
      try {
        dicomParser.parseDicom(mutant);
      } catch (error) {
        if (!isTyped(error)) untyped += 1;
      }
    }
    expect(untyped).toBeGreaterThan(0);
  });

  const pool = new DecodePool();
  afterAll(() => pool.close());
  it(`ends ${Math.ceil(count / 10)} decoded mutants in a frame or a typed refusal, and the decoders survive`, async () => {
    const originals = compressed();
    const random = randomFrom(seed + 1);
    const untyped: unknown[] = [];
    for (let i = 0; i < count / 10; i += 1) {
      const mutant = mutate(originals[i % originals.length], random);
      await pool.decode(mutant).catch((error: unknown) => {
        if (!isTyped(error)) untyped.push(error);
      });
    }
    expect(untyped).toEqual([]);
    // Codecs that met damaged streams still decode sound ones exactly.
    for (const original of originals) {
      const [before, after] = await Promise.allSettled([decodeInstance(original), pool.decode(original)]);
      expect(after.status).toBe(before.status);
      if (before.status !== 'fulfilled' || after.status !== 'fulfilled') continue;
      expect(
        Buffer.compare(Buffer.from(after.value.storedValues.buffer), Buffer.from(before.value.storedValues.buffer)),
      ).toBe(0);
    }
  }, 1_800_000);
});
