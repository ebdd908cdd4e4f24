/** Whether a written result still stands on the chart it was made from. */
import { InvalidRequestError, NotFoundError } from '../errors.ts';
import type { Assessment } from './assessment.ts';
import type { Ehr } from './ports.ts';

/** Why a result no longer stands; the words are what a clinician reads in the chart. */
export const WITHDRAWALS = {
  'study-withdrawn': 'The ImagingStudy was cancelled or entered in error.',
  'study-deleted': 'The ImagingStudy is no longer in the chart.',
  'study-corrected': 'The ImagingStudy now names other images.',
  'patient-changed': 'The images are now filed under another patient: they were moved, or records were merged.',
  'procedure-withdrawn': 'The thrombectomy that the forecast counts from is no longer in the chart as completed.',
} as const;

export type WithdrawalCode = keyof typeof WITHDRAWALS;

export interface Withdrawal {
  readonly code: WithdrawalCode;
  readonly message: string;
  /** When the service took the result back. */
  readonly at: string;
}

/**
 * Reads the chart again; null where the result stands. Throws UpstreamError, TransientError, CancelledError: a chart that cannot
 * be read takes nothing back.
 */
export async function findWithdrawal(
  assessment: Pick<Assessment, 'study' | 'studyInstanceUid' | 'patientReference' | 'flags'>,
  ehr: Pick<Ehr, 'readStudy'>,
  signal: AbortSignal,
): Promise<WithdrawalCode | null> {
  try {
    const study = await ehr.readStudy(assessment.study, signal);
    if (study.patientReference !== assessment.patientReference) return 'patient-changed';
    if (study.studyInstanceUid !== assessment.studyInstanceUid) return 'study-corrected';
    const hadProcedure = !assessment.flags.some(({ code }) => code === 'procedure-unknown');
    return hadProcedure && study.thrombectomy === undefined ? 'procedure-withdrawn' : null;
  } catch (error) {
    if (error instanceof NotFoundError && error.code === 'study-not-found') return 'study-deleted';
    if (error instanceof InvalidRequestError) {
      // Without a study UID or a patient of this chart it is no longer the entry that was assessed.
      return error.code === 'study-withdrawn' ? 'study-withdrawn' : 'study-corrected';
    }
    throw error;
  }
}
