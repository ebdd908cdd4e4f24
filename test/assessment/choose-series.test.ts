/** Which series is read, by rules a radiologist can follow (docs/series-choice.md), and why another is not. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { checkFrames, chooseSeries } from '../../api/assessment/choose-series.ts';
import { kernelKind } from '../../api/assessment/kernels.ts';
import type { InstanceHeader } from '../../api/imaging/volume.ts';
import { refusalOf } from '../support/refusal.ts';
import { syntheticHead } from '../support/synthetic-head.ts';

const HEAD = syntheticHead({ slices: 30, matrix: 4, fieldOfViewMm: 2 }).map(({ header }) => header);
/** A series of the study with other attributes; `uid` is its Series Instance UID. */
const series = (uid: string, change: Partial<InstanceHeader> = {}, slices = 30): InstanceHeader[] =>
  HEAD.slice(0, slices).map((header, i) => ({
    ...header,
    seriesInstanceUid: uid,
    sopInstanceUid: `${uid}.${i + 1}`,
    ...change,
  }));
const chosenUid = (...listing: InstanceHeader[][]): string => chooseSeries(listing.flat()).chosen[0].seriesInstanceUid;

describe('Choosing among eligible series', () => {
  it.each<[string, Partial<InstanceHeader>, Partial<InstanceHeader>]>([
    ['a soft-tissue kernel before an unknown one', { convolutionKernel: ['H31s'] }, { convolutionKernel: ['ODD'] }],
    [
      'a soft-tissue kernel before a better thickness',
      { convolutionKernel: ['H31s'], sliceThicknessMm: 1 },
      { convolutionKernel: undefined, sliceThicknessMm: 5 },
    ],
    ['5 mm before 3 mm', { sliceThicknessMm: 5 }, { sliceThicknessMm: 3 }],
    ['4 mm before 2.5 mm and before 7 mm', { sliceThicknessMm: 4 }, { sliceThicknessMm: 7 }],
    ['a stated thickness before an unstated one', { sliceThicknessMm: 1 }, { sliceThicknessMm: undefined }],
    ['the lower Series Number', { seriesNumber: 2 }, { seriesNumber: 11 }],
    ['a Series Number before none', { seriesNumber: 900 }, { seriesNumber: undefined }],
  ])('prefers %s', (_, better, worse) => {
    // The preferred one has the higher UID and comes last, so that neither decides.
    expect(chosenUid(series('2.25.1', worse), series('2.25.2', better))).toBe('2.25.2');
    expect(chosenUid(series('2.25.2', better), series('2.25.1', worse))).toBe('2.25.2');
  });

  it('prefers more slices, then, all equal, the lower Series Instance UID', () => {
    expect(chosenUid(series('2.25.1', {}, 20), series('2.25.2', {}, 30))).toBe('2.25.2');
    expect(chosenUid(series('2.25.2'), series('2.25.1'))).toBe('2.25.1');
  });

  it('gives the same answer in whatever order the PACS lists the instances', () => {
    const listing = [
      ...series('2.25.1', { convolutionKernel: ['H60s'] }),
      ...series('2.25.2', { sliceThicknessMm: 3 }),
      ...series('2.25.3', { sliceThicknessMm: 4 }),
    ];
    fc.assert(
      fc.property(fc.shuffledSubarray(listing, { minLength: listing.length }), (shuffled) => {
        expect(chooseSeries(shuffled).chosen[0].seriesInstanceUid).toBe('2.25.3');
      }),
      { seed: 5, numRuns: 30 },
    );
  });

  it('lists every series with the reason why it is not eligible', () => {
    const { considered } = chooseSeries([
      ...series('2.25.1'),
      ...series('2.25.2', { convolutionKernel: ['BONEPLUS'] }),
      ...series('2.25.3', { contrastBolusAgent: 'IOHEXOL' }),
    ]);
    expect(considered.map(({ seriesInstanceUid, refusal }) => [seriesInstanceUid, refusal?.code])).toEqual([
      ['2.25.1', undefined],
      ['2.25.2', 'bone-kernel-only'],
      ['2.25.3', 'contrast-enhanced'],
    ]);
  });
});

describe('Slices that are no part of the scan', () => {
  it.each<[string, Partial<InstanceHeader>]>([
    ['a localizer', { imageType: ['ORIGINAL', 'PRIMARY', 'LOCALIZER'] }],
    ['a dose report', { imageType: ['DERIVED', 'SECONDARY', 'OTHER'], sopClassUid: '1.2.840.10008.5.1.4.1.1.7' }],
    ['our own earlier output', { syntheticData: 'YES' }],
  ])('are left aside and the rest is read: %s', (_, change) => {
    const odd = { ...HEAD[0], seriesInstanceUid: '2.25.1', sopInstanceUid: '2.25.99', ...change };
    const { chosen } = chooseSeries([odd, ...series('2.25.1')]);
    expect(chosen).toHaveLength(30);
    expect(chosen).not.toContain(odd);
  });
});

describe('When no series is eligible', () => {
  it('the refusal is that of the series that met most rules', () => {
    const scout = series('2.25.1', { imageType: ['ORIGINAL', 'PRIMARY', 'LOCALIZER'] }, 2);
    const bone = series('2.25.2', { convolutionKernel: ['H60s'] });
    expect(refusalOf(() => chooseSeries([...scout, ...bone]))).toMatchObject({
      code: 'bone-kernel-only',
      details: { seriesConsidered: 2 },
    });
  });

  it('names an empty study', () => {
    expect(refusalOf(() => chooseSeries([])).toRefusal()).toMatchObject({
      code: 'no-eligible-series',
      details: { series: 0 },
    });
  });
});

describe('Contrast and perfusion', () => {
  it.each(['IOHEXOL', 'Omnipaque 350', 'CE', 'YES', 'ISOVUE300/100'])('agent "%s" is contrast', (agent) => {
    expect(refusalOf(() => chooseSeries(series('2.25.1', { contrastBolusAgent: agent }))).code).toBe(
      'contrast-enhanced',
    );
  });

  it.each(['', 'NONE', 'none', 'No', 'WITHOUT CONTRAST', 'Non-contrast', 'ohne'])('agent "%s" is none', (agent) => {
    expect(chooseSeries(series('2.25.1', { contrastBolusAgent: agent })).chosen).toHaveLength(30);
  });

  it.each([
    'CTA HEAD',
    'Head CTP',
    'Brain Perfusion',
    'TMAX',
    '70 keV',
    'VNC Brain',
    'HEAD C+',
    'Head with contrast',
    'Iodine map',
  ])('series "%s" is not a plain CT', (seriesDescription) => {
    expect(refusalOf(() => chooseSeries(series('2.25.1', { seriesDescription }))).code).toBe('contrast-enhanced');
  });

  it.each(['HEAD 5MM', 'Head POST CTA', 'CT Head without contrast', 'Routine Brain', 'Schädel nativ'])(
    'series "%s" may be one',
    (seriesDescription) => {
      expect(chooseSeries(series('2.25.1', { seriesDescription })).chosen).toHaveLength(30);
    },
  );
});

describe('Convolution kernels', () => {
  it.each([
    ['H31s', 'soft-tissue'],
    ['Hr38f\\3', 'soft-tissue'],
    ['J40s', 'soft-tissue'],
    ['H60s', 'bone'],
    ['Hr64h', 'bone'],
    ['STANDARD', 'soft-tissue'],
    ['STD+', 'soft-tissue'],
    ['SOFT', 'soft-tissue'],
    ['BONEPLUS', 'bone'],
    ['EDGE', 'bone'],
    ['FC26', 'soft-tissue'],
    ['FC64', 'soft-tissue'],
    ['FC30', 'bone'],
    ['FC81', 'bone'],
    ['UB', 'soft-tissue'],
    ['B', 'soft-tissue'],
    ['YC', 'bone'],
    ['D', 'bone'],
    ['SOMETHING', 'unknown'],
    ['', 'unknown'],
  ])('%s is %s', (name, kind) => {
    expect(kernelKind(name.split('\\'))).toBe(kind);
  });

  it('that are not stated are unknown, unless the description says bone', () => {
    expect(kernelKind(undefined)).toBe('unknown');
    const unstated = { convolutionKernel: undefined };
    expect(chooseSeries(series('2.25.1', unstated)).chosen).toHaveLength(30);
    const named = { ...unstated, seriesDescription: 'HEAD BONE 1.0' };
    expect(refusalOf(() => chooseSeries(series('2.25.1', named))).code).toBe('bone-kernel-only');
  });
});

describe('What a listing leaves out', () => {
  const silent: Partial<InstanceHeader> = {
    modality: undefined,
    imageType: undefined,
    photometricInterpretation: undefined,
    samplesPerPixel: undefined,
    rescaleSlope: undefined,
    rescaleIntercept: undefined,
    kvp: undefined,
    bodyPartExamined: undefined,
  };

  it('decides nothing before the files are seen, and decides on them', () => {
    expect(chooseSeries(series('2.25.1', silent)).chosen).toHaveLength(30);
    expect(refusalOf(() => checkFrames(series('2.25.1', silent))).code).toBe('modality-not-ct');
  });

  it.each([
    ['bodyPartExamined', 'body-part-absent'],
    ['kvp', 'tube-voltage-absent'],
  ])('of %s is flagged as %s on the files', (attribute, code) => {
    expect(checkFrames(series('2.25.1', { [attribute]: undefined })).map((flag) => flag.code)).toEqual([code]);
  });
});
