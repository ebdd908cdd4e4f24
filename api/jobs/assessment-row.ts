/** Rows of hemocast.assessments and the assessments they hold. */
import type { Assessment } from '../assessment/assessment.ts';
import { DISCLAIMER } from '../prediction/prediction.ts';

/** An assessment with what only the queue counts; never shown. */
export interface KeptAssessment extends Assessment {
  /** When this attempt first found instances missing. */
  readonly waitingSince: string | null;
  readonly looks: number;
  readonly retries: number;
  readonly interruptions: number;
}

export interface AssessmentRow {
  readonly sequence: string;
  readonly id: string;
  readonly status: Assessment['status'];
  readonly stage: Assessment['stage'];
  readonly progress: number;
  readonly revision: number;
  readonly attempt: number;
  readonly study_id: string;
  readonly study_instance_uid: string;
  readonly patient_reference: string;
  readonly content_key: string | null;
  readonly created_at: Date;
  readonly updated_at: Date;
  readonly prediction: Assessment['prediction'];
  readonly flags: Assessment['flags'];
  readonly refusal: Assessment['refusal'];
  readonly error: Assessment['error'];
  readonly resources: Assessment['resources'];
  readonly basis: Assessment['basis'];
  readonly withdrawal: Assessment['withdrawal'];
  readonly supersedes: string | null;
  readonly model: Omit<Assessment['model'], 'disclaimer'> & { readonly disclaimer?: string };
  readonly execution_provider: string | null;
  readonly timings: Assessment['timings'];
  readonly waiting_since: Date | null;
  readonly looks: number;
  readonly retries: number;
  readonly interruptions: number;
}

/** Every column, in words that both databases answer alike (a bigint comes as text from one and as a number from the other). */
export const COLUMNS = `sequence::text, id, status, stage, progress, revision, attempt, study_id, study_instance_uid, patient_reference,
  content_key, created_at, updated_at, prediction, flags, refusal, error, resources, basis, withdrawal, supersedes, model, execution_provider, timings,
  waiting_since, looks, retries, interruptions`;

export function toAssessment(row: AssessmentRow): KeptAssessment {
  return {
    id: row.id,
    status: row.status,
    stage: row.stage,
    progress: row.progress,
    revision: row.revision,
    attempt: row.attempt,
    study: { resourceType: 'ImagingStudy', id: row.study_id },
    studyInstanceUid: row.study_instance_uid,
    patientReference: row.patient_reference,
    contentKey: row.content_key,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
    prediction: row.prediction,
    flags: row.flags,
    refusal: row.refusal,
    error: row.error,
    resources: row.resources,
    basis: row.basis,
    withdrawal: row.withdrawal,
    supersedes: row.supersedes,
    // Kept before labels were: only the shipped networks existed then.
    model: { ...row.model, disclaimer: row.model.disclaimer ?? DISCLAIMER },
    executionProvider: row.execution_provider,
    timings: row.timings,
    waitingSince: row.waiting_since?.toISOString() ?? null,
    looks: row.looks,
    retries: row.retries,
    interruptions: row.interruptions,
  };
}
