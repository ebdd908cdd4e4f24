/**
 * The error family. Every error that may reach a caller has a stable `code`, an HTTP status and a FHIR issue type
 * (http://hl7.org/fhir/R4/valueset-issue-type.html). `details` holds the rejected values: numbers, UIDs, codes; never
 * patient names, identifiers or tokens. `message` tells the reader what to change.
 */
export type FhirIssueType =
  | 'invalid'
  | 'required'
  | 'not-found'
  | 'conflict'
  | 'not-supported'
  | 'business-rule'
  | 'security'
  | 'throttled'
  | 'transient'
  | 'timeout'
  | 'exception';

export type ErrorDetails = Readonly<Record<string, string | number | boolean | null | readonly (string | number)[]>>;

export interface HemocastErrorOptions {
  /** HTTP status this error becomes at the front door. */
  readonly status: number;
  readonly issueType: FhirIssueType;
  readonly details?: ErrorDetails;
  readonly cause?: unknown;
}

/** Base of all named errors. `transient` says whether the same call may succeed later without a change. */
export class HemocastError extends Error {
  readonly code: string;
  readonly status: number;
  readonly issueType: FhirIssueType;
  readonly details: ErrorDetails;

  constructor(code: string, message: string, options: HemocastErrorOptions) {
    super(message, { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.status = options.status;
    this.issueType = options.issueType;
    this.details = options.details ?? {};
  }

  get transient(): boolean {
    return this.issueType === 'transient' || this.issueType === 'timeout' || this.issueType === 'throttled';
  }
}

/** The caller's input cannot be used as it stands. */
export class InvalidRequestError extends HemocastError {
  constructor(code: string, message: string, details?: ErrorDetails) {
    super(code, message, { status: 400, issueType: 'invalid', details });
  }
}

/** The named thing does not exist here or in the EHR. */
export class NotFoundError extends HemocastError {
  constructor(code: string, message: string, details?: ErrorDetails) {
    super(code, message, { status: 404, issueType: 'not-found', details });
  }
}

/** The environment does not describe a service that could run; all problems are named at once. */
export class ConfigurationError extends HemocastError {
  constructor(message: string, details?: ErrorDetails) {
    super('configuration-invalid', message, { status: 500, issueType: 'exception', details });
  }
}

/** An EHR or PACS answered in a way that will not get better by asking again. */
export class UpstreamError extends HemocastError {
  constructor(code: string, message: string, details?: ErrorDetails, cause?: unknown) {
    super(code, message, { status: 502, issueType: 'exception', details, cause });
  }
}

/** An EHR, PACS or worker is unreachable, slow or overloaded: the same call may succeed later. */
export class TransientError extends HemocastError {
  readonly retryAfterMs?: number;
  constructor(
    code: string,
    message: string,
    details?: ErrorDetails,
    options: { retryAfterMs?: number; cause?: unknown } = {},
  ) {
    super(code, message, { status: 503, issueType: 'transient', details, cause: options.cause });
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** The work was cancelled by its caller. */
export class CancelledError extends HemocastError {
  constructor(message = 'The assessment was cancelled.') {
    super('cancelled', message, { status: 409, issueType: 'conflict' });
  }
}
