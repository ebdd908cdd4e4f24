import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import dicomParser, { type DataSet } from 'dicom-parser';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { FOLLOW_UP_SOP_CLASS, writeFollowUpImage, type FollowUpImageInput } from '../../api/dicom/follow-up-image.ts';
import { parseInstance } from '../../api/dicom/parse.ts';
import type { Vector3, Volume } from '../../api/imaging/volume.ts';
import { describeWith, onPath } from '../support/components.ts';
import { ctElements, writePart10, type Elements } from '../support/part10.ts';

const ROWS = 6;
const COLUMNS = 5;
/** A tilted stack with uneven gaps. */
const tilt = (18.5 * Math.PI) / 180;
const origins: Vector3[] = [-40, -36.123456789, -35, -27.5].map((z) => [-120.25, -118.1234567, z]);

const volume: Volume = {
  hu: new Float32Array(origins.length * ROWS * COLUMNS),
  slices: origins.length,
  rows: ROWS,
  columns: COLUMNS,
  rowSpacingMm: 0.4882812,
  columnSpacingMm: 0.5,
  rowDirection: [1, 0, 0],
  columnDirection: [0, Math.cos(tilt), -Math.sin(tilt)],
  normal: [0, Math.sin(tilt), Math.cos(tilt)],
  origins,
  sopInstanceUids: origins.map((_, index) => `1.2.3.4.5.${index + 1}`),
  sliceThicknessMm: 5,
  frameOfReferenceUid: '1.2.3.77',
};

const sourceHeaders = (overrides: Elements = {}): FollowUpImageInput['headers'] =>
  volume.sopInstanceUids.map((instance) => {
    const elements = ctElements({ study: '1.2.3.4', series: '1.2.3.4.5', instance }, overrides);
    return parseInstance(writePart10(elements)).header;
  });

const hounsfield = Float32Array.from(volume.hu, (_, index) => index - 30.4);
hounsfield.set([-3000, -1024, 3071, 9000, -0.5]);

const input = (changes: Partial<FollowUpImageInput> = {}): FollowUpImageInput => ({
  headers: sourceHeaders().toReversed(), // any order
  volume,
  followUpHu: hounsfield,
  identity: 'content-key/1',
  model: { name: 'hemocast-test', version: '1.2.3', sha256: 'ab'.repeat(32), disclaimer: 'Research use only.' },
  createdAt: new Date('2026-11-24T12:00:00Z'),
  ...changes,
});

const read = (changes?: Partial<FollowUpImageInput>): DataSet =>
  dicomParser.parseDicom(writeFollowUpImage(input(changes)).bytes);
const item = (dataSet: DataSet, tag: string, index = 0): DataSet =>
  dataSet.elements[tag].items?.[index].dataSet as DataSet;

describe('The generated follow-up as DICOM', () => {
  it('cannot be taken for an acquired CT', () => {
    const dataSet = read();
    expect(dataSet.string('x00080016')).toBe(FOLLOW_UP_SOP_CLASS);
    expect(dataSet.string('x00080060')).toBe('OT');
    expect(dataSet.string('x00080008')).toBe('DERIVED\\SECONDARY');
    expect(dataSet.string('x0008001c')).toBe('YES'); // Synthetic Data
    expect(dataSet.string('x0008103e')).toMatch(/^AI-GENERATED NOT ACQUIRED RESEARCH/);
    expect(dataSet.string('x00204000')).toContain('Research use only.');
  });

  it('does not invite a de-identifier to blank the label, and warns of the face', () => {
    expect(read().string('x00280301')).toBe('NO');
    expect(read().string('x00280302')).toBe('YES');
  });

  it('stores HU + 1024 and says so in Hounsfield units', () => {
    const dataSet = read();
    const stored = Array.from({ length: hounsfield.length }, (_, index) => dataSet.uint16('x7fe00010', index));
    expect(stored.slice(0, 6)).toEqual([0, 0, 4095, 4095, 1024, 999]);
    expect(stored.slice(6)).toEqual([...hounsfield.slice(6)].map((hu) => Math.round(hu) + 1024));
    expect([dataSet.string('x00281052'), dataSet.string('x00281053'), dataSet.string('x00281054')]).toEqual([
      '0',
      '1',
      'US',
    ]);
    expect([dataSet.floatString('x00281050'), dataSet.floatString('x00281051')]).toEqual([1064, 80]);
    const mapping = item(dataSet, 'x00409096');
    expect([mapping.double('x00409224'), mapping.double('x00409225')]).toEqual([-1024, 1]);
    expect(item(mapping, 'x004008ea').string('x00080100')).toBe("[hnsf'U]");
  });

  it('keeps position, orientation and spacing of every slice, tilted and uneven', () => {
    const dataSet = read();
    const shared = item(dataSet, 'x52009229');
    const orientation = item(shared, 'x00209116');
    [...volume.rowDirection, ...volume.columnDirection].forEach((value, index) => {
      expect(orientation.floatString('x00200037', index)).toBeCloseTo(value, 12);
    });
    const measures = item(shared, 'x00289110');
    expect([measures.floatString('x00280030', 0), measures.floatString('x00280030', 1)]).toEqual([0.4882812, 0.5]);
    expect(measures.floatString('x00180050')).toBe(5);
    expect(dataSet.elements.x52009230.items).toHaveLength(origins.length);
    origins.forEach((origin, frame) => {
      const position = item(item(dataSet, 'x52009230', frame), 'x00209113');
      expect([0, 1, 2].map((axis) => position.floatString('x00200032', axis))).toEqual([...origin]);
    });
    expect(dataSet.string('x00200052')).toBe('1.2.3.77');
    expect(dataSet.intString('x00280008')).toBe(origins.length);
    expect(dataSet.attributeTag('x00280009')).toBe('x00182005');
    expect(dataSet.numStringValues('x00182005')).toBe(origins.length);
  });

  it('gives a series without a Frame of Reference one that it shares with nobody', () => {
    const lone = { ...volume, frameOfReferenceUid: undefined };
    expect(read({ volume: lone }).string('x00200052')).toMatch(/^2\.25\./);
  });

  it('names the slices it was made from, in order, and what made it', () => {
    const dataSet = read();
    const sources = dataSet.elements.x00082112.items ?? [];
    expect(sources.map(({ dataSet: source }) => source?.string('x00081155'))).toEqual(volume.sopInstanceUids);
    expect(item(dataSet, 'x00089215').string('x00080104')).toBe('Artificial Intelligence');
    const equipment = item(dataSet, 'x0018a001');
    expect(equipment.string('x00081090')).toBe('hemocast-test');
    expect([equipment.string('x00181020', 0), equipment.string('x00181020', 1)]).toEqual(['1.2.3', 'ab'.repeat(32)]);
  });

  it('belongs to the patient and study of the source, byte for byte in its character set', () => {
    const name = new Uint8Array([0xb8, 0xd2, 0xd0, 0xdd, 0xde, 0xd2]); // "Иванов" in ISO 8859-5
    const headers = sourceHeaders({
      '00080005': ['CS', 'ISO_IR 144'],
      '00100010': ['PN', name],
      '00080201': ['SH', '+0530'],
    });
    const dataSet = read({ headers });
    const { dataOffset, length } = dataSet.elements.x00100010;
    expect([...dataSet.byteArray.slice(dataOffset, dataOffset + length)]).toEqual([...name]);
    expect(dataSet.string('x00080005')).toBe('ISO_IR 144');
    expect(dataSet.string('x00100020')).toBe('P-0001');
    expect(dataSet.string('x0020000d')).toBe('1.2.3.4');
    expect(dataSet.string('x00080020')).toBe('20260301');
    expect([dataSet.string('x00080023'), dataSet.string('x00080033')]).toEqual(['20261124', '173000']); // on the source's clock
  });

  it('writes required attributes that the source lacks as empty, and claims no de-identification it cannot describe', () => {
    const dataSet = read({ headers: sourceHeaders({ '00100010': undefined, '00120062': ['CS', 'YES'] }) });
    expect(dataSet.elements.x00100010.length).toBe(0);
    expect(dataSet.elements.x00120062).toBeUndefined();
  });

  it('says that its source was compressed with loss', () => {
    expect(read().elements.x00282110).toBeUndefined();
    expect(read({ headers: sourceHeaders({ '00282110': ['CS', '01'] }) }).string('x00282110')).toBe('01');
  });

  it('has the same UIDs and bytes for the same identity, others for another', () => {
    const [first, again, other] = [input(), input(), input({ identity: 'content-key/2' })].map(writeFollowUpImage);
    expect(Buffer.compare(first.bytes, again.bytes)).toBe(0);
    expect(other.sopInstanceUid).not.toBe(first.sopInstanceUid);
    expect(other.seriesInstanceUid).not.toBe(first.seriesInstanceUid);
    expect(first.seriesInstanceUid).not.toBe(first.sopInstanceUid);
  });

  it('is recognized when it comes back as input', () => {
    const { header } = parseInstance(writeFollowUpImage(input()).bytes);
    expect(header).toMatchObject({
      syntheticData: 'YES',
      modality: 'OT',
      numberOfFrames: 4,
      imageType: ['DERIVED', 'SECONDARY'],
    });
  });

  it('is not written from parts that do not belong together', () => {
    expect(() => writeFollowUpImage(input({ followUpHu: hounsfield.slice(1) }))).toThrow(RangeError);
    expect(() => writeFollowUpImage(input({ headers: sourceHeaders().slice(1) }))).toThrow(RangeError);
  });
});

describe('The follow-up read by other toolkits', () => {
  let folder: string;
  let file: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'hemocast-follow-up-'));
    file = join(folder, 'follow-up.dcm');
    writeFileSync(file, writeFollowUpImage(input()).bytes);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  describeWith('dicom3tools', 'dciodvfy', () => {
    it('finds no error but the tag of 2024 that it does not know', () => {
      const { stderr } = spawnSync(onPath('dciodvfy') as string, [file], { encoding: 'utf8' });
      expect(stderr).toContain('MultiframeGrayscaleWordSCImage');
      const errors = stderr.split('\n').filter((line) => line.startsWith('Error'));
      expect(errors.filter((line) => !line.includes('(0x0008,0x001c)'))).toEqual([]);
    });
  });

  describeWith('dcmtk', 'dcmtk', () => {
    it('reads every element and renders a frame', () => {
      const dump = execFileSync(onPath('dcmdump') as string, ['-q', file], { encoding: 'latin1' });
      expect(dump).toContain('MultiframeGrayscaleWordSecondaryCaptureImageStorage');
      const options = ['+Ww', '1064', '80', '+F', '2', '+op', file, join(folder, 'frame.pgm')];
      execFileSync(onPath('dcm2pnm') as string, options, { stdio: 'ignore' });
    });
  });
});
