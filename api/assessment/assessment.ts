/** The assessment as it is kept: one row, from the accepted request to its end. */
import { HemocastError, InvalidRequestError } from '../errors.ts';
import type { Flag, Prediction } from '../prediction/prediction.ts';
import type { Refusal } from '../prediction/refusals.ts';
import type { ModelIdentity, StudyReference, WrittenResources } from './ports.ts';
import type { Withdrawal } from './withdrawal.ts';

export type AssessmentStatus = 'created' | 'active' | 'completed' | 'refused' | 'failed' | 'cancelled';

export type AssessmentStage =
  'waiting-for-instances' | 'choosing-series' | 'retrieving' | 'reading-scan' | 'writing-back';

/** Progress from which on the chart may hold parts of the result; it never goes back within an attempt. */
export const WRITING_BEGINS_AT = 0.85;

export interface Assessment {
  /** UUID v4. */
  readonly id: string;
  readonly status: AssessmentStatus;
  readonly stage: AssessmentStage | null;
  /** 0..1 */
  readonly progress: number;
  /** 1 for the first assessment of a content, +1 for each forced one. */
  readonly revision: number;
  /** How often the work was begun again after failed, refused or cancelled; starts at 1. */
  readonly attempt: number;
  readonly study: StudyReference;
  readonly studyInstanceUid: string;
  readonly patientReference: string;
  /** See content-key.ts; null until every announced instance has arrived. */
  readonly contentKey: string | null;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly prediction: Prediction | null;
  readonly flags: readonly Flag[];
  readonly refusal: Refusal | null;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly resources: WrittenResources | null;
  /** What a completed result rests on; null in those that were kept before it was. */
  readonly basis: AssessmentBasis | null;
  /** Set where the result was taken back: its resources are entered in error. */
  readonly withdrawal: Withdrawal | null;
  /** Id of the assessment this revision supersedes. */
  readonly supersedes: string | null;
  readonly model: ModelIdentity;
  readonly executionProvider: string | null;
  /** ms per stage */
  readonly timings: Readonly<Record<string, number>>;
}

/** What the chart and the PACS held when the result was made: a result stands as long as they still do (withdrawal.ts). */
export interface AssessmentBasis {
  readonly seriesInstanceUid: string;
  /** The slices that were read, inferior to superior. */
  readonly sopInstanceUids: readonly string[];
  /** What the 72 h are counted from; null where the chart held no thrombectomy before the study. `endedAt`: null where only a day is known. */
  readonly thrombectomy: { readonly reference: string; readonly endedAt: string | null } | null;
}

export const FINAL_STATUSES: readonly AssessmentStatus[] = ['completed', 'refused', 'failed', 'cancelled'];

export function hasEnded(assessment: { readonly status: AssessmentStatus }): boolean {
  return FINAL_STATUSES.includes(assessment.status);
}

/** Parses "ImagingStudy/<id>" (FHIR id: 1-64 of A-Z a-z 0-9 - .). Throws InvalidRequestError. */
export function parseStudyReference(text: string): StudyReference {
  const match = /^ImagingStudy\/([A-Za-z0-9\-.]{1,64})$/.exec(text);
  if (match === null || match[1] === '.' || match[1] === '..') {
    throw new InvalidRequestError(
      'study-reference-invalid',
      'Name the study as a relative reference: "ImagingStudy/<id>".',
    );
  }
  return { resourceType: 'ImagingStudy', id: match[1] };
}

export function formatStudyReference(reference: StudyReference): string {
  return `${reference.resourceType}/${reference.id}`;
}

/** Not every announced instance has arrived yet: the work waits and looks again, it has not failed. */
export class StudyIncompleteError extends HemocastError {
  constructor(present: number, expected: number | undefined) {
    super('study-incomplete', 'The PACS does not hold every instance of the study yet.', {
      status: 503,
      issueType: 'transient',
      details: { present, expected: expected ?? null },
    });
  }
}
