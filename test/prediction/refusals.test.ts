/**
 * The closed list of refusals, one row each: what is sent, and the code and numbers that come back instead of a score. The
 * rows go through the same functions as a patient's scan.
 */
import { describe, expect, it } from '@jest/globals';
import { checkFrames, chooseSeries } from '../../api/assessment/choose-series.ts';
import { matchIdentity } from '../../api/assessment/match-identity.ts';
import { assertHead } from '../../api/imaging/anatomy.ts';
import { assembleVolume } from '../../api/imaging/assemble-volume.ts';
import type { Frame, InstanceHeader } from '../../api/imaging/volume.ts';
import { checkPatient } from '../../api/prediction/check-patient.ts';
import { REFUSALS, type RefusalCode, type RefusalDetails } from '../../api/prediction/refusals.ts';
import { toPrediction } from '../../api/prediction/probability.ts';
import { refusalOf } from '../support/refusal.ts';
import { syntheticHead, type SyntheticHeadOptions } from '../support/synthetic-head.ts';

const tiny = { matrix: 4, fieldOfViewMm: 2, slices: 14 } as const;
const framesWith = (change: Partial<InstanceHeader>, options: SyntheticHeadOptions = tiny): Frame[] =>
  syntheticHead(options).map(({ header, storedValues }) => ({ header: { ...header, ...change }, storedValues }));
const headersWith = (change: Partial<InstanceHeader>, options?: SyntheticHeadOptions): InstanceHeader[] =>
  framesWith(change, options).map(({ header }) => header);

const choosing = (change: Partial<InstanceHeader>, options?: SyntheticHeadOptions) => () =>
  chooseSeries(headersWith(change, options));
const assembling = (change: Partial<InstanceHeader>, options?: SyntheticHeadOptions) => () =>
  assembleVolume(framesWith(change, options));
const recognizing = (options: SyntheticHeadOptions) => () => assertHead(assembleVolume(syntheticHead(options)).volume);
const checking = (birthDate: string, endedAt: string) => () =>
  checkPatient({
    study: { patient: { birthDate }, thrombectomy: { endedAt } },
    headers: [],
    initialCtAt: '2026-03-02T10:00:00Z',
  });

type Row = readonly [code: RefusalCode, given: string, call: () => unknown, details: RefusalDetails];

const ROWS: readonly Row[] = [
  [
    'identity-conflict',
    'images of a man in the chart of a woman',
    () =>
      matchIdentity(
        { studyInstanceUid: '2.25.10', patient: { identifiers: [], sex: 'female' } },
        headersWith({ patientSex: 'M' }),
      ),
    { attribute: 'sex', between: 'chart and images' },
  ],
  ['no-eligible-series', 'a study without images', () => chooseSeries([]), { series: 0 }],
  ['modality-not-ct', 'an MR', choosing({ modality: 'MR' }), { modality: 'MR', seriesConsidered: 1 }],
  [
    'sop-class-not-supported',
    'an enhanced CT',
    choosing({ sopClassUid: '1.2.840.10008.5.1.4.1.1.2.1' }),
    { sopClassUid: '1.2.840.10008.5.1.4.1.1.2.1', required: '1.2.840.10008.5.1.4.1.1.2', seriesConsidered: 1 },
  ],
  [
    'image-type-not-original-axial',
    'a reformat',
    choosing({ imageType: ['DERIVED', 'SECONDARY', 'REFORMATTED'] }),
    { imageType: ['DERIVED', 'SECONDARY', 'REFORMATTED'], seriesConsidered: 1 },
  ],
  [
    'synthetic-input',
    'an image made by a model',
    choosing({ syntheticData: 'YES' }),
    { syntheticData: 'YES', seriesConsidered: 1 },
  ],
  [
    'contrast-enhanced',
    'a CT angiography',
    choosing({ seriesDescription: 'CTA HEAD' }),
    { agentStated: false, seriesConsidered: 1 },
  ],
  [
    'bone-kernel-only',
    'a bone reconstruction',
    choosing({ convolutionKernel: ['H60s'] }),
    { convolutionKernel: ['H60s'], seriesConsidered: 1 },
  ],
  [
    'body-part-not-head',
    'a chest',
    choosing({ bodyPartExamined: 'CHEST' }),
    { bodyPartExamined: 'CHEST', seriesConsidered: 1 },
  ],
  [
    'not-a-head',
    'a skull of plastic with air inside',
    recognizing({ brainHu: -1000 }),
    { modeHu: -1000, limitsHu: [20, 45], shareNearMode: 1, requiredShare: 0.5 },
  ],
  [
    'incomplete-head-coverage',
    'a scan that ends too high',
    recognizing({ slices: 18 }),
    // Slices every 5 mm from 78 to -7 mm. At 68 mm the skull's cross-section is pi * 75 * 92 * (1 - (68 / 72)^2) = 2341 mm2,
    // at 73 mm 0: 300 mm2 lie at 72.4 mm. Covered down to -7 - 2.5 mm: 81.9 mm.
    { coverageMm: 81.9, requiredMm: 90, brainInTopSliceCm2: 0, limitCm2: 50 },
  ],
  [
    'geometry-missing',
    'no position',
    assembling({ imagePositionPatient: undefined }),
    { absent: ['Image Position (Patient) (0020,0032)'] },
  ],
  [
    'geometry-inconsistent',
    'one slice of another matrix',
    () => assembleVolume([...framesWith({}), ...framesWith({}, { ...tiny, matrix: 8 })]),
    { differs: 'matrix size', slice: 14 },
  ],
  [
    'duplicate-slices',
    'every slice twice',
    () => assembleVolume([...framesWith({}), ...framesWith({})]),
    { positionMm: 13, instanceNumbers: [1, 1] }, // 72 + 6 mm over the middle, less 13 gaps of 5 mm
  ],
  [
    'slice-gap-too-large',
    'one slice of 5 mm missing',
    () => assembleVolume(framesWith({}).filter((_, i) => i !== 7)),
    { gapMm: 10, limitMm: 8, sliceThicknessMm: 5, positionMm: 53 }, // the slice above the gap: 13 + 8 * 5 mm
  ],
  [
    'oblique-plane',
    'coronal slices',
    () =>
      assembleVolume(
        framesWith({ imageOrientationPatient: [1, 0, 0, 0, 0, -1] }).map(({ header, storedValues }, i) => ({
          header: { ...header, imagePositionPatient: [0, 5 * i, 0] },
          storedValues,
        })),
      ),
    { obliqueDeg: 90, limitDeg: 30, gantryTiltDeg: 0 },
  ],
  [
    'slice-thickness-out-of-range',
    '10 mm slices',
    choosing({ sliceThicknessMm: 10 }),
    { sliceThicknessMm: 10, limitMm: 8, seriesConsidered: 1 },
  ],
  [
    'pixel-spacing-out-of-range',
    '1.6 mm pixels',
    choosing({ pixelSpacingMm: [1.6, 1.6] }),
    { pixelSpacingMm: [1.6, 1.6], limitsMm: [0.2, 1.5], seriesConsidered: 1 },
  ],
  [
    'too-few-slices',
    '11 slices',
    choosing({}, { ...tiny, slices: 11 }),
    { slices: 11, required: 12, seriesConsidered: 1 },
  ],
  [
    'tube-voltage-out-of-range',
    '151 kV',
    choosing({ kvp: 151 }),
    { kvp: 151, limitsKv: [70, 150], seriesConsidered: 1 },
  ],
  [
    'rescale-missing',
    'no slope',
    () => checkFrames(headersWith({ rescaleSlope: undefined })),
    { slope: null, intercept: -1024 },
  ],
  [
    'hounsfield-implausible',
    'an intercept 60 HU too low',
    recognizing({ header: { rescaleIntercept: -1084 } }),
    { modeHu: -28, limitsHu: [20, 45], shareNearMode: 1, requiredShare: 0.5 },
  ],
  [
    'photometric-interpretation-unsupported',
    'inverted grey',
    choosing({ photometricInterpretation: 'MONOCHROME1' }),
    { photometricInterpretation: 'MONOCHROME1', samplesPerPixel: 1, seriesConsidered: 1 },
  ],
  ['patient-under-18', 'a patient of 17', checking('2008-03-03', '2026-03-02T09:00:00Z'), { minimumAgeYears: 18 }],
  [
    'too-long-after-procedure',
    'a scan of the next day but one',
    checking('1960', '2026-02-28T10:00:00Z'),
    { hoursAfterProcedure: 48, limitHours: 24 },
  ],
  [
    'model-output-invalid',
    'a network that returns no number',
    () =>
      toPrediction({
        logit: NaN,
        probability: NaN,
        calibration: { prevalence: 0.5, interval: null },
        assumedPrevalence: 0.35,
        riskBandBounds: { moderate: 0.15, high: 0.5 },
        measurements: {
          hyperdenseVolumeMl: { value: 0 },
          maxHu: { value: null, reason: '' },
          meanHu: { value: null, reason: '' },
          side: { value: null, reason: '' },
          metallicSign: { value: false },
        },
        generatedHyperdenseVolumeMl: 0,
      }),
    { logit: null, probability: null },
  ],
];

/** Raised before a header is judged (PACS, decoder) or after the network ran, and tested there. */
const ELSEWHERE: readonly RefusalCode[] = [
  'study-incomplete',
  'transfer-syntax-unsupported',
  'dicom-malformed',
  'out-of-distribution',
];

describe('A refusal instead of a score', () => {
  it.each(ROWS)('%s: %s', (code, _, call, details) => {
    const refusal = refusalOf(call).toRefusal();
    expect(refusal).toEqual({ code, message: expect.any(String), details });
    // A sentence that says what was seen, and no score beside it.
    expect(refusal.message).toMatch(/\.$/);
    expect(Object.keys(refusal)).toEqual(['code', 'message', 'details']);
  });

  it('has a row for every code of the closed list, or is tested where it is raised', () => {
    const codes = [...ROWS.map(([code]) => code), ...ELSEWHERE];
    expect(codes.toSorted()).toEqual(Object.keys(REFUSALS).toSorted());
  });
});
