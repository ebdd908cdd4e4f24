/** When the CT that a forecast rests on began, and whether a newer one is known to be in the chart: no more than its times tell. */
import type { ImagingStudy } from '@medplum/fhirtypes';
import { isAfter, isDateTime, parseTime, zoneOf } from '../prediction/calendar.ts';

/** FHIR dateTimes as the chart states them (ImagingStudy.started). */
export interface ForecastCt {
  readonly startedAt: string;
  /** Of the newest CT that certainly began later; null where there is none. */
  readonly newerStartedAt: string | null;
}

/** ImagingStudies of one patient; not whole: there may be others. */
export interface StudyList {
  readonly resources: readonly ImagingStudy[];
  readonly isWhole: boolean;
}

/** Undefined where the time of the forecast's own CT or the patient's other CTs are not known. */
export function toForecastCt(
  own: ImagingStudy | null | undefined,
  list: StudyList | undefined,
): ForecastCt | undefined {
  const startedAt = own ? dateTimeOf(own) : undefined;
  if (startedAt === undefined || list === undefined) return undefined;
  const [newest] = list.resources
    .filter(isAcquiredCt)
    .flatMap((study) => dateTimeOf(study) ?? [])
    .filter((dateTime) => isAfter(dateTime, startedAt))
    .sort((a, b) => earliest(b, startedAt) - earliest(a, startedAt));
  if (newest === undefined && !list.isWhole) return undefined;
  return { startedAt, newerStartedAt: newest ?? null };
}

function dateTimeOf({ started }: ImagingStudy): string | undefined {
  return isDateTime(started) ? started : undefined;
}

/** A series that a model made is no CT, nor is a study a CT for its sake. */
function isAcquiredCt({ status, modality = [], series = [] }: ImagingStudy): boolean {
  if (status === 'entered-in-error' || status === 'cancelled') return false;
  const acquired = series.filter(({ description = '' }) => !/^AI-GENERATED/i.test(description));
  const hasCtSeries = acquired.some((one) => one.modality?.code === 'CT');
  return hasCtSeries || (acquired.length === series.length && modality.some(({ code }) => code === 'CT'));
}

function earliest(dateTime: string, beside: string): number {
  return parseTime(dateTime, zoneOf(beside))!.earliest;
}
