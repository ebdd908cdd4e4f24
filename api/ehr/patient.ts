/** The subject of a study. */
import type { Patient } from '@medplum/fhirtypes';
import type { StudyRecord } from '../assessment/ports.ts';
import { NotFoundError, UpstreamError } from '../errors.ts';
import { assertForm } from './faults.ts';
import type { FhirConnection } from './fhir-connection.ts';
import { localReference } from './ids.ts';

/** A chart merges records once or twice; more hops are a loop. */
const MAX_HOPS = 5;

type Subject = Pick<StudyRecord, 'patientReference' | 'mergedPatientReferences' | 'patient'>;

/**
 * Reads a Patient. Where the chart has merged it into another (Patient.link replaced-by, or replaces at the other) the surviving record is the subject,
 * and the identifiers of all of them count, because the images may carry an old one.
 * Throws UpstreamError `ehr-patient-unreadable` when a record named by the study does not exist, `ehr-patient-links-endless`,
 * `ehr-patient-links-ambiguous`.
 */
export async function readSubject(
  patientId: string,
  connection: FhirConnection,
  signal: AbortSignal,
): Promise<Subject> {
  const records: Patient[] = [];
  let id: string | undefined = patientId;
  while (id !== undefined) {
    if (records.length > MAX_HOPS || records.some((record) => record.id === id)) {
      throw new UpstreamError('ehr-patient-links-endless', 'The replaced-by links of the patient record do not end.');
    }
    const record: Patient = await readPatient(id, connection, signal);
    records.push(record);
    id = replacedBy(record, connection.baseUrl) ?? (await replacedElsewhere(record, connection, signal));
  }
  const survivor = records[records.length - 1];
  const merged = records.slice(0, -1).map((record) => `Patient/${record.id}`);
  return {
    patientReference: `Patient/${survivor.id}`,
    ...(merged.length > 0 && { mergedPatientReferences: merged }),
    patient: {
      identifiers: records.flatMap(identifiersOf),
      ...(survivor.birthDate !== undefined && { birthDate: survivor.birthDate }),
      ...(isSex(survivor.gender) && { sex: survivor.gender }),
    },
  };
}

async function readPatient(id: string, connection: FhirConnection, signal: AbortSignal): Promise<Patient> {
  try {
    const patient = await connection.read('Patient', id, signal);
    assertForm(patient);
    return patient;
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error;
    throw new UpstreamError('ehr-patient-unreadable', 'The patient record that the study names cannot be read.');
  }
}

function replacedBy(patient: Patient, baseUrl: string): string | undefined {
  const link = patient.link?.find(({ type }) => type === 'replaced-by');
  if (link === undefined) return undefined;
  const reference = localReference(link.other?.reference, 'Patient', baseUrl);
  if (reference === undefined) {
    throw new UpstreamError(
      'ehr-patient-unreadable',
      'The patient record was replaced by one that is not a Patient of this EHR.',
    );
  }
  return reference.slice('Patient/'.length);
}

/**
 * Some charts say it at the survivor only (link.type "replaces"). Looked up for records that are not active; that alone means
 * nothing: who has died or not been seen for long is inactive too (http://hl7.org/fhir/R4/patient-definitions.html#Patient.active).
 */
async function replacedElsewhere(
  { id = '', active }: Patient,
  connection: FhirConnection,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (active !== false) return undefined;
  const own = `Patient/${id}`;
  const linked = await connection.search('Patient', { link: own }, signal).catch((error: unknown) => {
    if (error instanceof UpstreamError && error.code === 'ehr-rejected') return []; // a chart that cannot be asked
    throw error;
  });
  const survivors = linked.filter(({ link }) =>
    (link ?? []).some(
      ({ type, other }) =>
        type === 'replaces' && localReference(other?.reference, 'Patient', connection.baseUrl) === own,
    ),
  );
  if (survivors.length > 1) {
    throw new UpstreamError(
      'ehr-patient-links-ambiguous',
      'More than one patient record says that it replaces this one.',
    );
  }
  return survivors.at(0)?.id;
}

function identifiersOf(patient: Patient): { system?: string; value: string }[] {
  return (patient.identifier ?? []).flatMap(({ system, value }) =>
    value === undefined || value === '' ? [] : [{ ...(system !== undefined && { system }), value }],
  );
}

function isSex(gender: unknown): gender is 'male' | 'female' | 'other' | 'unknown' {
  return gender === 'male' || gender === 'female' || gender === 'other' || gender === 'unknown';
}
