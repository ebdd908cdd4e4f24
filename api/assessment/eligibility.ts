/** Which studies are assessed without anyone asking: the first plain head CT after a thrombectomy, and no other. */
import { NotFoundError, InvalidRequestError } from '../errors.ts';
import type { StudyPlan } from './plan-study.ts';
import type { Ehr, StudyReference } from './ports.ts';

export type Eligibility = 'eligible' | 'not-eligible' | 'still-arriving';

export interface EligibilityParts {
  readonly ehr: Pick<Ehr, 'readStudy' | 'listStudies'>;
  readonly planStudy: (reference: StudyReference, signal: AbortSignal) => Promise<StudyPlan>;
}

/**
 * Eligible: a thrombectomy in the chart ended at most 72 h before the study began (ehr/thrombectomy.ts), a series of the study
 * would be read, and no earlier study after that thrombectomy is one that would be. Throws UpstreamError, TransientError.
 */
export async function judgeEligibility(
  reference: StudyReference,
  { ehr, planStudy }: EligibilityParts,
  signal: AbortSignal,
): Promise<Eligibility> {
  // Most studies of a hospital end here, without their images being listed.
  const study = await orNothing(ehr.readStudy(reference, signal));
  const { thrombectomy, startedAt, patientReference = '' } = study ?? {};
  if (thrombectomy === undefined || startedAt === undefined) return 'not-eligible';
  const plan = await orNothing(planStudy(reference, signal));
  if (plan === undefined) return 'not-eligible';
  if (!plan.complete) return 'still-arriving';
  if (plan.refusal !== null) return 'not-eligible';
  const { endedAt = '' } = thrombectomy;
  const earlier = (await ehr.listStudies(patientReference, signal)).filter(({ startedAt: start = '' }) => {
    const precedesProcedure = start.includes('T') && Date.parse(start) < Date.parse(endedAt);
    return Date.parse(start) < Date.parse(startedAt) && !precedesProcedure;
  });
  for (const { reference: other } of earlier) {
    const before = await orNothing(planStudy(other, signal));
    if (before?.study.thrombectomy?.reference !== thrombectomy.reference) continue;
    if (!before.complete) return 'still-arriving';
    if (before.refusal === null) return 'not-eligible';
  }
  return 'eligible';
}

/** A study that was withdrawn or is gone makes nothing eligible. */
async function orNothing<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof NotFoundError || error instanceof InvalidRequestError) return undefined;
    throw error;
  }
}
