import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { contentKey } from '../../api/assessment/content-key.ts';

const content = {
  filedUnder: ['ImagingStudy/a', 'Patient/b'],
  studyInstanceUid: '1.2.3',
  sopInstanceUids: ['1.2.3.2', '1.2.3.1'],
  modelSha256: 'ab'.repeat(32),
};

describe('The key of one piece of work', () => {
  it('is SHA-256 over chart entry, patient, study, sorted slices and network, one a line', () => {
    const text = ['ImagingStudy/a', 'Patient/b', '1.2.3', '1.2.3.1', '1.2.3.2', 'ab'.repeat(32)].join('\n');
    expect(contentKey(content)).toBe(createHash('sha256').update(text).digest('hex'));
  });

  it('is the same in whatever order the slices are listed, and leaves the list as it was', () => {
    expect(contentKey({ ...content, sopInstanceUids: ['1.2.3.1', '1.2.3.2'] })).toBe(contentKey(content));
    expect(content.sopInstanceUids).toEqual(['1.2.3.2', '1.2.3.1']);
  });

  it.each([
    ['chart entry', { filedUnder: ['ImagingStudy/c', 'Patient/b'] }],
    ['patient', { filedUnder: ['ImagingStudy/a', 'Patient/d'] }],
    ['study', { studyInstanceUid: '1.2.4' }],
    ['slices', { sopInstanceUids: ['1.2.3.2'] }],
    ['network', { modelSha256: 'cd'.repeat(32) }],
  ])('differs for another %s', (_, change) => {
    expect(contentKey({ ...content, ...change })).not.toBe(contentKey(content));
  });
});
