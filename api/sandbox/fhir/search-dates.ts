/**
 * Dates in searches are ranges of time: "2026-11" is the whole month. Comparison follows
 * http://hl7.org/fhir/R4/search.html#date; times without a zone are taken as UTC.
 */
import type { Period, Timing } from '@medplum/fhirtypes';

/** Half-open range, ms since 1970: start <= t < end. */
export interface TimeRange {
  readonly start: number;
  readonly end: number;
}

const pattern = /^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d)?)?)?)?$/;

const secondMs = 1_000;
const minuteMs = 60_000;

/** The range that a FHIR date, dateTime or instant covers by its precision (1 ms at the finest); undefined if malformed. */
export function toTimeRange(text: string): TimeRange | undefined {
  const match = pattern.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => (part ? Number(part) : undefined));
  const [fraction, zone] = match.slice(7, 9);
  if (year === undefined) return undefined;
  if (month === undefined) return { start: Date.UTC(year), end: Date.UTC(year + 1) };
  if (day === undefined) return { start: Date.UTC(year, month - 1), end: Date.UTC(year, month) };
  if (hour === undefined) return { start: Date.UTC(year, month - 1, day), end: Date.UTC(year, month - 1, day + 1) };
  const local = Date.UTC(year, month - 1, day, hour, minute, second ?? 0);
  const ms = fraction === undefined ? 0 : Math.floor(Number(`0.${fraction}`) * secondMs);
  const start = local + ms - offsetMs(zone);
  const precisionMs = fraction !== undefined ? 1 : second !== undefined ? secondMs : minuteMs;
  return { start, end: start + precisionMs };
}

function offsetMs(zone: string | undefined): number {
  if (zone === undefined || zone === 'Z') return 0;
  const [hours, minutes] = zone.slice(1).split(':').map(Number);
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes) * minuteMs;
}

/** The range of an element: a date or instant, a Period (open ends are infinite), or the events of a Timing. */
export function elementRange(value: unknown): TimeRange | undefined {
  if (typeof value === 'string') return toTimeRange(value);
  if (typeof value !== 'object' || value === null) return undefined;
  const events = (value as Timing).event?.map(toTimeRange).filter((range) => range !== undefined);
  if (events !== undefined && events.length > 0) {
    return { start: Math.min(...events.map(({ start }) => start)), end: Math.max(...events.map(({ end }) => end)) };
  }
  const { start, end } = value as Period;
  if (start === undefined && end === undefined) return undefined;
  return {
    start: (start === undefined ? undefined : toTimeRange(start)?.start) ?? -Infinity,
    end: (end === undefined ? undefined : toTimeRange(end)?.end) ?? Infinity,
  };
}

/** Whether `element` stands in the relation `prefix` to `wanted`. */
export function compareRanges(element: TimeRange, prefix: string, wanted: TimeRange): boolean {
  const within = wanted.start <= element.start && element.end <= wanted.end;
  switch (prefix) {
    case 'eq':
      return within;
    case 'ne':
      return !within;
    case 'gt':
      return element.end > wanted.end;
    case 'ge':
      return element.end > wanted.end || within;
    case 'lt':
      return element.start < wanted.start;
    case 'le':
      return element.start < wanted.start || within;
    case 'sa':
      return element.start >= wanted.end;
    case 'eb':
      return element.end <= wanted.start;
    case 'ap':
      return element.start < wanted.end && wanted.start < element.end;
    default:
      return false;
  }
}
