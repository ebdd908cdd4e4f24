/** Which thrombectomy a CT belongs to. */
import type { Procedure } from '@medplum/fhirtypes';
import type { StudyRecord } from '../assessment/ports.ts';
import { isThrombectomy } from './codes.ts';
import { isInstant, timeSpan } from './date-time.ts';

/** A CT later than this after the procedure is not its initial CT. */
const LONGEST_INTERVAL_MS = 72 * 3_600_000;

/**
 * The completed thrombectomy nearest before the start of the study, at most 72 h before it. A time known only to the day counts
 * when it may lie in that interval. A procedure or study without any date matches nothing: order is never assumed.
 * `endedAt` is set only where the chart states an instant: performedPeriod.end or performedDateTime.
 */
export function nearestThrombectomy(
  procedures: readonly Procedure[],
  studyStartedAt: string | undefined,
): StudyRecord['thrombectomy'] {
  const study = timeSpan(studyStartedAt);
  if (study === undefined) return undefined;
  return procedures
    .filter(({ id, status, code }) => id !== undefined && status === 'completed' && isThrombectomy(code))
    .map((procedure) => ({ procedure, performed: timeSpan(lastTime(procedure)) }))
    .filter(
      ({ performed }) =>
        performed !== undefined &&
        performed.earliest <= study.latest &&
        performed.latest >= study.earliest - LONGEST_INTERVAL_MS,
    )
    .sort((a, b) => (b.performed?.earliest ?? 0) - (a.performed?.earliest ?? 0))
    .map(({ procedure }) => {
      const endedAt = procedure.performedPeriod?.end ?? procedure.performedDateTime;
      return { reference: `Procedure/${procedure.id}`, ...(isInstant(endedAt) && { endedAt }) };
    })[0];
}

function lastTime({ performedPeriod, performedDateTime }: Procedure): string | undefined {
  return performedPeriod?.end ?? performedDateTime ?? performedPeriod?.start;
}
