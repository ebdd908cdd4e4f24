/** When the CT that a forecast rests on began, and whether a newer one is known to be in the chart: no more than its times tell. */
import type { ImagingStudy } from '@medplum/fhirtypes';
import { parseTime, zoneOf } from '../prediction/calendar.ts';

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
    .filter((dateTime) => beganAfter(dateTime, startedAt))
    .sort((a, b) => earliest(b, startedAt) - earliest(a, startedAt));
  if (newest === undefined && !list.isWhole) return undefined;
  return { startedAt, newerStartedAt: newest ?? null };
}

/** R4 forbids a time without zone. */
function dateTimeOf({ started }: ImagingStudy): string | undefined {
  const time = started === undefined ? undefined : parseTime(started);
  return time !== undefined && (time.zoned || !started?.includes('T')) ? started : undefined;
}

/** A series that a model made is no CT, nor is a study a CT for its sake. */
function isAcquiredCt({ status, modality = [], series = [] }: ImagingStudy): boolean {
  if (status === 'entered-in-error' || status === 'cancelled') return false;
  const acquired = series.filter(({ description = '' }) => !/^AI-GENERATED/i.test(description));
  const hasCtSeries = acquired.some((one) => one.modality?.code === 'CT');
  return hasCtSeries || (acquired.length === series.length && modality.some(({ code }) => code === 'CT'));
}

/**
 * A day is one of the clock that the other time is stated in. UTC is no clock of a hospital: beside it, a day may be one of any
 * time zone.
 */
function beganAfter(later: string, earlier: string): boolean {
  const clock = zoneOf(later) ?? zoneOf(earlier);
  const [firstZone, lastZone] = clock === 'Z' ? ['+14:00', '-12:00'] : [clock, clock];
  return parseTime(later, firstZone)!.earliest > parseTime(earlier, lastZone)!.latest;
}

function earliest(dateTime: string, beside: string): number {
  return parseTime(dateTime, zoneOf(beside))!.earliest;
}
