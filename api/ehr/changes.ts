/** Searches of the chart: what changed since a moment (search parameter _lastUpdated), and what studies a patient has. */
import type { ChartChanges, Ehr } from '../assessment/ports.ts';
import { UpstreamError } from '../errors.ts';
import type { FhirConnection } from './fhir-connection.ts';
import { localReference } from './ids.ts';

/** Servers give a change its time before they show it: what came just before the newest is asked for once more. ms */
const OVERLAP_MS = 10_000;
/** A span of time that is not halved any more, ms. */
const SHORTEST_SPAN_MS = 60_000;

/**
 * Studies, and patients whose own record or procedures changed. `since` is an instant of the EHR's clock; what changed at that
 * very moment is named again. Where more changed than a search may have pages (a service that was away for a day), the first part
 * is returned, and `until` is where the next begins. Throws UpstreamError (`ehr-paging-endless` where even a minute is too
 * much), TransientError, CancelledError.
 */
export async function findChanges(
  since: string,
  connection: FhirConnection,
  signal: AbortSignal,
  now: Date = new Date(),
): Promise<ChartChanges> {
  const from = Date.parse(since);
  for (let end: number | undefined; ; end = from + ((end ?? now.getTime()) - from) / 2) {
    try {
      return await findChangesBetween(since, end, connection, signal);
    } catch (error) {
      const isTooMuch = error instanceof UpstreamError && error.code === 'ehr-paging-endless';
      if (!isTooMuch || (end ?? now.getTime()) - from < SHORTEST_SPAN_MS) throw error;
    }
  }
}

async function findChangesBetween(
  since: string,
  end: number | undefined,
  connection: FhirConnection,
  signal: AbortSignal,
): Promise<ChartChanges> {
  const before = end === undefined ? undefined : new Date(end).toISOString();
  const changed: [string, string][] = [['_lastUpdated', `ge${since}`]];
  if (before !== undefined) changed.push(['_lastUpdated', `lt${before}`]);
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
    .map(({ meta }) => Date.parse(meta?.lastUpdated ?? ''))
    .filter((time) => !Number.isNaN(time))
    .reduce((latest, time) => Math.max(latest, time - OVERLAP_MS), Date.parse(since));
  return {
    studies: studies.map(({ id = '' }) => ({ resourceType: 'ImagingStudy', id })),
    patients: [...new Set(patientReferences)],
    until: before ?? new Date(newest).toISOString(),
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
    .sort((a, b) => (Date.parse(a.startedAt ?? '') || 0) - (Date.parse(b.startedAt ?? '') || 0));
}
