/** Who the screen is about. */
import type { Patient } from '@medplum/fhirtypes';
import { dateTimeText, isResource, listOf, textOf } from './fhir-text.ts';

export interface PatientSummary {
  readonly name: string;
  readonly sex: string;
  readonly birthDate: string | undefined;
  readonly ageYears: number | undefined;
  readonly recordNumber: string | undefined;
  readonly deceased: boolean;
}

/** Undefined where this is another patient than the launch's, or none. */
export function toPatientSummary(value: unknown, patientReference: string, today: Date): PatientSummary | undefined {
  if (!isResource<Patient>(value, 'Patient') || `Patient/${value.id}` !== patientReference) return undefined;
  const names = listOf(value.name);
  const name = names.find(({ use }) => use === 'official') ?? names.find(({ use }) => use !== 'old') ?? names[0];
  const given = Array.isArray(name?.given) ? name.given.map(textOf).filter(Boolean).join(' ') : '';
  const identifiers = listOf(value.identifier);
  const isRecordNumber = (identifier: (typeof identifiers)[number]): boolean =>
    listOf(identifier.type?.coding).some(({ code }) => code === 'MR');
  const recordNumber = textOf((identifiers.find(isRecordNumber) ?? identifiers[0])?.value);
  return {
    name:
      [textOf(name?.family)?.toUpperCase(), given].filter(Boolean).join(', ') ||
      textOf(name?.text) ||
      'Name not stated',
    sex: textOf(value.gender) ?? 'sex not stated',
    birthDate: dateTimeText(value.birthDate),
    ageYears: ageOf(textOf(value.birthDate), today),
    recordNumber,
    deceased: value.deceasedBoolean === true || textOf(value.deceasedDateTime) !== undefined,
  };
}

/** Completed years; undefined for a partial date. */
export function ageOf(birthDate: string | undefined, today: Date): number | undefined {
  const [, year, month, day] = /^(\d{4})-(\d\d)-(\d\d)$/.exec(birthDate ?? '')?.map(Number) ?? [];
  if (year === undefined) return undefined;
  const [m, d] = [today.getMonth() + 1, today.getDate()];
  const hadBirthday = m > month || (m === month && d >= day);
  return today.getFullYear() - year - (hadBirthday ? 0 : 1);
}
