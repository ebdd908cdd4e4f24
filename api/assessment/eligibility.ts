/** Which studies are assessed without anyone asking: the first plain head CT after a thrombectomy, and no other. */
import { HemocastError, InvalidRequestError, NotFoundError } from '../errors.ts';
import type { StudyPlan } from './plan-study.ts';
import type { Ehr, StudyRecord, StudyReference } from './ports.ts';

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
  const { thrombectomy, startedAt } = study ?? {};
  if (thrombectomy === undefined || startedAt === undefined) return 'not-eligible';
  const plan = await orNothing(planStudy(reference, signal));
  if (plan === undefined) return 'not-eligible';
  if (!plan.complete) return 'still-arriving';
  if (plan.refusal !== null) return 'not-eligible';
  const earlier = await findEarlierCt(plan.study, { ehr, planStudy }, signal);
  return earlier === 'none' ? 'eligible' : earlier === 'found' ? 'not-eligible' : 'still-arriving';
}

/**
 * Whether the chart shows that this study is the first CT after its thrombectomy; true where it knows of no thrombectomy. What an
 * EHR or a PACS does not tell of another study is no reason to fail.
 */
export async function isFirstCt(study: StudyRecord, parts: EligibilityParts, signal: AbortSignal): Promise<boolean> {
  try {
    return (await findEarlierCt(study, parts, signal)) === 'none';
  } catch (error) {
    if (signal.aborted || !(error instanceof HemocastError)) throw error;
    return false;
  }
}

/** A study that would be read and began after the thrombectomy of this one and before it. */
async function findEarlierCt(
  { thrombectomy, startedAt, patientReference }: StudyRecord,
  { ehr, planStudy }: EligibilityParts,
  signal: AbortSignal,
): Promise<'none' | 'found' | 'still-arriving'> {
  if (thrombectomy === undefined || startedAt === undefined) return 'none';
  const { endedAt = '' } = thrombectomy;
  const earlier = (await ehr.listStudies(patientReference, signal)).filter(({ startedAt: start = '' }) => {
    const precedesProcedure = start.includes('T') && Date.parse(start) < Date.parse(endedAt);
    return Date.parse(start) < Date.parse(startedAt) && !precedesProcedure;
  });
  for (const { reference: other } of earlier) {
    const before = await orNothing(planStudy(other, signal));
    if (before?.study.thrombectomy?.reference !== thrombectomy.reference) continue;
    if (!before.complete) return 'still-arriving';
    if (before.refusal === null) return 'found';
  }
  return 'none';
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
