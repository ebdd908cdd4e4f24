/**
 * What a hospital's integration does when images arrive: the study appears in the chart, under its patient, with the address of
 * the PACS that holds it. Repeating it changes nothing; a study that has grown is updated.
 */
import type { WithId } from '@medplum/core';
import type { Endpoint, ImagingStudy, Patient } from '@medplum/fhirtypes';
import { findByIdentifier, putIfChanged, readIfExists } from './chart.ts';
import type { DicomInstance } from './dicom-attributes.ts';
import { digest, studyIdentifier, studyInstanceUid, toImagingStudy, toPatient } from './dicom-to-fhir.ts';
import type { SandboxRepository } from './fhir/repository.ts';

/** What the chart already knows of a study before its images come. */
export interface ExpectedStudy {
  /** ImagingStudy id */
  readonly id: string;
  /** "Encounter/<id>" */
  readonly encounter?: string;
}

/**
 * Creates or completes Patient, Endpoint and ImagingStudy for a study, in one transaction.
 *
 * The patient is the one whose identifier equals Patient ID and its issuer; what the chart says of a patient is completed, never
 * replaced. A study that is already filed stays with its patient and keeps its withdrawal: conflicts are for people to solve.
 *
 * @param instances all instances of the study in the DICOM JSON Model, at least one
 * @returns "ImagingStudy/<id>"
 */
export async function linkStudy(
  repository: SandboxRepository,
  instances: readonly DicomInstance[],
  endpoint: WithId<Endpoint>,
  expected?: ExpectedStudy,
): Promise<string> {
  const [first] = instances;
  const uid = studyInstanceUid(first);
  return repository.withTransaction(async (chart) => {
    await putIfChanged(chart, endpoint);
    const filed = await findByIdentifier<ImagingStudy>(chart, 'ImagingStudy', studyIdentifier(uid));
    const id = filed?.id ?? studyId(uid, expected);
    const existing = filed ?? (await readIfExists<ImagingStudy>(chart, 'ImagingStudy', id));
    const patient = filed?.subject.reference ?? (await filePatient(chart, first));
    const study = toImagingStudy(instances, { id, patient, endpoint: `Endpoint/${endpoint.id}` });
    await putIfChanged(chart, {
      ...existing,
      ...study,
      ...(isWithdrawn(existing) && { status: existing?.status ?? study.status }),
      ...(expected?.encounter !== undefined && { encounter: { reference: expected.encounter } }),
    });
    return `ImagingStudy/${id}`;
  });
}

/** Id under which a study is filed when the chart does not have it yet. */
export function studyId(studyInstanceUid: string, expected?: ExpectedStudy): string {
  return expected?.id ?? `study-${digest(studyInstanceUid)}`;
}

function isWithdrawn(study: ImagingStudy | undefined): boolean {
  return study?.status === 'entered-in-error' || study?.status === 'cancelled';
}

/** Finds, completes or creates the patient of an instance. */
async function filePatient(chart: SandboxRepository, instance: DicomInstance): Promise<string> {
  const stated = toPatient(instance);
  const identifier = stated.identifier?.[0];
  const existing =
    identifier === undefined
      ? await readIfExists<Patient>(chart, 'Patient', stated.id)
      : await findByIdentifier<Patient>(chart, 'Patient', identifier);
  const patient = existing === undefined ? stated : { ...stated, ...existing };
  await putIfChanged(chart, patient);
  return `Patient/${patient.id}`;
}
