import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { READ_FILES_LIMITS, readDicomFiles } from '../../api/dicom/read-files.ts';
import { ctObject } from './objects.ts';

describe('Reading DICOM files', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hemocast-files-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const put = (name: string, bytes: Uint8Array | string): string => {
    const path = join(folder, name);
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, bytes);
    return path;
  };
  const one = ctObject({ '00200013': ['IS', '1'] });
  const two = ctObject({ '00200013': ['IS', '2'] });

  it('finds the objects of a folder and its folders, whatever they are called, and counts what it passes over', () => {
    put('b/I20', two);
    put('a/slice.dcm', one);
    put('DICOMDIR', one);
    put('README.txt', 'not DICOM');
    put('empty', '');
    const { objects, ignored } = readDicomFiles(folder);
    expect(objects.map(({ name }) => name)).toEqual(['a/slice.dcm', 'b/I20']);
    expect([...objects[1].bytes]).toEqual([...two]);
    expect(ignored).toBe(3);
  });

  it('takes a single file', () => {
    expect(readDicomFiles(put('x.dcm', one)).objects).toHaveLength(1);
    expect(readDicomFiles(put('x.txt', 'no'))).toEqual({ objects: [], ignored: 1 });
  });

  it('opens a zip by its content, not its name', () => {
    const zip = zipSync({ 'study/2': two, 'study/1': one, 'study/DICOMDIR': one, 'notes.txt': new Uint8Array([65]) });
    const { objects, ignored } = readDicomFiles(put('study.archive', zip));
    expect(objects.map(({ name }) => name)).toEqual(['study/1', 'study/2']);
    expect([...objects[0].bytes]).toEqual([...one]);
    expect(ignored).toBe(2);
  });

  it('follows no link out of the folder', () => {
    const outside = put('outside/1', one);
    mkdirSync(join(folder, 'inside'));
    symlinkSync(outside, join(folder, 'inside', 'link'));
    symlinkSync(folder, join(folder, 'inside', 'circle'));
    expect(readDicomFiles(join(folder, 'inside')).objects).toEqual([]);
  });

  it('refuses a zip that would grow beyond the limits, before it grows', () => {
    const bomb = put('bomb.zip', zipSync({ '1': new Uint8Array(64 * 1024 * 1024) }));
    expect(() => readDicomFiles(bomb)).toThrow(expect.objectContaining({ code: 'input-too-large' }));
  });

  it('holds a zip to the sizes it announces', () => {
    const zip = zipSync({ '1': new Uint8Array(8 * 1024 * 1024).fill(1) });
    const view = new DataView(zip.buffer);
    const directory = view.getUint32(zip.length - 6, true);
    view.setUint32(directory + 24, 1000, true); // uncompressed size in the central directory
    expect(readDicomFiles(put('liar.zip', zip)).objects).toEqual([]);
  });

  it('refuses more files or bytes than its limits', () => {
    put('1', one);
    put('2', two);
    const limited = (limits: Partial<typeof READ_FILES_LIMITS>) => () =>
      readDicomFiles(folder, { ...READ_FILES_LIMITS, ...limits });
    expect(limited({ maxFiles: 1 })).toThrow(expect.objectContaining({ code: 'input-too-large' }));
    expect(limited({ maxFileBytes: one.length - 1 })).toThrow(expect.objectContaining({ code: 'input-too-large' }));
    expect(limited({ maxTotalBytes: one.length + 1 })).toThrow(expect.objectContaining({ code: 'input-too-large' }));
  });

  it('says what is wrong with the input', () => {
    expect(() => readDicomFiles(join(folder, 'absent'))).toThrow(expect.objectContaining({ code: 'input-not-found' }));
    const broken = put('broken.zip', Buffer.concat([Buffer.from('PK\x03\x04'), Buffer.alloc(100, 7)]));
    expect(() => readDicomFiles(broken)).toThrow(expect.objectContaining({ code: 'zip-malformed' }));
  });
});
