/** What there is to say about a patient, from our records and from the chart. The chart has the last word on what still stands. */
import type { Assessment } from '../assessment/assessment.ts';
import type { Refusal } from '../prediction/refusals.ts';
import { hasEnded as windowHasEnded } from './chart-forecasts.ts';
import type { ChartForecast } from './chart-forecasts.ts';
import { toForecast } from './forecast.ts';
import type { Forecast } from './forecast.ts';
import type { ForecastCt } from './forecast-ct.ts';

export type PatientState =
  | {
      readonly kind: 'result';
      readonly forecast: Forecast;
      readonly windowEnd: string | null;
      /** Undefined where it is not known whether a newer CT is in the chart. */
      readonly ct?: ForecastCt;
    }
  | { readonly kind: 'pending'; readonly study: string; readonly waitsForImages: boolean }
  | { readonly kind: 'refused'; readonly study: string; readonly refusal: Refusal }
  | { readonly kind: 'failed'; readonly study: string }
  /** An eligible study that nobody has asked for yet. */
  | { readonly kind: 'unassessed'; readonly study: string }
  /** It was asked for, and not even begun: the records know nothing of it. */
  | { readonly kind: 'not-begun'; readonly study: string; readonly fault: BeginFault }
  | { readonly kind: 'none' }
  /** The chart could not be asked whether the result still stands. */
  | { readonly kind: 'unknown' };

/** Why an assessment could not be begun; null where the fault is none of the named ones (api/errors.ts). */
export type BeginFault = { readonly code: string; readonly message: string } | null;

export interface Evidence {
  /** Of this patient, newest first. */
  readonly assessments: readonly Assessment[];
  /** Our forecasts in the chart, newest first; null where the chart could not be read. */
  readonly chart: readonly ChartForecast[] | null;
  /** Whether `chart` is all there is; if not, what is absent from it may still exist. */
  readonly chartIsWhole: boolean;
  /** "ImagingStudy/<id>" of the initial CT after the latest thrombectomy, where that could be found out. */
  readonly eligible: string | undefined;
  readonly now: Date;
  /** False in the sandbox, whose simulated patients stay where they were in time. */
  readonly windowEnds: boolean;
}

/** A procedure's CT may be 72 h after it, and the forecast is about 72 h: what is older than both is about no time to come. */
const LONGEST_WINDOW_MS = 2 * 72 * 3_600_000;

const NONE: PatientState = { kind: 'none' };

export function choosePatientState(evidence: Evidence): PatientState {
  const { assessments, chart, eligible } = evidence;
  const study = eligible ?? (assessments[0] && studyOf(assessments[0])) ?? chart?.[0]?.study;
  if (study === undefined) return chart === null ? { kind: 'unknown' } : NONE;
  const own = assessments.filter((assessment) => studyOf(assessment) === study && !isTooOld(assessment, evidence));
  const inChart = chart?.filter((forecast) => forecast.study === study) ?? [];

  const ended = own.find(({ status }) => status === 'completed' || status === 'refused');
  if (ended?.status === 'refused' && ended.refusal !== null) return { kind: 'refused', study, refusal: ended.refusal };
  const standing = ended === undefined ? chartResult(inChart, evidence) : ownResult(ended, inChart, evidence);
  if (standing !== undefined) return standing;
  const underWay = own.find(({ status }) => status === 'created' || status === 'active');
  if (underWay !== undefined) {
    return { kind: 'pending', study, waitsForImages: underWay.stage === 'waiting-for-instances' };
  }
  if (own[0]?.status === 'failed') return { kind: 'failed', study };
  if (own.length > 0 || inChart.length > 0) return NONE;
  if (chart === null) return { kind: 'unknown' };
  return study === eligible ? { kind: 'unassessed', study } : NONE;
}

/** A completed assessment, as far as the chart still holds its result and nothing newer; undefined = taken back, superseded away. */
function ownResult(
  assessment: Assessment,
  inChart: readonly ChartForecast[],
  evidence: Evidence,
): PatientState | undefined {
  const forecast = toForecast(assessment);
  if (forecast === null) return undefined;
  // Of our own results the records know which is the newest; only one that they do not know pushes it aside.
  const others = inChart.filter(
    ({ reference }) => !reference.startsWith('Observation/') || reference === forecast.reference,
  );
  const place = others.findIndex(({ reference }) => reference === forecast.reference);
  if (place > 0) return chartResult(others, evidence); // another process of ours has written since
  if (place < 0) return evidence.chart === null || !evidence.chartIsWhole ? { kind: 'unknown' } : undefined;
  const [filed] = others;
  if (!filed.isCurrent) return undefined;
  if (evidence.windowEnds && windowHasEnded(filed, evidence.now)) return NONE;
  return { kind: 'result', forecast, windowEnd: filed.windowEnd };
}

/** The newest result in the chart, and no older one in its place when that was taken back. */
function chartResult([newest]: readonly ChartForecast[], { windowEnds, now }: Evidence): PatientState | undefined {
  if (newest === undefined || newest.forecast === null) return undefined;
  if (windowEnds && windowHasEnded(newest, now)) return NONE;
  return { kind: 'result', forecast: newest.forecast, windowEnd: newest.windowEnd };
}

function studyOf({ study }: Assessment): string {
  return `ImagingStudy/${study.id}`;
}

/** Whether neither its CT nor its forecast can be about a time to come. */
export function isTooOld(
  { createdAt }: Assessment,
  { windowEnds, now }: Pick<Evidence, 'windowEnds' | 'now'>,
): boolean {
  return windowEnds && Date.parse(createdAt) < now.getTime() - LONGEST_WINDOW_MS;
}
