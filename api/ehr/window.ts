/** The 72 hours the forecast is about. */
import type { Period } from '@medplum/fhirtypes';
import type { AssessmentReport } from '../assessment/ports.ts';
import { hoursAfter, isInstant, toDateTime } from './date-time.ts';

/** Hours after the procedure in which a hemorrhage counts as the forecast event. */
export const FORECAST_HOURS = 72;

export interface ForecastWindow {
  /** Undefined when neither the end of the procedure nor the time of the CT is known. */
  readonly period?: Period;
  /** What the hours are counted from, in words for the chart. */
  readonly explanation: string;
}

/** When the initial CT was taken, as a FHIR dateTime: the scanner's time where it names a zone, else the chart's, else a date. */
export function initialCtTime(report: AssessmentReport): string | undefined {
  const candidates = [report.initialCtAt, report.study.startedAt];
  return candidates.find(isInstant) ?? candidates.map(toDateTime).find((value) => value !== undefined);
}

/** The window counts from the end of the thrombectomy, or from the CT where that end is not known. */
export function forecastWindow(report: AssessmentReport): ForecastWindow {
  const { thrombectomy } = report.study;
  if (thrombectomy?.endedAt !== undefined && isInstant(thrombectomy.endedAt)) {
    return {
      period: { start: toDateTime(thrombectomy.endedAt), end: hoursAfter(thrombectomy.endedAt, FORECAST_HOURS) },
      explanation: `The ${FORECAST_HOURS} h window is counted from the end of the thrombectomy (${thrombectomy.reference}).`,
    };
  }
  const start = initialCtTime(report);
  if (start === undefined) {
    return {
      explanation: `The ${FORECAST_HOURS} h window cannot be dated: neither the end of the procedure nor the time of the CT is known.`,
    };
  }
  const why =
    thrombectomy === undefined
      ? 'no thrombectomy was found in the chart'
      : `the end of the thrombectomy (${thrombectomy.reference}) is not known`;
  return {
    period: { start, end: hoursAfter(start, FORECAST_HOURS) },
    explanation: `The ${FORECAST_HOURS} h window is counted from the initial CT, because ${why}.`,
  };
}
