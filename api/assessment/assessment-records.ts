/** What the story and the front doors need of the place where assessments are kept and of the queue that works on them. */
import type { Assessment } from './assessment.ts';
import type { ChartChanges, StudyRecord, StudyReference, SystemHealth } from './ports.ts';
import type { ResultMaps } from './result-maps.ts';
import type { Withdrawal } from './withdrawal.ts';

/** A row to be made. `contentKey` is null while instances are still missing. */
export interface NewAssessment {
  readonly study: StudyRecord;
  readonly contentKey: string | null;
  readonly revision: number;
  readonly supersedes: string | null;
  readonly model: Assessment['model'];
}

export interface AssessmentQuery {
  readonly imagingStudy?: StudyReference;
  /** "Patient/<id>" */
  readonly patientReference?: string;
  /** Page size, 1..100. */
  readonly limit: number;
  /** `next` of the page before. */
  readonly cursor?: string;
}

export interface AssessmentPage {
  readonly items: readonly Assessment[];
  readonly next: string | null;
}

export interface AssessmentRecords {
  get(id: string): Promise<Assessment | null>;
  /** Null where the assessment has not completed, or was made before maps were kept. */
  getMaps(id: string): Promise<ResultMaps | null>;
  /** Newest first. Throws InvalidRequestError for a cursor that is none of ours. */
  list(query: AssessmentQuery): Promise<AssessmentPage>;
  /** Every revision of this content, newest first. */
  findByContent(contentKey: string): Promise<readonly Assessment[]>;
  /** The newest assessment of the study whose content is not known yet, whatever its status. */
  findWithoutContent(study: StudyReference): Promise<Assessment | null>;
  /** Null where a created, active or completed one of the same content and revision (or a waiting one of the same study) exists. */
  create(assessment: NewAssessment): Promise<Assessment | null>;
  /**
   * Begins a refused, failed or cancelled assessment anew as attempt + 1. Null where it has changed since it was read,
   * or where another one of the same content is under way.
   */
  reopen(
    assessment: Assessment,
    plan: Pick<NewAssessment, 'study' | 'contentKey' | 'supersedes' | 'model'>,
  ): Promise<Assessment | null>;
  /** Completed results that were not taken back, of these studies or patients or completed since then; null = all. Oldest first. */
  listStanding(
    of: (Pick<ChartChanges, 'studies' | 'patients'> & { readonly completedSince?: string }) | null,
  ): Promise<readonly Assessment[]>;
  /** Marks a result as taken back. Null where it was already. */
  withdraw(id: string, withdrawal: Withdrawal): Promise<Assessment | null>;
  /** How far a follower of the chart has come; null = not begun. */
  readCursor(name: string): Promise<string | null>;
  writeCursor(name: string, value: string): Promise<void>;
  /** How many have not ended. */
  countOpen(): Promise<number>;
  /** Median time that the latest completed ones took once their turn had come and every image was there, ms; null before the first. */
  usualMs(): Promise<number | null>;
  /** Calls back with every later state of one assessment, until the returned function is called. */
  watch(id: string, listener: (assessment: Assessment) => void): () => void;
}

export interface AssessmentWork {
  /** Makes the work durable: from here on it is done, even if the process is killed. */
  submit(assessment: Assessment): Promise<void>;
  /** Ends an assessment as cancelled and stops its work. Null where it had ended otherwise or does not exist. */
  cancel(id: string): Promise<Assessment | null>;
  health(signal: AbortSignal): Promise<SystemHealth>;
}
