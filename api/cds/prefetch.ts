/**
 * What the chart says, as the CDS client sent it along (CDS Hooks 2.0.1, "Providing FHIR Resources to a CDS Service"). Every
 * resource is data from outside: it counts only where its patient is the hook's.
 */
import type { Bundle, OperationOutcome, Resource } from '@medplum/fhirtypes';
import { isWellFormed } from '../fhir-form.ts';

/**
 * - `known`: all there is, possibly nothing.
 * - `partial`: a page of it, a bundle that says something went wrong, or one with what is no R4 in it; the rest has to be asked for.
 * - `missing`: the client did not satisfy the template.
 * - `refused`: the client tried and says why it could not (OperationOutcome); asking again is what it wants to avoid.
 */
export type PrefetchState = 'known' | 'partial' | 'missing' | 'refused';

export interface Prefetched<R extends Resource = Resource> {
  readonly state: PrefetchState;
  readonly resources: readonly R[];
}

/**
 * Reads one prefetch key of a search template. `null` means that the chart holds nothing (a key that cannot be satisfied is
 * left out instead). What has another form than a searchset counts as missing.
 */
export function readPrefetch<K extends Resource['resourceType']>(
  prefetch: Readonly<Record<string, unknown>> | undefined,
  key: string,
  resourceType: K,
): Prefetched<Extract<Resource, { resourceType: K }>> {
  type R = Extract<Resource, { resourceType: K }>;
  const none = (state: PrefetchState): Prefetched<R> => ({ state, resources: [] });
  if (prefetch === undefined || !Object.hasOwn(prefetch, key)) return none('missing');
  const value = prefetch[key];
  if (value === null) return none('known');
  if (!isResource(value)) return none('missing');
  if (value.resourceType === 'OperationOutcome') return none('refused');
  // A client may answer a search that found one resource with the resource itself.
  if (value.resourceType === resourceType) {
    return isWellFormed(value) ? { state: 'known', resources: [value as R] } : none('missing');
  }
  if (value.resourceType !== 'Bundle') return none('missing');

  const { entry, link } = value as Bundle;
  const entries = Array.isArray(entry) ? entry.map((one) => one?.resource).filter(isResource) : [];
  const failed = entries.some((one) => one.resourceType === 'OperationOutcome' && hasError(one));
  const paged = Array.isArray(link) && link.some((one) => one?.relation === 'next');
  return {
    state: failed || paged || !entries.every(isWellFormed) ? 'partial' : 'known',
    resources: entries.filter((one): one is R => one.resourceType === resourceType && isWellFormed(one)),
  };
}

function isResource(value: unknown): value is Resource {
  return typeof value === 'object' && value !== null && typeof (value as Resource).resourceType === 'string';
}

function hasError({ issue }: OperationOutcome): boolean {
  return !Array.isArray(issue) || issue.some(({ severity }) => severity === 'error' || severity === 'fatal');
}
