import { describe, expect, it } from '@jest/globals';
import { count, date, dateTime, personName, text } from '../../api/sandbox/dicom-attributes.ts';
import { studyInstanceUid, toImagingStudy } from '../../api/sandbox/dicom-to-fhir.ts';

const one = (vr: string, value: unknown): { vr: string; Value: unknown[] } => ({ vr, Value: [value] });

describe('Attributes in the DICOM JSON Model', () => {
  it.each([
    ['20260301', '101530.25', '+0100', '2026-03-01T10:15:30+01:00'],
    ['20260301', '1015', '-0330', '2026-03-01T10:15:00-03:30'],
    ['20260301', '101530', undefined, '2026-03-01'],
    ['20260301', undefined, '+0100', '2026-03-01'],
    ['20260230', '101530', '+0100', undefined],
    ['2026', '101530', '+0100', undefined],
    [undefined, '101530', '+0100', undefined],
  ])('date %s, time %s, zone %s are %s', (day, time, zone, expected) => {
    const instance = { '00080020': one('DA', day), '00080030': one('TM', time), '00080201': one('SH', zone) };
    expect(dateTime(instance, '00080020', '00080030')).toBe(expected);
  });

  it('leaves absent and empty values undefined', () => {
    const instance = { '00100020': { vr: 'LO' }, '00080060': one('CS', ' '), '00100030': one('DA', null) };
    expect(text(instance, '00100020')).toBeUndefined();
    expect(text(instance, '00080060')).toBeUndefined();
    expect(date(instance, '00100030')).toBeUndefined();
    expect(personName(instance, '00100010')).toEqual([]);
  });

  it('takes whole numbers as number or text', () => {
    expect(count({ '00200013': one('IS', 7) }, '00200013')).toBe(7);
    expect(count({ '00200013': one('IS', '7') }, '00200013')).toBe(7);
    expect(count({ '00200013': one('IS', '-7') }, '00200013')).toBeUndefined();
  });

  it('reads person names by component', () => {
    const name = one('PN', { Alphabetic: 'Rivera-Sim^Ana^^Dr' });
    expect(personName({ '00100010': name }, '00100010')).toEqual(['Rivera-Sim', 'Ana', '', 'Dr']);
  });

  it('says that a modality is unknown rather than naming one', () => {
    const instance = {
      '0020000D': one('UI', '1.2.3'),
      '0020000E': one('UI', '1.2.3.1'),
      '00080018': one('UI', '1.2.3.1.1'),
      '00080016': one('UI', '1.2.840.10008.5.1.4.1.1.7'),
    };
    const study = toImagingStudy([instance], { id: 's', patient: 'Patient/p', endpoint: 'Endpoint/e' });
    expect(study.series?.[0].modality).toEqual({
      extension: [{ url: 'http://hl7.org/fhir/StructureDefinition/data-absent-reason', valueCode: 'unknown' }],
    });
    expect([study.modality, study.started, study.description]).toEqual([undefined, undefined, undefined]);
  });

  it('refuses an instance without its study', () => {
    expect(() => studyInstanceUid({})).toThrow('(0020,000D)');
  });
});
