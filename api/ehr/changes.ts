/** What changed in the chart since a moment, as far as our results may depend on it (search parameter _lastUpdated). */
import type { ChartChanges } from '../assessment/ports.ts';
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
