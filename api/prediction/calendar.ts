/**
 * Dates and times as charts and scanners state them: often partial, sometimes without a time zone. A partial date is the
 * range of instants it may mean; comparisons are then certain, impossible or undecided, and never rest on a guess.
 */

/** Earliest and latest instant a date or time may mean, ms since 1970. `zoned`: whether it carried a time zone. */
export interface TimeRange {
  readonly earliest: number;
  readonly latest: number;
  readonly zoned: boolean;
}

/** A calendar date range as comparable numbers YYYYMMDD. */
export interface DateRange {
  readonly earliest: number;
  readonly latest: number;
}

const FHIR_DATE_TIME =
  /^(\d{4})(?:-(\d{2})(?:-(\d{2})(?:T(\d{2}):(\d{2})(?::(\d{2})(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?)?)?$/;

/**
 * Reads a FHIR date or dateTime (YYYY, YYYY-MM, YYYY-MM-DD, YYYY-MM-DDThh:mm[:ss][zone]), or the same made from DICOM.
 *
 * @param zoneOfOther time zone such as "+01:00" to read a time without one in
 * @returns undefined for anything else
 */
export function parseTime(text: string, zoneOfOther = 'Z'): TimeRange | undefined {
  const match = FHIR_DATE_TIME.exec(text.trim());
  const days = match === null ? undefined : dateRange(match[1], match[2], match[3]);
  if (match === null || days === undefined) return undefined;
  const zone = match[8] ?? zoneOfOther;
  if (match[4] === undefined) {
    return {
      earliest: Date.parse(`${isoDay(days.earliest)}T00:00:00${zone}`),
      latest: Date.parse(`${isoDay(days.latest)}T23:59:59${zone}`),
      zoned: false,
    };
  }
  const instant = Date.parse(
    `${isoDay(days.earliest)}T${match[4]}:${match[5]}:${match[6] ?? '00'}${match[7] ?? ''}${zone}`,
  );
  return Number.isNaN(instant) ? undefined : { earliest: instant, latest: instant, zoned: match[8] !== undefined };
}

/** The time zone a FHIR dateTime carries ("Z", "+01:00"), if any. */
export function zoneOf(text: string): string | undefined {
  return FHIR_DATE_TIME.exec(text.trim())?.[8];
}

/** Whether a chart's text is a FHIR date or dateTime; R4 forbids a time without zone. */
export function isDateTime(text: string | undefined): text is string {
  const time = text === undefined ? undefined : parseTime(text);
  return time !== undefined && (time.zoned || !text?.includes('T'));
}

/**
 * Whether `later` is certainly after `earlier`, both as isDateTime takes them. A day is one of the clock that the other time is
 * stated in. UTC is no clock of a hospital: beside it, a day may be one of any time zone.
 */
export function isAfter(later: string, earlier: string): boolean {
  const clock = zoneOf(later) ?? zoneOf(earlier);
  const [firstZone, lastZone] = clock === 'Z' ? ['+14:00', '-12:00'] : [clock, clock];
  return parseTime(later, firstZone)!.earliest > parseTime(earlier, lastZone)!.latest;
}

/** Reads the day of a birth date or a scan: FHIR (partial allowed) or DICOM (YYYYMMDD), without regard to time zones. */
export function parseDay(text: string): DateRange | undefined {
  const dicom = /^(\d{4})(\d{2})(\d{2})$/.exec(text.trim());
  const match = dicom ?? FHIR_DATE_TIME.exec(text.trim());
  return match === null ? undefined : dateRange(match[1], match[2], match[3]);
}

/** Completed years from a birth date to a day: the fewest and the most they can be. */
export function yearsBetween(birth: DateRange, day: DateRange): { readonly fewest: number; readonly most: number } {
  const completed = (from: number, to: number): number => Math.floor((to - from) / 10_000);
  return { fewest: completed(birth.latest, day.earliest), most: completed(birth.earliest, day.latest) };
}

function dateRange(year: string, month?: string, day?: string): DateRange | undefined {
  const earliest = Number(`${year}${month ?? '01'}${day ?? '01'}`);
  const lastDay = new Date(Date.UTC(Number(year), Number(month ?? '12'), 0)).getUTCDate();
  const latest = Number(`${year}${month ?? '12'}${day ?? String(lastDay).padStart(2, '0')}`);
  const exists = [earliest, latest].every((value) => {
    const date = new Date(`${isoDay(value)}T00:00:00Z`);
    return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(isoDay(value));
  });
  return exists ? { earliest, latest } : undefined;
}

function isoDay(day: number): string {
  const digits = String(day).padStart(8, '0');
  return `${digits.slice(0, 4)}-${digits.slice(4, 6)}-${digits.slice(6)}`;
}
