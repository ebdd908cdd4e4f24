/**
 * FHIR dateTime arithmetic (http://hl7.org/fhir/R4/datatypes.html#dateTime): YYYY, YYYY-MM, YYYY-MM-DD or a time with seconds
 * and a zone offset. A value keeps the precision it was given with: nothing is filled in.
 */
const FULL = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2})(:\d{2})?(\.\d+)?(Z|[+-]\d{2}:\d{2})$/;
const DATE = /^\d{4}-\d{2}-\d{2}$/;
const HOUR_MS = 3_600_000;

/** Whether YYYY-MM-DD is a day of the calendar: Date.parse takes 31 February for 3 March. */
function isDay(date: string): boolean {
  const time = DATE.test(date) ? Date.parse(date) : Number.NaN;
  return !Number.isNaN(time) && new Date(time).toISOString().slice(0, 10) === date;
}

/** Whether the value names an instant: a time of day with its zone offset. */
export function isInstant(value: string | undefined): boolean {
  return value !== undefined && FULL.test(value) && isDay(value.slice(0, 10)) && !Number.isNaN(Date.parse(value));
}

/**
 * A value that may be written as a FHIR dateTime: an instant as it is, of a time without zone only its date (R4 forbids a time
 * without zone, and the zone is not ours to guess). Undefined when there is not even a date.
 */
export function toDateTime(value: string | undefined): string | undefined {
  const instant = isInstant(value) ? FULL.exec(value ?? '') : null;
  if (instant !== null) {
    const [, minutes, seconds = ':00', fraction = '', zone] = instant;
    return `${minutes}${seconds}${fraction}${zone}`;
  }
  const date = value?.slice(0, 10);
  return date !== undefined && isDay(date) ? date : undefined;
}

/** The instant or date `hours` later, in the same precision and zone offset. For a date, `hours` is a multiple of 24. */
export function hoursAfter(value: string, hours: number): string {
  if (DATE.test(value)) return new Date(Date.parse(value) + hours * HOUR_MS).toISOString().slice(0, 10);
  const zone = FULL.exec(value)?.[4] ?? 'Z';
  const offsetMs =
    zone === 'Z' ? 0 : Number(`${zone[0]}1`) * (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4))) * 60_000;
  const local = new Date(Date.parse(value) + hours * HOUR_MS + offsetMs).toISOString().slice(0, 19);
  return `${local}${zone}`;
}

/** First and last millisecond a value may mean, or undefined when it cannot be placed in time. Dates span all zones. */
export function timeSpan(
  value: string | undefined,
): { readonly earliest: number; readonly latest: number } | undefined {
  if (value === undefined) return undefined;
  if (isInstant(value)) return { earliest: Date.parse(value), latest: Date.parse(value) };
  if (!isDay(value)) return undefined;
  return { earliest: Date.parse(value) - 14 * HOUR_MS, latest: Date.parse(value) + 36 * HOUR_MS };
}
