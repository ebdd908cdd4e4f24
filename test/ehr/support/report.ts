/** A completed assessment as the mappings receive it; every test changes what it is about. */
import type { AssessmentReport, ModelDescription, SeriesReading, StudyRecord } from '../../../api/assessment/ports.ts';
import { MAPS } from '../../support/in-memory-hospital.ts';
import type { Prediction } from '../../../api/prediction/prediction.ts';

export const MODEL: ModelDescription = {
  name: 'hemocast-tiny',
  version: '0.1.0',
  sha256: 'ab'.repeat(32),
  disclaimer: 'Research use only, made for tests, not a medical device.',
  intendedUse: 'Research into hemorrhage after thrombectomy.',
  trainingData: 'Simulated head CT series.',
  trainingPrevalence: 0.51,
  cardMarkdown: '# hemocast-tiny\n\nTrained on simulated data. <script>alert(1)</script>\n',
};

export const STUDY: StudyRecord = {
  reference: { resourceType: 'ImagingStudy', id: 'sim-01-ct' },
  studyInstanceUid: '2.25.123',
  patientReference: 'Patient/sim-01',
  encounterReference: 'Encounter/sim-01-admission',
  status: 'available',
  startedAt: '2026-03-01T14:30:00+01:00',
  numberOfInstances: 24,
  dicomwebAddresses: [],
  patient: { identifiers: [{ system: 'urn:oid:1.2.3', value: 'P1' }], birthDate: '1950-05-05', sex: 'female' },
  thrombectomy: { reference: 'Procedure/sim-01-thrombectomy', endedAt: '2026-03-01T12:10:00+01:00' },
};

export const PREDICTION: Prediction = {
  score: 0.4231,
  probability: 0.714,
  probabilityInterval: { low: 0.601, high: 0.799, level: 0.9, method: 'Bootstrap of the calibration.' },
  probabilityIntervalAbsentReason: null,
  riskBand: 'high',
  riskBandBounds: { moderate: 0.15, high: 0.5 },
  assumedPrevalence: 0.35,
  trainingPrevalence: 0.51,
  measurements: {
    hyperdenseVolumeMl: { value: 12.34 },
    maxHu: { value: 88.2 },
    meanHu: { value: 61.07 },
    side: { value: 'left' },
    metallicSign: { value: false },
  },
  generatedHyperdenseVolumeMl: 4.21,
};

/** Stand-ins for pictures: what is written is bytes, whatever they show. */
export const READING: SeriesReading = {
  prediction: PREDICTION,
  flags: [],
  images: {
    comparisonPng: new TextEncoder().encode('png bytes of the comparison'),
    comparisonWidth: 1200,
    comparisonHeight: 640,
    followUpDicom: new TextEncoder().encode('part 10 bytes of the generated follow-up'),
    followUpSopInstanceUid: '2.25.77',
    followUpSeriesInstanceUid: '2.25.78',
    followUpFrames: 24,
    followUpRows: 512,
    followUpColumns: 512,
  },
  maps: MAPS,
  executionProvider: 'cpu',
  timings: {},
};

interface ReportChanges {
  readonly study?: Partial<StudyRecord>;
  readonly prediction?: Partial<Prediction>;
  readonly report?: Partial<AssessmentReport>;
}

export function aReport({ study, prediction, report }: ReportChanges = {}): AssessmentReport {
  return {
    study: { ...STUDY, ...study },
    contentKey: 'c0ffee'.repeat(10),
    revision: 1,
    initialCtAt: '2026-03-01T14:31:12+01:00',
    model: MODEL,
    reading: { ...READING, prediction: { ...PREDICTION, ...prediction } },
    flags: [
      { code: 'contrast-can-look-like-blood', message: 'Leftover contrast can look like blood on the first CT.' },
    ],
    ...report,
  };
}
