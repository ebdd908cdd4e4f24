/**
 * The FHIR interactions: @medplum/fhir-router's, with what it leaves to the server put right (201 for an update that creates,
 * paging links, type modifiers in searches, atomic transactions) and what is not offered here taken out (system search, GraphQL).
 */
import { allOk, created, parseSearchRequest } from '@medplum/core';
import {
  FhirRouter,
  processBatch,
  updateResourceImpl,
  type FhirRepository,
  type FhirRequest,
  type FhirResponse,
  type FhirRouteHandler,
  type FhirRouteMetadata,
  type HttpMethod,
} from '@medplum/fhir-router';
import type { Bundle, BundleEntry, BundleLink, Resource } from '@medplum/fhirtypes';
import { isServedType } from './definitions.ts';
import { invalid, notFound, notSupported } from './outcome.ts';
import { defaultPageSize, maxPageSize } from './reading-repository.ts';
import { SandboxRepository } from './repository.ts';
import { searchParameter } from './search-match.ts';

type Query = FhirRequest['query'];
type Interaction = FhirRouteMetadata['interaction'];

/** Parameters that steer a search rather than select resources. */
const resultParameters: ReadonlySet<string> = new Set([
  '_sort',
  '_count',
  '_offset',
  '_total',
  '_summary',
  '_include',
  '_revinclude',
]);

/** Builds the router. One instance serves all requests. */
export function createInteractions(): FhirRouter {
  const router = new FhirRouter();
  const { routes } = router.router;
  const offered = routes.filter(
    ({ data }) => data?.interaction !== 'search-system' && data?.interaction !== 'operation',
  );
  for (const route of offered) {
    route.handler = checked(replacement(route.method, route.data?.interaction, route.path.length) ?? route.handler);
  }
  routes.splice(0, routes.length, ...offered);
  return router;
}

/**
 * Carries out one interaction. `request.url` is relative to the FHIR base. Throws OperationOutcomeError for a failed
 * interaction; in a transaction Bundle nothing is changed then.
 */
export async function interact(
  router: FhirRouter,
  request: FhirRequest,
  repository: FhirRepository,
): Promise<FhirResponse> {
  const route = router.find(request.method, request.url);
  if (route === undefined) throw notFound(`${request.method} is not offered at this address.`);
  const { handler, path, params, query } = route;
  return handler({ ...request, pathname: path, params, query: query ?? request.query }, repository, router);
}

function replacement(
  method: HttpMethod,
  interaction: Interaction | undefined,
  segments: number,
): FhirRouteHandler | undefined {
  if (interaction === 'batch') return bundle;
  if (interaction === 'search-type') return method === 'GET' ? searchByGet : searchByPost;
  if (interaction === 'update' && segments === 2) return update;
  return undefined;
}

/** Refuses, before a handler relies on them, bodies that are no JSON object and conditions that cannot be searched for. */
function checked(handler: FhirRouteHandler): FhirRouteHandler {
  return async (request, ...rest) => {
    const { method, body } = request;
    const needsResource = method === 'PUT' || method === 'POST';
    if (needsResource && (typeof body !== 'object' || body === null || Array.isArray(body))) {
      throw invalid('The request needs a FHIR resource as a JSON object in its body.');
    }
    const { resourceType } = request.params;
    const condition = request.headers?.['if-none-exist'];
    if (condition !== undefined) normalize(resourceType, Object.fromEntries(new URLSearchParams(String(condition))));
    const isConditional = method !== 'GET' && method !== 'POST' && request.params.id === undefined;
    const query = isConditional ? normalize(resourceType, request.query) : request.query;
    return handler({ ...request, query }, ...rest);
  };
}

const update: FhirRouteHandler = async (request, repository) => {
  const { resourceType, id } = request.params;
  const ifMatch = /"([^"]+)"/.exec(request.headers?.['if-match'] ?? '')?.[1];
  return repository.withTransaction<FhirResponse>(
    async (transaction) => {
      const existed = transaction instanceof SandboxRepository && transaction.exists(resourceType, id);
      const [outcome, resource] = await updateResourceImpl(
        resourceType as Resource['resourceType'],
        id,
        request.body as Resource,
        transaction,
        { ifMatch },
      );
      if (resource === undefined) return [outcome];
      return [existed ? allOk : created, resource];
    },
    { resourceTypes: [] },
  );
};

/**
 * Batch or transaction (http://hl7.org/fhir/R4/http.html#transaction). A transaction holds the write lock from the resolution of
 * its conditional references to its commit, so that two of them cannot both create what neither found.
 */
const bundle: FhirRouteHandler = async (request, repository, router) => {
  const body = request.body as Bundle;
  if (body.resourceType !== 'Bundle') throw invalid(`Expected a Bundle, found ${String(body.resourceType)}.`);
  const withTransactions = { ...request, config: { ...request.config, transactions: true } };
  if (body.type !== 'transaction')
    return [allOk, describeEntries(await processBatch(withTransactions, repository, router, body))];
  const response = await repository.withTransaction(
    (transaction) => processBatch(withTransactions, transaction, router, body),
    { resourceTypes: [], serializable: true },
  );
  return [allOk, describeEntries(response)];
};

/** Adds what a client needs for its next conditional write: version-specific location, ETag, Last-Modified. */
function describeEntries(response: Bundle): Bundle {
  const entry = response.entry?.map((each): BundleEntry => {
    const { resource } = each;
    const { versionId, lastUpdated } = resource?.meta ?? {};
    if (each.response === undefined || resource?.id === undefined || versionId === undefined) return each;
    const location = `${resource.resourceType}/${resource.id}/_history/${versionId}`;
    return { ...each, response: { ...each.response, location, etag: `W/"${versionId}"`, lastModified: lastUpdated } };
  });
  return { ...response, entry };
}

const searchByGet: FhirRouteHandler = (request, repository) =>
  search(request.params.resourceType, request.query, repository);

const searchByPost: FhirRouteHandler = (request, repository) =>
  search(request.params.resourceType, { ...request.query, ...(request.body as Query) }, repository);

async function search(resourceType: string, query: Query, repository: FhirRepository): Promise<FhirResponse> {
  const normalized = normalize(resourceType, query);
  const request = parseSearchRequest(resourceType as Resource['resourceType'], normalized);
  const offset = wholeNumber(normalized, '_offset', 0);
  const count = Math.min(wholeNumber(normalized, '_count', request.count ?? defaultPageSize), maxPageSize);
  const result = await repository.search({ ...request, offset, count });
  return [allOk, { ...result, link: pageLinks(resourceType, normalized, offset, count, result.total ?? 0) }];
}

/**
 * Checks every key of a search, and spells type modifiers out: `subject:Patient=x` is the same as `subject=Patient/x`
 * (http://hl7.org/fhir/R4/search.html#reference).
 */
function normalize(resourceType: string, query: Query): Query {
  if (!isServedType(resourceType)) throw notFound(`Resource type "${resourceType.slice(0, 64)}" is not served here.`);
  const entries = Object.entries(query).map(([key, value]): [string, Query[string]] => {
    const [code, modifier = ''] = key.split(':');
    if (!resultParameters.has(code)) searchParameter(resourceType, code);
    if (code === '_summary' && value !== 'false' && value !== 'count') {
      throw notSupported('Only _summary=count is supported.');
    }
    if (!/^[A-Z]/.test(modifier)) {
      assertModifier(key, modifier);
      return [key, value];
    }
    const values = [value ?? ''].flat().map((each) => (each.includes('/') ? each : `${modifier}/${each}`));
    return [code, values];
  });
  return Object.fromEntries(entries);
}

const modifiers: ReadonlySet<string> = new Set(['', 'not', 'text', 'missing', 'exact', 'contains', 'iterate']);

function assertModifier(key: string, modifier: string): void {
  if (!modifiers.has(modifier)) throw notSupported(`The search modifier in "${key}" is not supported.`);
}

function wholeNumber(query: Query, key: string, fallback: number): number {
  const text = [query[key]].flat().at(-1);
  if (text === undefined) return fallback;
  if (!/^\d{1,9}$/.test(text)) throw invalid(`${key} must be a whole number.`);
  return Number(text);
}

/** Links relative to the FHIR base; the HTTP layer completes them. */
function pageLinks(resourceType: string, query: Query, offset: number, count: number, total: number): BundleLink[] {
  const link = (relation: string, start: number): BundleLink => {
    const parameters = new URLSearchParams();
    for (const [key, value] of Object.entries(query)) {
      if (key === '_offset' || (key === '_count' && count > 0)) continue;
      for (const each of [value ?? ''].flat()) parameters.append(key, each);
    }
    if (count > 0) parameters.set('_count', String(count));
    if (start > 0) parameters.set('_offset', String(start));
    const text = parameters.toString();
    return { relation, url: text === '' ? resourceType : `${resourceType}?${text}` };
  };
  const links = [link('self', offset)];
  if (count > 0 && offset > 0) links.push(link('previous', Math.max(0, offset - count)));
  if (count > 0 && offset + count < total) links.push(link('next', offset + count));
  return links;
}
