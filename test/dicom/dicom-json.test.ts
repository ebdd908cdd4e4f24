import { describe, expect, it } from '@jest/globals';
import { headerFromDicomJson } from '../../api/dicom/dicom-json.ts';
import { UIDS, refusalOf } from './objects.ts';

const instance = (extra: Record<string, unknown> = {}): Record<string, unknown> => ({
  '00080016': { vr: 'UI', Value: ['1.2.840.10008.5.1.4.1.1.2'] },
  '00080018': { vr: 'UI', Value: [UIDS.instance] },
  '0020000D': { vr: 'UI', Value: [UIDS.study] },
  '0020000E': { vr: 'UI', Value: [UIDS.series] },
  ...extra,
});

describe('The header from the DICOM JSON model', () => {
  it('reads decimal strings, whether the server writes numbers or text', () => {
    const asNumbers = headerFromDicomJson(
      instance({ '00280030': { vr: 'DS', Value: [0.488, 0.488] }, '00281052': { vr: 'DS', Value: [-1024] } }),
    );
    const asText = headerFromDicomJson(
      instance({ '00280030': { vr: 'DS', Value: ['0.488', '0.488 '] }, '00281052': { vr: 'DS', Value: ['-1024'] } }),
    );
    expect(asNumbers).toEqual(asText);
    expect(asText).toMatchObject({ pixelSpacingMm: [0.488, 0.488], rescaleIntercept: -1024 });
  });

  it.each([
    ['without Value, as Orthanc writes it', { vr: 'DS' }],
    ['with no values', { vr: 'DS', Value: [] }],
    ['with null', { vr: 'DS', Value: [null] }],
    ['by a BulkDataURI', { vr: 'DS', BulkDataURI: 'http://elsewhere/' }],
    ['as null itself', null],
  ])('takes an empty attribute for absent: %s', (_, attribute) => {
    const header = headerFromDicomJson(
      instance({ '00281053': attribute, '00100020': attribute, '00280010': attribute }),
    );
    expect(header.rescaleSlope).toBeUndefined();
    expect(header.patientId).toBeUndefined();
    expect(header.rows).toBeUndefined();
  });

  it('reads text, numbers and lists', () => {
    const header = headerFromDicomJson(
      instance({
        '00080060': { vr: 'CS', Value: ['CT'] },
        '00080008': { vr: 'CS', Value: ['ORIGINAL', 'PRIMARY', 'AXIAL'] },
        '00100020': { vr: 'LO', Value: ['Ж-17'] },
        '00280010': { vr: 'US', Value: [512] },
        '00280120': { vr: 'SS', Value: [-1500] },
        '00200013': { vr: 'IS', Value: ['7'] },
        '0008002A': { vr: 'DT', Value: ['20260301101530'] },
        '00083002': { vr: 'UI', Value: ['1.2.840.10008.1.2.4.70'] },
      }),
    );
    expect(header).toMatchObject({
      modality: 'CT',
      imageType: ['ORIGINAL', 'PRIMARY', 'AXIAL'],
      patientId: 'Ж-17',
      rows: 512,
      pixelPaddingValue: -1500,
      instanceNumber: 7,
      acquisitionDateTime: '2026-03-01T10:15:30',
      transferSyntaxUid: '1.2.840.10008.1.2.4.70',
    });
  });

  it('does not guess the transfer syntax where a server offers several', () => {
    const offered = { vr: 'UI', Value: ['1.2.840.10008.1.2.1', '1.2.840.10008.1.2.4.70'] };
    expect(headerFromDicomJson(instance({ '00083002': offered })).transferSyntaxUid).toBeUndefined();
  });

  it.each([[null], ['text'], [[instance()]], [{}], [{ ...instance(), '00080018': { vr: 'UI', Value: ['../x'] } }]])(
    'refuses what is not one instance: %j',
    async (json) => {
      expect((await refusalOf(() => headerFromDicomJson(json))).code).toBe('dicom-malformed');
    },
  );
});
