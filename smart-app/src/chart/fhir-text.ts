/** Reading FHIR that someone else wrote: every field may be missing or of another kind. Strings stay text, never markup. */
import type { CodeableConcept, Resource } from '@medplum/fhirtypes';

export function isResource<T extends Resource>(value: unknown, resourceType: T['resourceType']): value is T {
  return (value as Resource | null)?.resourceType === resourceType && typeof (value as Resource).id === 'string';
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value.trim() !== '' ? value.trim() : undefined;
}

export function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

export function listOf<T>(value: readonly T[] | undefined): readonly T[] {
  return Array.isArray(value) ? value.filter((item) => item !== null && typeof item === 'object') : [];
}

export function conceptText(concept: CodeableConcept | undefined): string | undefined {
  return textOf(concept?.text) ?? textOf(listOf(concept?.coding)[0]?.display);
}

export function hasCode(concept: CodeableConcept | undefined, code: string): boolean {
  return listOf(concept?.coding).some(
    (coding) => coding.code === code && textOf(coding.system)?.startsWith(NAMESPACE) === true,
  );
}

/** Codes of the service's own (api/ehr/codes.ts). */
export const NAMESPACE = 'https://hemocast.example/fhir/';

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const DATE_TIME = /^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::\d\d(?:\.\d+)?)?(Z|[+-]\d\d:\d\d))?)?)?$/;

/**
 * A FHIR dateTime on the clock it was written with, zone stated: "10 Mar 2026, 01:05 (UTC+01:00)". The hospital's clock is
 * the one on its walls; a reader elsewhere sees which one it is.
 */
export function dateTimeText(value: unknown): string | undefined {
  const [, year, month, day, hour, minute, zone] = DATE_TIME.exec(textOf(value) ?? '') ?? [];
  if (year === undefined) return undefined;
  const date = [day && String(Number(day)), month && MONTHS[Number(month) - 1], year].filter(Boolean).join(' ');
  if (hour === undefined) return date;
  return `${date}, ${hour}:${minute} (${zone === 'Z' ? 'UTC' : `UTC${zone}`})`;
}

/** Milliseconds for sorting; NaN for what is no date. */
export function timeOf(value: unknown): number {
  return Date.parse(textOf(value) ?? '');
}
