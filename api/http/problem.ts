/** The one place where an error becomes an answer: application/problem+json (RFC 9457), or an OperationOutcome on FHIR routes. */
import { randomUUID } from 'node:crypto';
import type { ErrorRequestHandler, Request, Response } from 'express';
import { HemocastError } from '../errors.ts';
import type { FhirIssueType } from '../errors.ts';
import type { components } from '../generated/openapi.d.ts';
import type { Logger } from '../log.ts';

export type Problem = components['schemas']['Problem'];

const ROUTE_ERRORS = {
  404: ['route-not-found', 'There is nothing at this address; see /docs.'],
  405: ['method-not-allowed', 'This address does not answer this method; see /docs.'],
} as const;

/** A path that does not exist here, or not for this method. */
export class RouteError extends HemocastError {
  constructor(status: 404 | 405) {
    const [code, message] = ROUTE_ERRORS[status];
    super(code, message, { status, issueType: status === 404 ? 'not-found' : 'not-supported' });
  }
}

/** An answer of ours breaks openapi.yaml. `violations`: property paths and rules, no values. */
export class ContractBreachError extends HemocastError {
  readonly violations: readonly string[];
  constructor(violations: readonly string[]) {
    super('contract-breach', 'The answer does not match its description.', { status: 500, issueType: 'exception' });
    this.violations = violations;
  }
}

interface Answer {
  readonly problem: Problem;
  readonly issueType: FhirIssueType;
  readonly headers: Readonly<Record<string, string>>;
}

export function problemHandler(log: Logger): ErrorRequestHandler {
  return (error: unknown, request, response, next) => {
    const { problem, issueType, headers } = toAnswer(error, request);
    const { code, status } = problem;
    if (status >= 500)
      log.error('request failed', { requestId: problem.instance?.slice('urn:uuid:'.length), code, status }, error);
    if (response.headersSent) {
      next(error); // a stream is under way: Express ends the connection
      return;
    }
    response.status(status).set(headers);
    if (/^\/(sandbox\/)?fhir(\/|$)/.test(request.path)) {
      send(response, 'application/fhir+json', toOperationOutcome(problem, issueType));
    } else {
      send(response, 'application/problem+json', problem);
    }
  };
}

/** Not response.json(): that is where answers of routes are held against openapi.yaml. */
function send(response: Response, type: string, body: object): void {
  response.setHeader('Content-Type', type);
  response.end(JSON.stringify(body));
}

function toAnswer(error: unknown, request: Request): Answer {
  if (error instanceof HemocastError && !(error instanceof ContractBreachError)) {
    const detail = error.message;
    const problem = { ...toProblem(error.status, error.code, detail), ...withDetails(error.details) };
    return { problem, issueType: error.issueType, headers: headersOf(error) };
  }
  const rejected = toRejectedRequest(error, request);
  if (rejected !== undefined) return rejected;
  const code = error instanceof ContractBreachError ? error.code : 'internal-error';
  const detail = 'Something went wrong inside the service; its log names this instance.';
  const problem = { ...toProblem(500, code, detail), instance: `urn:uuid:${randomUUID()}` };
  return { problem, issueType: 'exception', headers: {} };
}

function withDetails(details: HemocastError['details']): Pick<Problem, 'details'> {
  return Object.keys(details).length > 0 ? { details: { ...details } } : {};
}

function headersOf(error: HemocastError): Record<string, string> {
  const headers: Record<string, string> = {};
  const { retryAfterMs } = error as { retryAfterMs?: number };
  if (error.status === 429 || error.status === 503) {
    headers['Retry-After'] = String(Math.max(1, Math.ceil((retryAfterMs ?? 5_000) / 1000)));
  }
  if (error.status === 401) headers['WWW-Authenticate'] = 'Bearer';
  return headers;
}

/** What Express, its body parser and express-openapi-validator throw: errors with a status of 4xx and a type or a list. */
interface ForeignError {
  readonly status?: number;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly errors?: readonly { readonly path?: string; readonly message?: string }[];
}

function toRejectedRequest(error: unknown, request: Request): Answer | undefined {
  const { status, type, headers, errors } = (error ?? {}) as ForeignError;
  const answer = (code: string, detail: string, issueType: FhirIssueType, more: Partial<Problem> = {}): Answer => ({
    problem: { ...toProblem(status ?? 400, code, detail), ...more },
    issueType,
    headers: headers ?? {},
  });
  if (type === 'entity.parse.failed') return answer('request-malformed', 'The body is not JSON.', 'invalid');
  switch (status) {
    case 400: {
      // An id that is no UUID names nothing.
      if (errors?.some(({ path }) => path?.startsWith('/params/'))) return toAnswer(new RouteError(404), request);
      const list = (errors ?? []).map(({ path = '', message = '' }) => ({ path, message }));
      const detail = 'The request does not match openapi.yaml; `errors` names each place.';
      return list.length > 0
        ? answer('request-invalid', detail, 'invalid', { errors: list })
        : answer('request-malformed', 'The request cannot be read.', 'invalid');
    }
    case 404:
      return toAnswer(new RouteError(404), request);
    case 405: {
      const allowed = toAnswer(new RouteError(405), request);
      return { ...allowed, headers: headers ?? {} };
    }
    case 406:
      return answer('not-acceptable', 'Ask for application/json.', 'not-supported');
    case 413:
      return answer('request-too-large', 'The body is larger than this address reads.', 'invalid');
    case 415:
      return answer('media-type-unsupported', 'Send application/json in UTF-8, not compressed.', 'not-supported');
    default:
      return undefined;
  }
}

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  409: 'Conflict',
  410: 'Gone',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  429: 'Too Many Requests',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
};

function toProblem(status: number, code: string, detail: string): Problem {
  return {
    type: `urn:hemocast:problem:${code}`,
    title: TITLES[status] ?? 'Internal Server Error',
    status,
    code,
    detail,
  };
}

/** https://hl7.org/fhir/R4/operationoutcome.html */
function toOperationOutcome(problem: Problem, issueType: FhirIssueType): object {
  return {
    resourceType: 'OperationOutcome',
    issue: [
      {
        severity: 'error',
        code: issueType,
        details: { coding: [{ system: 'urn:hemocast:problem', code: problem.code }], text: problem.title },
        diagnostics: problem.detail,
      },
    ],
  };
}
