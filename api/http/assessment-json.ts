import type { Assessment } from '../assessment/assessment.ts';
import { formatStudyReference, hasEnded } from '../assessment/assessment.ts';
import type { OperationMode } from '../assessment/operation.ts';
import type { Caller } from '../authorization/caller.ts';
import type { components } from '../generated/openapi.d.ts';

export type AssessmentJson = components['schemas']['Assessment'];

/** The assessment as openapi.yaml shows it: every property present, null where there is nothing to say to this caller. `mode`: what the service does now. */
export function toAssessmentJson(assessment: Assessment, caller: Caller, mode: OperationMode): AssessmentJson {
  const { id, status, stage, progress, revision, createdAt, updatedAt, refusal, error, supersedes, executionProvider } =
    assessment;
  const { name, version, sha256, disclaimer } = assessment.model;
  return {
    id,
    status,
    stage,
    progress: Number(progress.toFixed(2)),
    paused: mode === 'paused' && !hasEnded(assessment),
    revision,
    imagingStudy: formatStudyReference(assessment.study),
    patient: assessment.patientReference,
    createdAt,
    updatedAt,
    prediction: isHiddenFrom(caller, assessment) ? null : assessment.prediction,
    flags: [...assessment.flags],
    refusal: refusal === null ? null : { ...refusal, details: { ...refusal.details } },
    error,
    resources: toResourcesJson(assessment.resources),
    basis: toBasisJson(assessment.basis),
    withdrawal: assessment.withdrawal,
    supersedes,
    model: { name, version, sha256 },
    executionProvider,
    timings: { ...assessment.timings },
    disclaimer,
  };
}

/** A result of shadow operation is for those who compare it later, not for the clinician at the chart. */
export function isHiddenFrom({ kind }: Caller, { status, resources }: Assessment): boolean {
  return kind === 'user' && status === 'completed' && resources === null;
}

function toBasisJson(basis: Assessment['basis']): AssessmentJson['basis'] {
  return basis === null ? null : { ...basis, sopInstanceUids: [...basis.sopInstanceUids] };
}

function toResourcesJson(resources: Assessment['resources']): AssessmentJson['resources'] {
  return resources === null
    ? null
    : { ...resources, media: [...resources.media], observations: [...resources.observations] };
}
