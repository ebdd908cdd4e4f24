/** From an ImagingStudy and what it refers to, to a StudyRecord (http://hl7.org/fhir/R4/imagingstudy.html). */
import type { Endpoint, ImagingStudy, Procedure } from '@medplum/fhirtypes';
import type { Admit, StudyRecord, StudyReference } from '../assessment/ports.ts';
import { InvalidRequestError, NotFoundError } from '../errors.ts';
import { SYSTEMS } from './codes.ts';
import type { FhirConnection } from './fhir-connection.ts';
import { assertForm } from './faults.ts';
import { localReference } from './ids.ts';
import { readSubject } from './patient.ts';
import { nearestThrombectomy } from './thrombectomy.ts';

/** A study names one or two endpoints; more are not looked up. */
const MAX_ENDPOINTS = 10;

/** DICOM UID, PS3.5 9.1: up to 64 characters, components without leading zeros. */
const UID = /^(?=.{1,64}$)(0|[1-9]\d*)(\.(0|[1-9]\d*))+$/;

/**
 * Reads the study, its patient, its DICOMweb addresses and the thrombectomy before it.
 * Throws NotFoundError (no such study), InvalidRequestError (`study-withdrawn`, `study-uid-missing`, `study-uid-ambiguous`,
 * `study-subject-unusable`), UpstreamError, TransientError, CancelledError.
 */
export async function readStudy(
  reference: StudyReference,
  connection: FhirConnection,
  signal: AbortSignal,
  admit?: Admit,
): Promise<StudyRecord> {
  const study = await readImagingStudy(reference, connection, signal);
  const readIts = (): ReturnType<typeof readSubject> =>
    readSubject(subjectId(study, connection.baseUrl), connection, signal);
  const admitted = admit && (await readIts());
  if (admitted) admit!(admitted.patientReference);
  assertStands(study); // whatever else is wrong with it: what rests on it is withdrawn
  assertForm(study);
  const studyInstanceUid = studyInstanceUidOf(study);
  const subject = admitted ?? (await readIts());
  const [dicomwebAddresses, procedures] = await Promise.all([
    readDicomwebAddresses(study, connection, signal),
    readProcedures([subject.patientReference, ...(subject.mergedPatientReferences ?? [])], connection, signal),
  ]);
  const encounterReference = localReference(study.encounter?.reference, 'Encounter', connection.baseUrl);
  const thrombectomy = nearestThrombectomy(procedures, study.started);
  return {
    reference,
    studyInstanceUid,
    ...subject,
    ...(encounterReference !== undefined && { encounterReference }),
    status: study.status,
    ...(study.started !== undefined && { startedAt: study.started }),
    ...(study.numberOfInstances !== undefined && { numberOfInstances: study.numberOfInstances }),
    dicomwebAddresses,
    ...(thrombectomy !== undefined && { thrombectomy }),
  };
}

/** Completed procedures of the patient, also those still filed under a record that was merged away. */
async function readProcedures(
  patients: readonly string[],
  connection: FhirConnection,
  signal: AbortSignal,
): Promise<readonly Procedure[]> {
  const found = await Promise.all(
    patients.map((patient) => connection.search('Procedure', { patient, status: 'completed' }, signal)),
  );
  const procedures = found.flat();
  procedures.forEach(assertForm);
  return procedures;
}

async function readImagingStudy(
  reference: StudyReference,
  connection: FhirConnection,
  signal: AbortSignal,
): Promise<ImagingStudy> {
  try {
    return await connection.read('ImagingStudy', reference.id, signal);
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error;
    throw new NotFoundError('study-not-found', 'The EHR has no such ImagingStudy; check the id and the EHR in use.');
  }
}

function assertStands({ status }: ImagingStudy): void {
  if (status !== 'entered-in-error' && status !== 'cancelled') return;
  throw new InvalidRequestError('study-withdrawn', 'The ImagingStudy was withdrawn in the EHR; it is not assessed.', {
    status,
  });
}

/** identifier {system "urn:dicom:uid", value "urn:oid:<StudyInstanceUID>"}; the prefix is left out by some senders. */
function studyInstanceUidOf(study: ImagingStudy): string {
  const values = (study.identifier ?? [])
    .filter(({ system, use }) => system === SYSTEMS.dicomUid && use !== 'old')
    .map(({ value = '' }) => value.replace(/^urn:oid:/, ''));
  const uids = [...new Set(values)];
  if (uids.length > 1) {
    throw new InvalidRequestError(
      'study-uid-ambiguous',
      'The ImagingStudy carries more than one Study Instance UID; correct its identifiers in the EHR.',
      { found: uids.length },
    );
  }
  if (uids.length === 0 || !UID.test(uids[0])) {
    throw new InvalidRequestError(
      'study-uid-missing',
      'The ImagingStudy carries no valid Study Instance UID: it needs an identifier with system "urn:dicom:uid" and value "urn:oid:<uid>".',
    );
  }
  return uids[0];
}

function subjectId(study: ImagingStudy, baseUrl: string): string {
  const stated: unknown = study.subject?.reference;
  const reference = typeof stated === 'string' ? localReference(stated, 'Patient', baseUrl) : undefined;
  if (reference === undefined) {
    throw new InvalidRequestError(
      'study-subject-unusable',
      'The subject of the ImagingStudy is not a Patient of this EHR; results could not be filed.',
    );
  }
  return reference.slice('Patient/'.length);
}

/** Addresses of active DICOM WADO-RS endpoints of the study and its series. Whether one may be dialled is not decided here. */
async function readDicomwebAddresses(
  study: ImagingStudy,
  connection: FhirConnection,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const named = [...(study.endpoint ?? []), ...(study.series ?? []).flatMap((series) => series.endpoint ?? [])];
  const references = [...new Set(named.map(({ reference }) => reference))].slice(0, MAX_ENDPOINTS);
  const endpoints = await Promise.all(
    references.map((reference) => readEndpoint(reference, study, connection, signal)),
  );
  const addresses = endpoints
    .filter((endpoint) => endpoint !== undefined && isActiveWadoRs(endpoint))
    .map((endpoint) => endpoint?.address?.trim() ?? '')
    .filter((address) => address !== '');
  return [...new Set(addresses)];
}

/** An endpoint that cannot be read is as good as none: the configured PACS remains. */
async function readEndpoint(
  reference: string | undefined,
  study: ImagingStudy,
  connection: FhirConnection,
  signal: AbortSignal,
): Promise<Endpoint | undefined> {
  if (reference?.startsWith('#')) {
    const contained = study.contained?.find(({ id }) => id === reference.slice(1));
    if (contained?.resourceType !== 'Endpoint') return undefined;
    assertForm(contained);
    return contained;
  }
  const local = localReference(reference, 'Endpoint', connection.baseUrl);
  if (local === undefined) return undefined;
  try {
    const endpoint = await connection.read('Endpoint', local.slice('Endpoint/'.length), signal);
    assertForm(endpoint);
    return endpoint;
  } catch (error) {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  }
}

function isActiveWadoRs({ status, connectionType }: Endpoint): boolean {
  const { system, code } = connectionType ?? {};
  return (
    status === 'active' &&
    code === 'dicom-wado-rs' &&
    (system === undefined || system === SYSTEMS.endpointConnectionType)
  );
}
