import { deflateRawSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import { decodeInstance } from '../../api/dicom/decode.ts';
import { parseInstance } from '../../api/dicom/parse.ts';
import { PARSE_LIMITS, safeParse } from '../../api/dicom/safe-parse.ts';
import { describeWith } from '../support/components.ts';
import { ctObject, refusalOf, testFile } from './objects.ts';

const DEFLATED = '1.2.840.10008.1.2.1.99';

/** The same object with its data set deflated (PS3.5 A.5), followed by `more` bytes that are deflated with it. */
function deflate(more: Uint8Array = new Uint8Array()): Uint8Array {
  const whole = ctObject({}, DEFLATED);
  const start = 144 + new DataView(whole.buffer).getUint32(140, true);
  return new Uint8Array(
    Buffer.concat([whole.slice(0, start), deflateRawSync(Buffer.concat([whole.slice(start), more]))]),
  );
}

/** Private sequences (0009,0010), each in the only item of the one around it. */
function nested(depth: number): Uint8Array {
  const open = Buffer.from([
    9, 0, 16, 0, 0x53, 0x51, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xff, 0, 0xe0, 0xff, 0xff, 0xff, 0xff,
  ]);
  const close = Buffer.from([0xfe, 0xff, 0x0d, 0xe0, 0, 0, 0, 0, 0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0]);
  const all = Array.from({ length: depth }, () => open).concat(Array.from({ length: depth }, () => close));
  return appended(Buffer.concat(all));
}

/** The object with more elements behind its header, in front of the pixel data. */
function appended(elements: Buffer): Uint8Array {
  return new Uint8Array(Buffer.concat([ctObject({ '7FE00010': undefined }), elements]));
}

function manyElements(count: number, distinct: boolean): Uint8Array {
  const bytes = Buffer.alloc(8 * count);
  for (let i = 0; i < count; i += 1) {
    bytes.writeUInt16LE(distinct ? 0x0029 + 2 * (i >> 16) : 0x0029, 8 * i);
    bytes.writeUInt16LE(distinct ? i & 0xffff : 0x0010, 8 * i + 2);
    bytes.write('LO', 8 * i + 4, 'latin1');
  }
  return appended(bytes);
}

describe('A hostile object', () => {
  it('larger than the ceiling is refused before it is read', async () => {
    const refusal = await refusalOf(() => safeParse(new Uint8Array(PARSE_LIMITS.maxBytes + 1)));
    expect(refusal).toMatchObject({ code: 'dicom-malformed', message: expect.stringContaining('at most') });
  });

  it('that inflates beyond the ceiling is refused, and an ordinary deflated one is read', async () => {
    expect(parseInstance(deflate()).header.modality).toBe('CT');
    const bomb = deflate(new Uint8Array(200 * 1024 * 1024));
    expect(bomb.length).toBeLessThan(300_000);
    const refusal = await refusalOf(() => parseInstance(bomb));
    expect(refusal).toMatchObject({ code: 'dicom-malformed', message: expect.stringContaining('grows beyond') });
  });

  it.each([33, 5_000, 500_000])('with sequences nested %d deep is refused', async (depth) => {
    expect((await refusalOf(() => parseInstance(nested(depth)))).code).toBe('dicom-malformed');
  });

  it('with as many nested sequences as real scanners write is read', () => {
    expect(parseInstance(nested(20)).header.modality).toBe('CT');
  });

  it.each([true, false])('made of four million elements (distinct: %s) is refused', async (distinct) => {
    const refusal = await refusalOf(() => parseInstance(manyElements(4_000_000, distinct)));
    expect(refusal).toMatchObject({ code: 'dicom-malformed', message: expect.stringContaining('elements') });
  });

  it('cut anywhere is refused, never read as a shorter one', async () => {
    const whole = ctObject();
    for (let length = 0; length < whole.length; length += 7) {
      const refusal = await refusalOf(() => decodeInstance(whole.slice(0, length)));
      expect(refusal.code).toBe('dicom-malformed');
    }
  });

  it('that another file format hides in the preamble is read as the DICOM object it is', () => {
    const polyglot = ctObject();
    polyglot.set(Buffer.from('MZ\x90\0<script>alert(1)</script>'));
    expect(parseInstance(polyglot).header.modality).toBe('CT');
  });

  it('padded behind its pixel data, as archives do, is read', async () => {
    const padded = new Uint8Array(Buffer.concat([ctObject(), Buffer.alloc(333)]));
    expect((await decodeInstance(padded)).storedValues).toHaveLength(256);
  });

  it('does not see its own text in the refusal', async () => {
    const secret = 'CANARY-7731';
    const objects = [
      ctObject({ '00100020': ['LO', secret], '00080018': ['UI', secret] }),
      ctObject({ '00100010': ['PN', secret] }).slice(0, 600),
      ctObject({ '00080018': undefined, '00100020': ['LO', secret] }),
    ];
    for (const object of objects) expect((await refusalOf(() => decodeInstance(object))).message).not.toContain(secret);
  });
});

describeWith('test data', 'Malformed and odd files', () => {
  // File -> what its first reading ends with: 'read', or the code and a word of the reason.
  it.each([
    ['CT_small.dcm', 'read', ''],
    ['MR_small_bigendian.dcm', 'read', ''],
    ['MR_small_implicit.dcm', 'read', ''],
    ['MR_small_padded.dcm', 'read', ''],
    ['explicit_VR-UN.dcm', 'read', ''],
    ['image_dfl.dcm', 'read', ''],
    ['chrH31.dcm', 'read', ''],
    ['chrRuss.dcm', 'read', ''],
    ['chrX2.dcm', 'read', ''],
    ['MR_truncated.dcm', 'dicom-malformed', 'truncated'],
    ['rtplan_truncated.dcm', 'dicom-malformed', 'truncated'],
    ['emri_small_jpeg_2k_lossless_too_short.dcm', 'dicom-malformed', 'truncated'],
    ['ExplVR_BigEndNoMeta.dcm', 'dicom-malformed', 'no Pixel Data'],
    ['ExplVR_LitEndNoMeta.dcm', 'dicom-malformed', 'no Pixel Data'],
    ['no_meta.dcm', 'dicom-malformed', 'not a DICOM Part 10 object'],
    ['meta_missing_tsyntax.dcm', 'dicom-malformed', 'Transfer Syntax UID'],
    ['no_meta_group_length.dcm', 'dicom-malformed', 'SOP Instance UID'],
    ['UN_sequence.dcm', 'dicom-malformed', 'SOP Instance UID'],
    ['empty_charset_LEI.dcm', 'dicom-malformed', 'SOP Instance UID'],
    ['bad_sequence.dcm', 'dicom-malformed', 'not a DICOM UID'],
    ['HTJ2KLossless_08_RGB.dcm', 'dicom-malformed', 'Study Instance UID'],
    ['nested_priv_SQ.dcm', 'dicom-malformed', 'cannot be read'],
    ['badVR.dcm', 'dicom-malformed', 'Rows x Columns'],
    ['JPEG2000-embedded-sequence-delimiter.dcm', 'dicom-malformed', 'another size'],
    ['SC_rgb_small_odd.dcm', 'photometric-interpretation-unsupported', 'colour'],
    ['liver_nonbyte_aligned_rle.dcm', 'sop-class-not-supported', 'several frames'],
  ])('%s: %s %s', async (file, outcome, reason) => {
    const object = testFile('malformed_and_odd', file);
    if (outcome === 'read') {
      const { header, storedValues } = await decodeInstance(object);
      expect(storedValues).toHaveLength((header.rows as number) * (header.columns as number));
    } else {
      const refusal = await refusalOf(() => decodeInstance(object));
      expect(refusal.code).toBe(outcome);
      expect(refusal.message).toContain(reason);
    }
  });

  it('reads no pixels where there are none', async () => {
    const refusal = await refusalOf(() => decodeInstance(testFile('cornerstone_ctimage_16ts', 'no-pixel-data.dcm')));
    expect(refusal.message).toContain('no Pixel Data');
  });
});
