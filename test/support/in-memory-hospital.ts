/** A chart, a PACS and a reader of scans in memory, for suites whose subject is the queue or the front doors. */
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type { AssessmentOutcome, AssessmentProgress } from '../../api/assessment/assess-study.ts';
import type { Assessment, AssessmentBasis } from '../../api/assessment/assessment.ts';
import type {
  ModelDescription,
  ModelDocuments,
  ScanReader,
  StudyRecord,
  StudyReference,
  SystemHealth,
} from '../../api/assessment/ports.ts';
import type { ResultMaps } from '../../api/assessment/result-maps.ts';
import { NotFoundError } from '../../api/errors.ts';
import type { Prediction } from '../../api/prediction/prediction.ts';

export const MODEL: ModelDescription = {
  name: 'hemocast-test',
  version: '0.0.1',
  sha256: 'a'.repeat(64),
  disclaimer: 'Research use only, made for tests, not a medical device.',
  intendedUse: 'Tests.',
  trainingData: 'None.',
  trainingPrevalence: 0.5,
  cardMarkdown: '# A model for tests',
};

export const DOCUMENTS: ModelDocuments = {
  metadata: { name: MODEL.name, ood: { threshold: 3 } },
  evaluation: { content: { inDistribution: { auc: { value: 0.9, low: 0.88, high: 0.92 } } }, absentReason: null },
  card: { content: null, absentReason: 'The bundle holds no card.json.' },
};

export const PREDICTION: Prediction = {
  score: 0.25,
  probability: 0.41,
  probabilityInterval: { low: 0.2, high: 0.6, level: 0.9, method: 'Made up for a test.' },
  probabilityIntervalAbsentReason: null,
  riskBand: 'moderate',
  riskBandBounds: { moderate: 0.15, high: 0.5 },
  assumedPrevalence: 0.35,
  trainingPrevalence: 0.5,
  measurements: {
    hyperdenseVolumeMl: { value: 3.2 },
    maxHu: { value: 92 },
    meanHu: { value: 61.5 },
    side: { value: 'left' },
    metallicSign: { value: null, reason: 'The location cannot be vouched for.' },
  },
  generatedHyperdenseVolumeMl: 1.4,
};

const grid = {
  slices: 1,
  rows: 2,
  columns: 2,
  sliceSpacingMm: 5,
  rowSpacingMm: 6,
  columnSpacingMm: 6,
  rowDirection: [1, 0, 0],
  columnDirection: [0, 1, 0],
  normal: [0, 0, 1],
  origin: [-3, -3, 10],
} as const;

export const MAPS: ResultMaps = {
  seriesInstanceUid: '2.25.1',
  attention: { grid, scale: 0.01, gzip: new Uint8Array(gzipSync(Uint8Array.of(0, 255, 7, 9))) },
  difference: { grid, scale: 1, gzip: new Uint8Array(gzipSync(new Uint8Array(Int16Array.of(0, -40, 12, 0).buffer))) },
};

export const BASIS: AssessmentBasis = {
  seriesInstanceUid: '2.25.1',
  sopInstanceUids: ['2.25.11', '2.25.12'],
  thrombectomy: { reference: 'Procedure/t', endedAt: '2026-03-01T12:00:00Z' },
};

export type Story = (
  assessment: Assessment,
  signal: AbortSignal,
  onProgress: (progress: AssessmentProgress) => Promise<void>,
) => Promise<AssessmentOutcome>;

/** Ids of what is written derive from content and revision, as in the real write-back: repeating it writes nothing new. */
export function writtenResources(assessment: Pick<Assessment, 'contentKey' | 'revision'>): {
  riskAssessment: string;
  media: string[];
  observations: string[];
  provenance: string;
  device: string;
} {
  const id = createHash('sha256').update(`${assessment.contentKey}/${assessment.revision}`).digest('hex').slice(0, 32);
  return {
    riskAssessment: `RiskAssessment/${id}`,
    media: [`Media/${id}-comparison`, `Media/${id}-follow-up`],
    observations: [`Observation/${id}-volume`],
    provenance: `Provenance/${id}`,
    device: 'Device/hemocast-test',
  };
}

export function completed(assessment: Assessment): AssessmentOutcome {
  return {
    kind: 'completed',
    prediction: PREDICTION,
    flags: [{ code: 'age-unknown', message: 'The age of the patient is not known; adults only are in scope.' }],
    resources: writtenResources(assessment),
    basis: BASIS,
    maps: MAPS,
    executionProvider: 'cpu',
    timings: { retrieving: 12, 'reading-scan': 34 },
  };
}

/** Over all hospitals of the process: several may share a database. */
let lastStudy = 0;

export class InMemoryHospital {
  readonly #studies = new Map<string, { record: StudyRecord; contentKey: string | null }>();
  readonly #stories = new Map<string, Story>();
  ehrHealth: SystemHealth = { ok: true };
  pacsHealth: SystemHealth = { ok: true };
  /** How often the work on each study was begun. */
  readonly runs = new Map<string, number>();

  /** A study of its own for each test; `content` null = instances are still missing. Returns "ImagingStudy/<id>". */
  addStudy(options: { content?: string | null; patient?: string; story?: Story } = {}): string {
    const id = `study-${++lastStudy}-${process.pid}`;
    const reference: StudyReference = { resourceType: 'ImagingStudy', id };
    this.#studies.set(id, {
      record: {
        reference,
        studyInstanceUid: `2.25.${lastStudy}`,
        patientReference: `Patient/${options.patient ?? `${id}-patient`}`,
        status: 'available',
        dicomwebAddresses: [],
        patient: { identifiers: [] },
      },
      contentKey: options.content === null ? null : contentKeyOf(options.content ?? id),
    });
    if (options.story !== undefined) this.#stories.set(id, options.story);
    return `ImagingStudy/${id}`;
  }

  /** What has arrived changes what would be read. */
  setContent(reference: string, content: string | null): void {
    this.#study(reference.split('/')[1]).contentKey = content === null ? null : contentKeyOf(content);
  }

  setStory(reference: string, story: Story): void {
    this.#stories.set(reference.split('/')[1], story);
  }

  readonly planStudy = async (
    reference: StudyReference,
    signal: AbortSignal,
  ): Promise<{ study: StudyRecord; contentKey: string | null }> => {
    signal.throwIfAborted();
    const { record, contentKey } = this.#study(reference.id);
    return { study: record, contentKey };
  };

  readonly assess: Story = async (assessment, signal, onProgress) => {
    const { id } = assessment.study;
    this.runs.set(id, (this.runs.get(id) ?? 0) + 1);
    const story = this.#stories.get(id);
    if (story !== undefined) return story(assessment, signal, onProgress);
    await onProgress({ stage: 'reading-scan', progress: 0.5 });
    return completed(assessment);
  };

  readonly reader: Pick<ScanReader, 'describe' | 'documents' | 'health'> = {
    describe: () => MODEL,
    documents: () => DOCUMENTS,
    health: () => ({ ok: true, executionProvider: 'cpu', passedOver: [] }),
  };

  readonly ehr = { health: async (): Promise<SystemHealth> => this.ehrHealth };
  readonly pacs = { health: async (): Promise<SystemHealth> => this.pacsHealth };

  #study(id: string): { record: StudyRecord; contentKey: string | null } {
    const study = this.#studies.get(id);
    if (study === undefined) throw new NotFoundError('study-not-found', 'The EHR has no such ImagingStudy.');
    return study;
  }
}

export function contentKeyOf(content: string): string {
  return createHash('sha256').update(content).digest('hex');
}
