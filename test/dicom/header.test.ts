import { describe, expect, it } from '@jest/globals';
import { parseInstance } from '../../api/dicom/parse.ts';
import type { InstanceHeader } from '../../api/imaging/volume.ts';
import { describeWith } from '../support/components.ts';
import { IMPLICIT_LITTLE_ENDIAN, type Elements } from '../support/part10.ts';
import { UIDS, ctObject, refusalOf, testFile } from './objects.ts';

const headerOf = (overrides: Elements, transferSyntaxUid?: string): InstanceHeader =>
  parseInstance(ctObject(overrides, transferSyntaxUid)).header;

describe('The header of an instance', () => {
  it('has every attribute the sender wrote, with its unit', () => {
    const header = headerOf({
      '00080070': ['LO', 'GE MEDICAL SYSTEMS'],
      '00180015': ['CS', 'HEAD'],
      '00181120': ['DS', '-18.50'],
      '00181210': ['SH', 'STANDARD\\X'],
      '00200052': ['UI', '1.2.9'],
      '0008001C': ['CS', 'YES'],
    });
    expect(header).toMatchObject({
      sopInstanceUid: UIDS.instance,
      sopClassUid: '1.2.840.10008.5.1.4.1.1.2',
      studyInstanceUid: UIDS.study,
      seriesInstanceUid: UIDS.series,
      transferSyntaxUid: '1.2.840.10008.1.2.1',
      modality: 'CT',
      imageType: ['ORIGINAL', 'PRIMARY', 'AXIAL'],
      syntheticData: 'YES',
      manufacturer: 'GE MEDICAL SYSTEMS',
      bodyPartExamined: 'HEAD',
      kvp: 120,
      convolutionKernel: ['STANDARD', 'X'],
      sliceThicknessMm: 5,
      gantryDetectorTiltDeg: -18.5,
      patientId: 'P-0001',
      frameOfReferenceUid: '1.2.9',
      rows: 16,
      columns: 16,
      bitsAllocated: 16,
      pixelRepresentation: 1,
      rescaleIntercept: -24,
      pixelSpacingMm: [0.5, 0.5],
      imagePositionPatient: [-120, -120, 5],
      imageOrientationPatient: [1, 0, 0, 0, 1, 0],
    });
  });

  it('reads implicit as well as explicit value representations', () => {
    const implicit = headerOf({}, IMPLICIT_LITTLE_ENDIAN);
    expect({ ...implicit, transferSyntaxUid: undefined }).toEqual({ ...headerOf({}), transferSyntaxUid: undefined });
  });

  it('leaves out what the sender left out or left empty: nothing becomes zero', () => {
    const header = headerOf({
      '00281052': ['DS', ''],
      '00281053': undefined,
      '00180060': ['DS', '  '],
      '00280120': undefined,
      '00100020': ['LO', ''],
      '00080008': ['CS', ''],
    });
    expect(header.rescaleIntercept).toBeUndefined();
    expect(header.rescaleSlope).toBeUndefined();
    expect(header.kvp).toBeUndefined();
    expect(header.pixelPaddingValue).toBeUndefined();
    expect(header.patientId).toBeUndefined();
    expect(header.imageType).toBeUndefined();
  });

  it.each([
    ['a word', 'abc'],
    ['not a number', 'NaN'],
    ['infinite', '1e999'],
    ['hexadecimal', '0x10'],
    ['two values', '1\\2'],
    ['a decimal comma', '1,5'],
  ])('takes no slope that is %s', (_, value) => {
    expect(headerOf({ '00281053': ['DS', value] }).rescaleSlope).toBeUndefined();
  });

  it.each([
    ['pixelSpacingMm', '00280030', '0.5'],
    ['imagePositionPatient', '00200032', '1\\2'],
    ['imageOrientationPatient', '00200037', '1\\0\\0\\0\\1'],
  ] as const)('takes no %s with a value too few', (name, tag, value) => {
    expect(headerOf({ [tag]: ['DS', value] })[name]).toBeUndefined();
  });

  it('reads the padding value signed or unsigned, as Pixel Representation says', () => {
    const value: Elements = { '00280120': ['US', [0xf830]] };
    expect(headerOf({ ...value, '00280103': ['US', [1]] }).pixelPaddingValue).toBe(-2000);
    expect(headerOf({ ...value, '00280103': ['US', [0]] }).pixelPaddingValue).toBe(0xf830);
  });

  it.each([
    ['067Y', 67],
    ['006M', 0.5],
    ['010D', 10 / 365.25],
    ['67', undefined],
  ])('reads the age %s as %s years', (value, years) => {
    const age = headerOf({ '00101010': ['AS', value] }).patientAgeYears;
    if (years === undefined) expect(age).toBeUndefined();
    else expect(age).toBeCloseTo(years, 6);
  });

  it('decodes text by the character set of the sender', () => {
    const russian: Elements = {
      '00080005': ['CS', 'ISO_IR 144'],
      '0008103E': ['LO', new Uint8Array([0xb3, 0xde, 0xdb, 0xde])],
    };
    expect(headerOf(russian).seriesDescription).toBe('Голо');
    expect(headerOf({ '00080005': ['CS', 'ISO_IR 192'], '0008103E': ['LO', 'Schädel '] }).seriesDescription).toBe(
      'Schädel',
    );
  });

  it.each([
    ['SOP Instance UID', '00080018', undefined],
    ['Study Instance UID', '0020000D', ''],
    ['Series Instance UID', '0020000E', '../../admin'],
    ['SOP Class UID', '00080016', '1.2.abc'],
  ])('refuses an instance whose %s is absent or no UID', async (name, tag, value) => {
    const object = ctObject({ [tag]: value === undefined ? undefined : ['UI', value] });
    const refusal = await refusalOf(() => parseInstance(object));
    expect(refusal.code).toBe('dicom-malformed');
    expect(refusal.message).toContain(name);
  });
});

describe('The time of acquisition', () => {
  const noTimes: Elements = { '00080020': undefined, '00080030': undefined };

  it.each<[string, Elements, string | undefined]>([
    ['Acquisition DateTime, whole', { '0008002A': ['DT', '20260301101530.25'] }, '2026-03-01T10:15:30.25'],
    [
      'its own offset',
      { '0008002A': ['DT', '20260301101530-0500'], '00080201': ['SH', '+0100'] },
      '2026-03-01T10:15:30-05:00',
    ],
    [
      'the offset of the object',
      { '0008002A': ['DT', '20260301101530'], '00080201': ['SH', '+0530'] },
      '2026-03-01T10:15:30+05:30',
    ],
    [
      'acquisition date and time',
      { '00080022': ['DA', '20260301'], '00080032': ['TM', '101530'] },
      '2026-03-01T10:15:30',
    ],
    [
      'content before series',
      {
        '00080023': ['DA', '20260302'],
        '00080033': ['TM', '0900'],
        '00080021': ['DA', '20260303'],
        '00080031': ['TM', '1000'],
      },
      '2026-03-02T09:00',
    ],
    [
      'study date and time last',
      { '00080020': ['DA', '20260301'], '00080030': ['TM', '101500'] },
      '2026-03-01T10:15:00',
    ],
    [
      'a date with a time before a date alone',
      { '00080022': ['DA', '20260301'], '00080021': ['DA', '20260301'], '00080031': ['TM', '1000'] },
      '2026-03-01T10:00',
    ],
    ['a date alone stays a date', { '00080022': ['DA', '20260301'] }, '2026-03-01'],
    ['the retired forms', { '00080022': ['DA', '2026.03.01'], '00080032': ['TM', '10:15:30'] }, '2026-03-01T10:15:30'],
    ['no such day', { '00080022': ['DA', '20260231'], '00080032': ['TM', '101530'] }, undefined],
    ['a time without a date', { '00080032': ['TM', '101530'] }, undefined],
  ])('is taken from %s', (_, elements, expected) => {
    expect(headerOf({ ...noTimes, ...elements }).acquisitionDateTime).toBe(expected);
  });
});

describe('A data set without file meta information', () => {
  const bare = (transferSyntaxUid?: string): Uint8Array => {
    const whole = ctObject({}, transferSyntaxUid);
    const metaLength = new DataView(whole.buffer).getUint32(140, true);
    return whole.slice(144 + metaLength);
  };

  it.each([['1.2.840.10008.1.2.1'], [IMPLICIT_LITTLE_ENDIAN]])(
    'is read where its encoding (%s) leaves no doubt',
    (uid) => {
      expect(parseInstance(bare(uid)).header).toMatchObject({ sopInstanceUid: UIDS.instance, transferSyntaxUid: uid });
    },
  );

  it('is refused where it begins like nothing known', async () => {
    const refusal = await refusalOf(() => parseInstance(bare().slice(8)));
    expect(refusal).toMatchObject({
      code: 'dicom-malformed',
      message: expect.stringContaining('not a DICOM Part 10 object'),
    });
  });
});

describeWith('test data', 'Headers of real objects', () => {
  it('reads CTs whose every element is written as UN', () => {
    const { header } = parseInstance(testFile('malformed_and_odd', 'explicit_VR-UN.dcm'));
    expect(header).toMatchObject({ modality: 'CT', rows: 512, rescaleIntercept: 0 });
    expect(header.imageOrientationPatient).toEqual([1, 0, 0, 0, -1, 0]);
    expect(header.sliceThicknessMm).toBeUndefined(); // the sender left it empty
  });

  it('reads big endian like little endian', () => {
    const big = parseInstance(testFile('malformed_and_odd', 'MR_small_bigendian.dcm')).header;
    const little = parseInstance(testFile('malformed_and_odd', 'MR_small_implicit.dcm')).header;
    expect({ ...big, transferSyntaxUid: '' }).toEqual({ ...little, transferSyntaxUid: '' });
  });

  it('finds the geometry of a tilted gantry', () => {
    const { header } = parseInstance(testFile('ge_hispeed_head_tilt', '01.dcm'));
    expect(header.imageOrientationPatient?.[4]).toBeCloseTo(Math.cos((18.5 * Math.PI) / 180), 4);
    expect(header.pixelPaddingValue).toBe(-1500);
  });
});
