/** The patient's CT studies, newest first. */
import type { ImagingStudy } from '@medplum/fhirtypes';
import { isAfter, isDateTime } from '../../../api/prediction/calendar.ts';
import { conceptText, dateTimeText, isResource, listOf, textOf, timeOf } from './fhir-text.ts';
import { localReference } from './forecast.ts';
import type { Forecast } from './forecast.ts';

export interface Study {
  readonly reference: string;
  readonly startedAt: string | undefined;
  readonly description: string;
  /** Without "urn:oid:". */
  readonly studyInstanceUid: string | undefined;
}

/** A study in the words of the chart. */
export function studyWords({ description, startedAt }: Study): string {
  return `“${description}”, ${dateTimeText(startedAt) ?? 'time not stated'}`;
}

/** The patient's studies as last read. */
export interface StudyList {
  readonly studies: readonly Study[] | undefined;
  /** Every imaging study of the patient that was not taken back, CT or not coded as one. */
  readonly standing: readonly string[] | undefined;
  /** When the reading of `standing` began; undefined before the first. */
  readonly readAt: number | undefined;
  /** Why they could not be read now, in words; `studies` are then those of an earlier look, or unknown. */
  readonly problem: string | undefined;
}

/** Whether a list that was read since the forecast was first seen leaves out its CT. One of a merged record it need not name. */
export function lacksCtOf(
  { studyReference, isOfMergedRecord }: Pick<Forecast, 'studyReference' | 'isOfMergedRecord'>,
  { standing, readAt }: Pick<StudyList, 'standing' | 'readAt'>,
  firstSeen: number,
): boolean {
  if (isOfMergedRecord || studyReference === undefined || standing === undefined) return false;
  return readAt !== undefined && readAt >= firstSeen && !standing.includes(studyReference);
}

export function toStandingReferences(values: readonly unknown[], patientReference: string): readonly string[] {
  return standingOf(values, patientReference).map(({ id }) => `ImagingStudy/${id}`);
}

function standingOf(values: readonly unknown[], patientReference: string): readonly ImagingStudy[] {
  return values
    .filter((value) => isResource<ImagingStudy>(value, 'ImagingStudy'))
    .filter((study) => localReference(study.subject?.reference) === patientReference)
    .filter((study) => !['entered-in-error', 'cancelled'].includes(study.status ?? ''));
}

export function toStudies(values: readonly unknown[], patientReference: string): readonly Study[] {
  return standingOf(values, patientReference)
    .filter(isCt)
    .map((study) => ({
      reference: `ImagingStudy/${study.id}`,
      startedAt: textOf(study.started),
      description: textOf(study.description) ?? conceptText(listOf(study.procedureCode)[0]) ?? 'CT study',
      studyInstanceUid: textOf(
        listOf(study.identifier).find(({ system }) => system === 'urn:dicom:uid')?.value,
      )?.replace('urn:oid:', ''),
    }))
    .sort((a, b) => (timeOf(b.startedAt) || 0) - (timeOf(a.startedAt) || 0));
}

function isCt(study: ImagingStudy): boolean {
  const modalities = [...listOf(study.modality), ...listOf(study.series).map(({ modality }) => modality)];
  return modalities.some((modality) => modality?.code === 'CT');
}

/** A CT certainly begun after the one the forecast rests on, as the cards judge it; undefined where times do not tell. */
export function newerThan(studies: readonly Study[], reference: string | undefined): Study | undefined {
  const rested = studies.find((study) => study.reference === reference)?.startedAt;
  if (!isDateTime(rested)) return undefined;
  return studies.find(({ startedAt }) => isDateTime(startedAt) && isAfter(startedAt, rested));
}
