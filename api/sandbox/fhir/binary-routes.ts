/**
 * Raw access to Binary (http://hl7.org/fhir/R4/binary.html#rest): any bytes with their own content type, streamed to and from
 * disk and never parsed. The FHIR JSON form of a Binary is streamed as well; writing it goes through the ordinary interactions.
 */
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import { allOk, created, type WithId } from '@medplum/core';
import type { Binary } from '@medplum/fhirtypes';
import { Router, type Request, type Response } from 'express';
import { BlobTooLargeError, type Blob, type BlobStore } from './blob-store.ts';
import { invalid, tooLarge, unsupportedMediaType } from './outcome.ts';
import type { SandboxRepository } from './repository.ts';
import { acceptedTypes, fhirJson, formatParameter, isUnchanged, sendResource, setVersionHeaders } from './responses.ts';

/** Largest raw content, bytes. */
export const maxBinaryBytes = 64 * 1024 * 1024;

/** Multiple of 3, so that base64 of consecutive chunks joins without padding. */
const base64Chunk = 48 * 1024;

/** @param repositoryOf the chart as the caller may see it */
export function binaryRoutes(repositoryOf: (response: Response) => SandboxRepository, blobs: BlobStore): Router {
  const router = Router();
  router.get('/Binary/:id', (request, response) => readBinary(request, response, repositoryOf(response), blobs));
  router.put('/Binary/:id', async (request, response, next) => {
    if (isResourceForm(request)) next();
    else await writeBinary(request, response, repositoryOf(response), blobs, request.params.id);
  });
  router.post('/Binary', async (request, response, next) => {
    if (isResourceForm(request)) next();
    else await writeBinary(request, response, repositoryOf(response), blobs);
  });
  return router;
}

/** Whether the body is a Binary resource rather than the content of one. */
function isResourceForm(request: Request): boolean {
  return mediaTypeOf(request) === fhirJson;
}

function mediaTypeOf(request: Request): string | undefined {
  return request.get('content-type')?.split(';')[0].trim().toLowerCase();
}

async function readBinary(
  request: Request<{ id: string }>,
  response: Response,
  repository: SandboxRepository,
  blobs: BlobStore,
): Promise<void> {
  const { resource, blob } = repository.readBinary(request.params.id);
  setVersionHeaders(response, resource);
  // Stored bytes share this origin with a chart: nothing in them may run.
  response.set({
    'Content-Security-Policy': "default-src 'none'; sandbox",
    'X-Content-Type-Options': 'nosniff',
    Vary: 'Accept',
  });
  if (isUnchanged(request, resource)) {
    response.status(304).end();
    return;
  }
  const asResource = wantsResourceForm(request);
  response.set('Content-Type', asResource ? `${fhirJson}; charset=utf-8` : resource.contentType);
  if (!asResource) {
    if (resource.securityContext?.reference) response.set('X-Security-Context', resource.securityContext.reference);
    response.set('Content-Length', String(blob?.size ?? 0));
  }
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  const content = asResource ? Readable.from(resourceForm(resource, blob, blobs)) : contentOf(blob, blobs);
  await pipeline(content, response).catch((error: NodeJS.ErrnoException) => {
    // A caller who leaves early is no fault of the server.
    if (error.code !== 'ERR_STREAM_PREMATURE_CLOSE') response.destroy(error);
  });
}

function wantsResourceForm(request: Request): boolean {
  const format = formatParameter(request);
  return format === undefined ? acceptedTypes(request).includes(fhirJson) : format.endsWith('json');
}

function contentOf(blob: Blob | undefined, blobs: BlobStore): Readable {
  return blob === undefined ? Readable.from([]) : blobs.stream(blob);
}

async function* resourceForm(
  resource: WithId<Binary>,
  blob: Blob | undefined,
  blobs: BlobStore,
): AsyncGenerator<string> {
  const head = JSON.stringify(resource);
  if (blob === undefined) {
    yield head;
    return;
  }
  yield `${head.slice(0, -1)},"data":"`;
  let rest = Buffer.alloc(0);
  for await (const chunk of blobs.stream(blob) as AsyncIterable<Buffer>) {
    rest = Buffer.concat([rest, chunk]);
    const whole = rest.length - (rest.length % base64Chunk);
    if (whole > 0) yield rest.toString('base64', 0, whole);
    rest = rest.subarray(whole);
  }
  yield `${rest.toString('base64')}"}`;
}

async function writeBinary(
  request: Request,
  response: Response,
  repository: SandboxRepository,
  blobs: BlobStore,
  id?: string,
): Promise<void> {
  const contentType = request.get('content-type');
  if (contentType === undefined)
    throw invalid('A raw Binary needs a Content-Type header; it becomes Binary.contentType.');
  if ((request.get('content-encoding') ?? 'identity') !== 'identity') {
    throw unsupportedMediaType('Send the content of a Binary without Content-Encoding.');
  }
  if (Number(request.get('content-length') ?? 0) > maxBinaryBytes) throw refuseSize();
  const blob = await receive(request, blobs);
  if (blob === undefined) return;
  const securityContext = request.get('x-security-context');
  const resource: Binary = {
    resourceType: 'Binary',
    ...(id !== undefined && { id }),
    contentType,
    ...(securityContext !== undefined && { securityContext: { reference: securityContext } }),
  };
  const ifMatch = /"([^"]+)"/.exec(request.get('if-match') ?? '')?.[1];
  const { written, existed } = await repository.withTransaction(async (transaction) => ({
    existed: id !== undefined && transaction.exists('Binary', id),
    written: await transaction.writeBinary(resource, blob, { ifMatch }),
  }));
  sendResource(request, response, existed ? 200 : 201, written, existed ? allOk : created);
}

/** The stored body; undefined where the caller left before its end. */
async function receive(request: Request, blobs: BlobStore): Promise<Blob | undefined> {
  try {
    // The connection outlives a refusal, and the rest is read and dropped, so that the caller gets the answer.
    const body = request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>;
    const blob = await blobs.write(body, maxBinaryBytes);
    if (blob.size === 0) throw invalid('The body is empty; a Binary needs content.');
    return blob;
  } catch (error) {
    if (error instanceof BlobTooLargeError) {
      request.resume();
      throw refuseSize();
    }
    if (request.destroyed && !request.complete) return undefined;
    throw error;
  }
}

function refuseSize(): Error {
  return tooLarge(`A Binary may have up to ${maxBinaryBytes} bytes.`);
}
