/** Searches of the chart: what changed since a moment (search parameter _lastUpdated), and what studies a patient has. */
import type { ChartChanges, Ehr } from '../assessment/ports.ts';
import type { FhirConnection } from './fhir-connection.ts';
import { localReference } from './ids.ts';

/**
 * Studies, and patients whose own record or procedures changed. `since` is an instant of the EHR's clock; what changed at that
 * very moment is named again. Throws UpstreamError, TransientError, CancelledError.
 */
export async function findChanges(
  since: string,
  connection: FhirConnection,
  signal: AbortSignal,
): Promise<ChartChanges> {
  const changed = { _lastUpdated: `ge${since}` };
  const [studies, patients, procedures] = await Promise.all([
    connection.search('ImagingStudy', changed, signal),
    connection.search('Patient', changed, signal),
    connection.search('Procedure', changed, signal),
  ]);
  const patientReferences = [
    ...patients.map(({ id }) => `Patient/${id}`),
    ...procedures.map(({ subject }) => localReference(subject?.reference, 'Patient', connection.baseUrl)),
  ].filter((reference) => reference !== undefined);
  const newest = [...studies, ...patients, ...procedures]
    .map(({ meta }) => meta?.lastUpdated)
    .filter((time) => time !== undefined)
    .sort((a, b) => Date.parse(a) - Date.parse(b))
    .at(-1);
  return {
    studies: studies.map(({ id = '' }) => ({ resourceType: 'ImagingStudy', id })),
    patients: [...new Set(patientReferences)],
    until: newest ?? since,
  };
}

/** Studies of a patient that were not withdrawn, oldest first. Throws UpstreamError, TransientError, CancelledError. */
export async function listStudies(
  patientReference: string,
  connection: FhirConnection,
  signal: AbortSignal,
): ReturnType<Ehr['listStudies']> {
  const studies = await connection.search('ImagingStudy', { patient: patientReference }, signal);
  return studies
    .filter(({ status }) => status !== 'entered-in-error' && status !== 'cancelled')
    .map(({ id = '', started }) => ({
      reference: { resourceType: 'ImagingStudy' as const, id },
      ...(started !== undefined && { startedAt: started }),
    }))
    .sort((a, b) => (a.startedAt ?? '').localeCompare(b.startedAt ?? ''));
}
