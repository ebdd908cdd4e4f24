/**
 * The sandbox's FHIR R4 server: an Express router for the FHIR base, a repository for those who live in the same process, and a
 * folder that keeps everything.
 */
import { OperationOutcomeError } from '@medplum/core';
import type { FhirRequest, FhirRouter, HttpMethod } from '@medplum/fhir-router';
import { json, Router, urlencoded, type ErrorRequestHandler, type Request, type Response } from 'express';
import type { TokenAccess } from './access.ts';
import { binaryRoutes } from './binary-routes.ts';
import { capabilityStatement } from './capability-statement.ts';
import { loadDefinitions } from './definitions.ts';
import { createInteractions, interact } from './interactions.ts';
import { failure, invalid, statusOf, tooLarge, unsupportedMediaType } from './outcome.ts';
import { SandboxRepository } from './repository.ts';
import { ResourceStore } from './resource-store.ts';
import { assertAcceptable, baseUrlOf, fhirJson, sendFailure, sendJson, sendResource } from './responses.ts';

/** Largest JSON body, bytes. Larger content belongs into a raw Binary. */
const maxJsonBytes = 4 * 1024 * 1024;

const jsonTypes = [fhirJson, 'application/json', 'application/json-patch+json'];
const formType = 'application/x-www-form-urlencoded';

export interface FhirServer {
  /** To be mounted at the FHIR base. */
  readonly router: Router;
  readonly repository: SandboxRepository;
  close(): Promise<void>;
}

export interface FhirServerOptions {
  /** Folder of the journal and the Binary contents; one process at a time. */
  readonly folder: string;
  /** Receives errors whose callers only see "internal error". */
  readonly onError?: (error: unknown) => void;
}

/** Loads the definitions, replays the journal and builds the router. Throws when the journal is damaged. */
export async function createFhirServer({ folder, onError }: FhirServerOptions): Promise<FhirServer> {
  const bindings = await loadDefinitions();
  const store = await ResourceStore.open(folder);
  const repository = new SandboxRepository({ store, bindings, onError });
  const interactions = createInteractions();
  const startedAt = new Date().toISOString();
  const repositoryOf = (response: Response): SandboxRepository => {
    const { access } = response.locals as { access?: TokenAccess };
    return access === undefined ? repository : repository.withAccess(access);
  };

  const router = Router();
  router.get('/metadata', (request, response) => {
    assertAcceptable(request);
    sendJson(response, 200, capabilityStatement(baseUrlOf(request), startedAt));
  });
  router.use(binaryRoutes(repositoryOf, store.blobs));
  router.use(assertBodyType, json({ type: jsonTypes, limit: maxJsonBytes }), urlencoded({ extended: false }));
  router.use((request, response) => answer(request, response, interactions, repositoryOf(response)));
  router.use(failed(onError));
  return { router, repository, close: () => store.close() };
}

async function answer(
  request: Request,
  response: Response,
  interactions: FhirRouter,
  repository: SandboxRepository,
): Promise<void> {
  assertAcceptable(request);
  if (!['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'].includes(request.method)) {
    throw failure('method-not-allowed', 'not-supported', `${request.method} is not a FHIR interaction.`);
  }
  const fhirRequest: FhirRequest = {
    method: (request.method === 'HEAD' ? 'GET' : request.method) as HttpMethod,
    url: withoutFormat(request.url),
    pathname: '',
    params: {},
    query: {},
    body: request.body as unknown,
    headers: request.headers,
  };
  const [outcome, resource] = await interact(interactions, fhirRequest, repository);
  const status = statusOf(outcome);
  if (status >= 400) throw new OperationOutcomeError(outcome);
  if (request.method === 'DELETE') response.status(204).end();
  else if (resource === undefined) sendJson(response, status, outcome);
  else sendResource(request, response, status, resource, outcome);
}

/** `_format` and `_pretty` concern the answer, not the search. */
function withoutFormat(url: string): string {
  const [path, query] = url.split(/\?(.*)/s);
  if (query === undefined) return path;
  const parameters = new URLSearchParams(query);
  parameters.delete('_format');
  parameters.delete('_pretty');
  return parameters.size > 0 ? `${path}?${parameters.toString()}` : path;
}

/** A write with an unknown content type would otherwise arrive as a write without a body. */
function assertBodyType(request: Request, _response: Response, next: () => void): void {
  const hasBody = request.get('transfer-encoding') !== undefined || Number(request.get('content-length') ?? 0) > 0;
  if (hasBody && !request.is([...jsonTypes, formType])) {
    throw unsupportedMediaType(`The body must be ${fhirJson} (or application/json).`);
  }
  next();
}

/** The last handler: every failure becomes an OperationOutcome. */
function failed(onError: FhirServerOptions['onError']): ErrorRequestHandler {
  return (error: unknown, _request, response, next) => {
    if (response.headersSent) {
      next(error);
      return;
    }
    const known = error instanceof OperationOutcomeError ? error : fromBodyParser(error);
    if (known === undefined) onError?.(error);
    sendFailure(response, known ?? error);
  };
}

/** Errors of the body parser carry a `type` (https://www.npmjs.com/package/body-parser#errors). */
function fromBodyParser(error: unknown): OperationOutcomeError | undefined {
  const { type, status } = error as { type?: unknown; status?: unknown };
  if (type === 'entity.too.large')
    return tooLarge(`A JSON body may have up to ${maxJsonBytes} bytes; send large content as a raw Binary.`);
  if (type === 'entity.parse.failed') return invalid('The body is not well-formed JSON.');
  if (type === 'charset.unsupported' || type === 'encoding.unsupported')
    return unsupportedMediaType('The body must be UTF-8 JSON.');
  if (status === 400) return invalid('The request cannot be read.');
  return undefined;
}
