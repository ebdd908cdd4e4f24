/** Whether a written result still stands on the chart and the images it was made from. */
import { InvalidRequestError, NotFoundError } from '../errors.ts';
import type { Assessment, AssessmentBasis } from './assessment.ts';
import type { Ehr, Pacs, StudyRecord } from './ports.ts';

/** Why a result no longer stands; the words are what a clinician reads in the chart. */
export const WITHDRAWALS = {
  'study-withdrawn': 'The ImagingStudy was cancelled or entered in error.',
  'study-deleted': 'The ImagingStudy is no longer in the chart.',
  'study-corrected': 'The ImagingStudy now names other images.',
  'images-corrected': 'Images that were read for the forecast were removed from the study, or replaced.',
  'patient-changed': 'The images are now filed under another patient: they were moved, or records were merged.',
  'procedure-withdrawn': 'The thrombectomy that the forecast counts from is no longer in the chart as completed.',
  'procedure-corrected':
    'The chart now names another thrombectomy, or another time of it, than the forecast counts from.',
} as const;

export type WithdrawalCode = keyof typeof WITHDRAWALS;

export interface Withdrawal {
  readonly code: WithdrawalCode;
  readonly message: string;
  /** When the service took the result back. */
  readonly at: string;
}

/** A forecast of 72 h is not taken back because its beginning was noted more exactly. ms */
export const TOLERATED_CORRECTION_MS = 3_600_000;

/**
 * Reads the chart again; null where the result stands on it. Throws UpstreamError, TransientError, CancelledError: a chart that cannot be
 * read takes nothing back.
 */
export async function findWithdrawal(
  assessment: Pick<Assessment, 'study' | 'studyInstanceUid' | 'patientReference' | 'flags' | 'basis'>,
  ehr: Pick<Ehr, 'readStudy'>,
  signal: AbortSignal,
): Promise<WithdrawalCode | null> {
  let study: StudyRecord;
  try {
    study = await ehr.readStudy(assessment.study, signal);
  } catch (error) {
    if (error instanceof NotFoundError && error.code === 'study-not-found') return 'study-deleted';
    if (error instanceof InvalidRequestError) {
      // Without a study UID or a patient of this chart it is no longer the entry that was assessed.
      return error.code === 'study-withdrawn' ? 'study-withdrawn' : 'study-corrected';
    }
    throw error;
  }
  if (study.patientReference !== assessment.patientReference) return 'patient-changed';
  if (study.studyInstanceUid !== assessment.studyInstanceUid) return 'study-corrected';
  return findProcedureChange(study, assessment.basis, assessment.flags);
}

function findProcedureChange(
  { thrombectomy: now }: Pick<StudyRecord, 'thrombectomy'>,
  basis: AssessmentBasis | null,
  flags: Assessment['flags'],
): WithdrawalCode | null {
  const hadProcedure = basis ? basis.thrombectomy !== null : !flags.some(({ code }) => code === 'procedure-unknown');
  if (!hadProcedure) return null;
  if (now === undefined) return 'procedure-withdrawn';
  const before = basis?.thrombectomy;
  if (before == null) return null;
  const isSame = now.reference === before.reference;
  // Counted from the CT, and it says so: knowing the end by now makes that no less true.
  if (before.endedAt === null) return isSame ? null : 'procedure-corrected';
  const movedMs = Math.abs(Date.parse(now.endedAt ?? '') - Date.parse(before.endedAt));
  return movedMs <= TOLERATED_CORRECTION_MS ? null : 'procedure-corrected';
}

/**
 * Whether the PACS lists the study without an image that was read. One that does not list the study at all may have moved it elsewhere:
 * that says nothing about its images. Throws as `findWithdrawal` does.
 */
export async function lacksImages(
  { study, basis }: Pick<Assessment, 'study' | 'basis'>,
  { ehr, pacs }: { readonly ehr: Pick<Ehr, 'readStudy'>; readonly pacs: Pick<Pacs, 'listInstances'> },
  signal: AbortSignal,
): Promise<boolean> {
  if (basis === null) return false;
  const { studyInstanceUid, dicomwebAddresses } = await ehr.readStudy(study, signal);
  try {
    const listed = await pacs.listInstances(studyInstanceUid, dicomwebAddresses, signal);
    const present = new Set(listed.map((header) => header.sopInstanceUid));
    return present.size > 0 && basis.sopInstanceUids.some((uid) => !present.has(uid));
  } catch (error) {
    if (error instanceof NotFoundError) return false;
    throw error;
  }
}
