/**
 * One search of a chart within a hook's deadline, with the token a CDS client lent for its FHIR server or with our own
 * credential for our own EHR. Not fhir-kit-client: it would carry one client's token in an object that outlives the call.
 */
import type { Bundle, Resource } from '@medplum/fhirtypes';
import type { Egress } from '../egress/egress.ts';
import { UpstreamError } from '../errors.ts';
import { relativeNextLink } from './next-page.ts';

export interface ChartSearchTarget {
  /** FHIR base URL, registered with egress. */
  readonly baseUrl: string;
  /** Lent for this base alone; without it egress presents the base's own credential. */
  readonly accessToken?: string;
}

/** Pages read: a hook has no time for more, and an unread page may hold what matters. */
const MOST_PAGES = 3;
const MAX_BYTES = 4 * 2 ** 20;
/** Severities of an OperationOutcome with which a search is not answered. */
const FAULTS: ReadonlySet<string> = new Set(['error', 'fatal']);

/**
 * Every match. Throws UpstreamError (refused, not FHIR, `ehr-search-too-long`, `ehr-search-incomplete`), TransientError, EgressRefusedError,
 * CancelledError; never with the token in it.
 */
export async function searchChart(
  {
    resourceType,
    parameters,
  }: { readonly resourceType: string; readonly parameters: Readonly<Record<string, string>> },
  { baseUrl, accessToken }: ChartSearchTarget,
  egress: Pick<Egress, 'fetch' | 'fetchWith'>,
  signal: AbortSignal,
): Promise<readonly Resource[]> {
  const init = { headers: { accept: 'application/fhir+json' }, signal };
  const limits = { maxBytes: MAX_BYTES };
  const get = (url: string): Promise<Response> =>
    accessToken === undefined
      ? egress.fetch(url, init, limits)
      : egress.fetchWith({ baseUrl, authorization: `Bearer ${accessToken}` }, url, init, limits);

  const found: Resource[] = [];
  let next: string | undefined = `/${resourceType}?${new URLSearchParams(parameters).toString()}`;
  for (let page = 0; next !== undefined; page++) {
    if (page === MOST_PAGES)
      throw new UpstreamError('ehr-search-too-long', 'The search has more pages than a hook reads.');
    const bundle: Bundle = await readBundle(await get(`${baseUrl}${next}`), page);
    for (const { resource, search } of bundle.entry ?? []) {
      if (resource?.resourceType === 'OperationOutcome' && resource.issue?.some(({ severity }) => FAULTS.has(severity)))
        throw new UpstreamError('ehr-search-incomplete', 'The EHR says of its answer that it is not whole.');
      if (resource?.resourceType === resourceType && (search?.mode ?? 'match') === 'match') found.push(resource);
    }
    next = relativeNextLink(bundle, baseUrl);
  }
  return found;
}

async function readBundle(response: Response, page: number): Promise<Bundle> {
  if (!response.ok) {
    await response.body?.cancel();
    throw new UpstreamError('ehr-search-refused', 'The EHR did not answer the search of a hook.', {
      status: response.status,
      page,
    });
  }
  const text = await response.text();
  try {
    const bundle = JSON.parse(text) as Bundle | null;
    if (bundle?.resourceType === 'Bundle' && (bundle.entry === undefined || Array.isArray(bundle.entry))) return bundle;
  } catch {
    // said below
  }
  throw new UpstreamError('ehr-answer-malformed', 'The EHR answered a search with something that is no FHIR Bundle.');
}
