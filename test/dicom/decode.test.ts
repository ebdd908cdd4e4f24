import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { decodeInstance } from '../../api/dicom/decode.ts';
import { describeWith, onPath } from '../support/components.ts';
import type { Elements } from '../support/part10.ts';
import { encodeJpegLossless } from './jpeg-lossless-encoder.ts';
import { ctObject, encapsulatedObject, refusalOf, uint32 } from './objects.ts';

const JPEG_LOSSLESS = '1.2.840.10008.1.2.4.57';
const RLE = '1.2.840.10008.1.2.5';

/** A 2 x 2 image of the given 16-bit words. */
const words = (values: readonly number[], bitsStored: number, highBit: number, signed: 0 | 1): Uint8Array => {
  const pixels = Buffer.alloc(2 * values.length);
  values.forEach((value, index) => pixels.writeUInt16LE(value & 0xffff, 2 * index));
  return ctObject({
    '00280010': ['US', [2]],
    '00280011': ['US', [2]],
    '00280101': ['US', [bitsStored]],
    '00280102': ['US', [highBit]],
    '00280103': ['US', [signed]],
    '7FE00010': ['OW', new Uint8Array(pixels)],
  });
};

const stored = async (object: Uint8Array): Promise<number[]> => [...(await decodeInstance(object)).storedValues];

describe('Stored values', () => {
  it('extend the sign of 12-bit values kept in 16 bits', async () => {
    expect(await stored(words([0x0fff, 0x0800, 0x07ff, 0x0000], 12, 11, 1))).toEqual([-1, -2048, 2047, 0]);
  });

  it('drop what older senders keep in the unused upper bits', async () => {
    expect(await stored(words([0xf001, 0x8fff, 0x1000, 0x0123], 12, 11, 0))).toEqual([1, 4095, 0, 0x123]);
  });

  it('follow High Bit where a sender shifted the sample up', async () => {
    expect(await stored(words([0x7ff8, 0xfff0, 0x8000, 0x0017], 12, 15, 1))).toEqual([2047, -1, -2048, 1]);
  });

  it('use all 16 bits, signed and unsigned', async () => {
    expect(await stored(words([0x8000, 0xffff, 0x7fff, 1], 16, 15, 1))).toEqual([-32768, -1, 32767, 1]);
    expect(await stored(words([0x8000, 0xffff, 0x7fff, 1], 16, 15, 0))).toEqual([32768, 65535, 32767, 1]);
  });

  it('come as eight bits where eight are allocated', async () => {
    const object = ctObject({
      '00280010': ['US', [2]],
      '00280011': ['US', [2]],
      '00280100': ['US', [8]],
      '00280101': ['US', [8]],
      '00280102': ['US', [7]],
      '7FE00010': ['OB', new Uint8Array([0, 127, 128, 255])],
    });
    expect((await decodeInstance(object)).storedValues).toBeInstanceOf(Int8Array);
    expect(await stored(object)).toEqual([0, 127, -128, -1]);
  });
});

describe('An image whose description does not fit its pixels', () => {
  it.each<[string, Elements, string]>([
    ['fewer pixels than Rows x Columns', { '00280010': ['US', [17]] }, 'dicom-malformed'],
    [
      'pixels of a second frame nobody announced',
      { '7FE00010': ['OW', new Uint8Array(1024).fill(7)] },
      'dicom-malformed',
    ],
    ['other pixels behind the last', { '7FE00010': ['OW', new Uint8Array(600).map((_, i) => i)] }, 'dicom-malformed'],
    ['a matrix beyond the limit', { '00280010': ['US', [65535]], '00280011': ['US', [65535]] }, 'dicom-malformed'],
    ['no rows', { '00280010': ['US', [0]] }, 'dicom-malformed'],
    ['no Rows attribute', { '00280010': undefined }, 'dicom-malformed'],
    ['no Pixel Representation', { '00280103': undefined }, 'dicom-malformed'],
    ['12 bits allocated', { '00280100': ['US', [12]] }, 'dicom-malformed'],
    ['more bits stored than allocated', { '00280101': ['US', [17]] }, 'dicom-malformed'],
    ['a high bit below its bits', { '00280102': ['US', [3]] }, 'dicom-malformed'],
    ['several frames', { '00280008': ['IS', '2'] }, 'sop-class-not-supported'],
    ['colour', { '00280002': ['US', [3]] }, 'photometric-interpretation-unsupported'],
    ['no pixels', { '7FE00010': undefined }, 'dicom-malformed'],
  ])('is refused: %s', async (_, elements, code) => {
    expect((await refusalOf(() => decodeInstance(ctObject(elements)))).code).toBe(code);
  });

  it('is refused where encapsulated pixels stand in an uncompressed syntax, and the reverse', async () => {
    const encapsulated = encapsulatedObject([new Uint8Array(512)], '1.2.840.10008.1.2.1');
    expect((await refusalOf(() => decodeInstance(encapsulated))).message).toContain('not laid out');
    expect((await refusalOf(() => decodeInstance(ctObject({}, JPEG_LOSSLESS)))).message).toContain('not laid out');
  });
});

/** A 16 x 16 gradient with noise, 0..2^bits-1: every run and every difference category occurs. */
const noisy = (bits: number): number[] => {
  let state = 1;
  return Array.from({ length: 256 }, (_, index) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return index < 40 ? 7 : state >>> (32 - bits);
  });
};
const unsigned12: Elements = { '00280101': ['US', [12]], '00280102': ['US', [11]], '00280103': ['US', [0]] };
const unsigned16: Elements = { '00280103': ['US', [0]] };

describe('JPEG Lossless', () => {
  const jpeg = (options: Parameters<typeof encodeJpegLossless>[3], bits = options.precision): Uint8Array =>
    encodeJpegLossless(noisy(bits), 16, 16, options);

  it.each([1, 2, 3, 4, 5, 6, 7])('is exact with predictor %d, with and without restart markers', async (predictor) => {
    for (const restartLines of [0, 1, 5]) {
      const object = encapsulatedObject([jpeg({ precision: 16, predictor, restartLines })], JPEG_LOSSLESS, unsigned16);
      expect(await stored(object)).toEqual(noisy(16));
    }
  });

  it('is exact to the last sample whatever bit it ends on', async () => {
    for (let last = 0; last < 64; last += 1) {
      const samples = [...noisy(12).slice(0, -1), last];
      const object = encapsulatedObject(
        [encodeJpegLossless(samples, 16, 16, { precision: 12, predictor: 1 })],
        JPEG_LOSSLESS,
        unsigned12,
      );
      expect(await stored(object)).toEqual(samples);
    }
  });

  it('gives back what a point transform left', async () => {
    const object = encapsulatedObject(
      [jpeg({ precision: 12, predictor: 4, pointTransform: 3 })],
      JPEG_LOSSLESS,
      unsigned12,
    );
    expect(await stored(object)).toEqual(noisy(12).map((value) => (value >> 3) << 3));
  });

  it('joins fragments, with an empty offset table and with a filled one', async () => {
    const whole = jpeg({ precision: 12, predictor: 1 });
    const fragments = [whole.slice(0, 100), whole.slice(100, 202), whole.slice(202)];
    for (const table of [[], [0]]) {
      expect(await stored(encapsulatedObject(fragments, JPEG_LOSSLESS, unsigned12, table))).toEqual(noisy(12));
    }
  });

  it('refuses two frames in the offset table of one', async () => {
    const whole = jpeg({ precision: 12, predictor: 1 });
    const object = encapsulatedObject([whole, whole], JPEG_LOSSLESS, unsigned12, [0, whole.length + 8]);
    expect((await refusalOf(() => decodeInstance(object))).message).toContain('several frames');
  });

  it('refuses an image of another size than the header states, before it is decoded', async () => {
    const object = encapsulatedObject([jpeg({ precision: 12, predictor: 1 })], JPEG_LOSSLESS, {
      ...unsigned12,
      '00280010': ['US', [15]],
    });
    expect((await refusalOf(() => decodeInstance(object))).message).toContain('another size');
  });

  it('refuses a scan cut short although it ends with the end marker', async () => {
    const whole = jpeg({ precision: 12, predictor: 1 });
    for (const lost of [1, 2, 10, 100]) {
      const short = new Uint8Array([...whole.slice(0, -2 - lost), 0xff, 0xd9]);
      expect((await refusalOf(() => decodeInstance(encapsulatedObject([short], JPEG_LOSSLESS, unsigned12)))).code).toBe(
        'dicom-malformed',
      );
    }
  });
});

describe('RLE Lossless', () => {
  /** PackBits of one segment: runs of three and more as runs, the rest as literals. */
  const packBits = (bytes: readonly number[]): number[] => {
    const out: number[] = [];
    for (let at = 0; at < bytes.length;) {
      let run = 1;
      while (run < 128 && bytes[at + run] === bytes[at]) run += 1;
      if (run > 2) out.push(257 - run, bytes[at]);
      else out.push(run - 1, ...bytes.slice(at, at + run));
      at += run;
    }
    return out.length % 2 === 0 ? out : [...out, 128];
  };
  const rle = (samples: readonly number[]): Uint8Array => {
    const high = packBits(samples.map((value) => value >> 8));
    const low = packBits(samples.map((value) => value & 0xff));
    const header = Buffer.concat([uint32(2), uint32(64), uint32(64 + high.length), Buffer.alloc(52)]);
    return new Uint8Array([...header, ...high, ...low]);
  };

  it('is exact', async () => {
    expect(await stored(encapsulatedObject([rle(noisy(16))], RLE, unsigned16))).toEqual(noisy(16));
  });

  it.each<[string, (frame: Uint8Array) => Uint8Array]>([
    ['three segments for two bytes', (frame) => frame.with(0, 3)],
    ['an offset outside', (frame) => frame.with(11, 0x7f)],
    ['segments in the wrong order', (frame) => frame.with(8, 64)],
    ['a run beyond the image', (frame) => frame.with(64, 130)],
    ['a segment cut short', (frame) => frame.slice(0, -20)],
    ['a header cut short', (frame) => frame.slice(0, 40)],
  ])('is refused with %s', async (_, damage) => {
    const object = encapsulatedObject([damage(rle(noisy(16)))], RLE, unsigned16);
    expect((await refusalOf(() => decodeInstance(object))).code).toBe('dicom-malformed');
  });
});

describeWith('dcmtk', 'Images compressed by another toolkit', () => {
  const compress = (tool: string, ...options: string[]): Uint8Array => {
    const folder = mkdtempSync(join(tmpdir(), 'hemocast-dcmtk-'));
    try {
      writeFileSync(join(folder, 'in.dcm'), ctObject({ '7FE00010': ['OW', pixelsOf(noisy(12))], ...unsigned12 }));
      execFileSync(onPath(tool) as string, [...options, join(folder, 'in.dcm'), join(folder, 'out.dcm')], {
        stdio: 'ignore',
      });
      return new Uint8Array(readFileSync(join(folder, 'out.dcm')));
    } finally {
      rmSync(folder, { recursive: true });
    }
  };
  const pixelsOf = (samples: readonly number[]): Uint8Array => new Uint8Array(new Uint16Array(samples).buffer);

  it.each([1, 2, 3, 4, 5, 6, 7])('are read exactly: JPEG Lossless with predictor %d', async (predictor) => {
    expect(await stored(compress('dcmcjpeg', '+el', '+sv', String(predictor)))).toEqual(noisy(12));
  });

  it('are read exactly: RLE and JPEG-LS, also in fragments', async () => {
    expect(await stored(compress('dcmcrle'))).toEqual(noisy(12));
    expect(await stored(compress('dcmcjpls', '+el'))).toEqual(noisy(12));
    expect(await stored(compress('dcmcjpls', '+el', '+fs', '1'))).toEqual(noisy(12));
  });
});
