/** How answers leave: FHIR JSON, version headers, Prefer, content negotiation (http://hl7.org/fhir/R4/http.html). */
import type { Request, Response } from 'express';
import type { Bundle, OperationOutcome, Resource } from '@medplum/fhirtypes';
import { failure, statusOf, toOutcome } from './outcome.ts';

export const fhirJson = 'application/fhir+json';

const jsonFormats: ReadonlySet<string> = new Set([fhirJson, 'application/json', 'text/json', 'json']);
const acceptable: ReadonlySet<string> = new Set([
  fhirJson,
  'application/json',
  'text/json',
  'application/*',
  '*/*',
  'text/*',
]);

/** FHIR base URL as the caller sees it, without trailing slash. */
export function baseUrlOf(request: Request): string {
  return `${request.protocol}://${request.get('host') ?? 'localhost'}${request.baseUrl}`;
}

/** Media types of the Accept header that are not excluded by q=0, without parameters. */
export function acceptedTypes(request: Request): string[] {
  return (request.get('accept') ?? '*/*')
    .split(',')
    .filter((range) => !/;\s*q=0(\.0*)?\s*(;|$)/i.test(range))
    .map((range) => range.split(';')[0].trim().toLowerCase());
}

/** The format asked for by `_format`, which overrides Accept. */
export function formatParameter(request: Request): string | undefined {
  const { _format: format } = request.query;
  // An unescaped "+" in a query means a space.
  return typeof format === 'string' ? format.replace(' ', '+').split(';')[0].toLowerCase() : undefined;
}

/** Throws 406 where the caller accepts no JSON. */
export function assertAcceptable(request: Request): void {
  const format = formatParameter(request);
  const fits =
    format === undefined ? acceptedTypes(request).some((type) => acceptable.has(type)) : jsonFormats.has(format);
  if (!fits) throw failure('not-acceptable', 'not-supported', `This server answers in ${fhirJson} only.`);
}

/**
 * Answers a successful interaction. Writes carry Location and follow `Prefer: return=minimal|OperationOutcome|representation`;
 * reads answer 304 where If-None-Match names the current version.
 */
export function sendResource(
  request: Request,
  response: Response,
  status: number,
  resource: Resource,
  outcome: OperationOutcome,
): void {
  setVersionHeaders(response, resource);
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  if (isRead && isUnchanged(request, resource)) {
    response.status(304).end();
    return;
  }
  const isWrite = !isRead && resource.resourceType !== 'Bundle';
  if (isWrite && (status === 201 || request.method === 'PUT')) {
    const { resourceType, id, meta } = resource;
    response.set('Location', `${baseUrlOf(request)}/${resourceType}/${id}/_history/${meta?.versionId}`);
  }
  const preference = /return=(\w+)/.exec(isWrite ? (request.get('prefer') ?? '') : '')?.[1];
  if (preference === 'minimal') response.status(status).end();
  else
    sendJson(
      response,
      status,
      preference === 'OperationOutcome' ? outcome : completeUrls(resource, baseUrlOf(request)),
    );
}

export function setVersionHeaders(response: Response, { meta }: Resource): void {
  if (meta?.versionId !== undefined) response.set('ETag', `W/"${meta.versionId}"`);
  if (meta?.lastUpdated !== undefined) response.set('Last-Modified', new Date(meta.lastUpdated).toUTCString());
}

export function isUnchanged(request: Request, { meta }: Resource): boolean {
  const known = request.get('if-none-match');
  return known !== undefined && meta?.versionId !== undefined && known.includes(`"${meta.versionId}"`);
}

/** Answers any failure as an OperationOutcome; unexpected errors become a bare 500. */
export function sendFailure(response: Response, error: unknown): void {
  const { id, ...outcome } = toOutcome(error);
  sendJson(response, statusOf({ id, ...outcome }), outcome);
}

export function sendJson(response: Response, status: number, resource: Resource): void {
  const body = Buffer.from(JSON.stringify(resource));
  // Not send(): it would add an ETag of the body, and here an ETag means the version of a resource.
  response.status(status).set({ 'Content-Type': `${fhirJson}; charset=utf-8`, 'Content-Length': String(body.length) });
  response.end(body);
}

/** Makes links and fullUrls of a search, history or batch result absolute, as this caller can follow them. */
function completeUrls(resource: Resource, baseUrl: string): Resource {
  if (resource.resourceType !== 'Bundle') return resource;
  const bundle: Bundle = { ...resource };
  if (bundle.link !== undefined) bundle.link = bundle.link.map((link) => ({ ...link, url: `${baseUrl}/${link.url}` }));
  bundle.entry = bundle.entry?.map((entry) => {
    const inner = entry.resource;
    if (inner === undefined) return entry;
    if (inner.id === undefined) return { ...entry, resource: completeUrls(inner, baseUrl) };
    return { ...entry, fullUrl: `${baseUrl}/${inner.resourceType}/${inner.id}`, resource: inner };
  });
  return bundle;
}
