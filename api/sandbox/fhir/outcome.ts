/** OperationOutcomes of this server. `id` carries the HTTP status class that @medplum/core's `getStatus` reads. */
import { getStatus, OperationOutcomeError } from '@medplum/core';
import type { OperationOutcome, OperationOutcomeIssue } from '@medplum/fhirtypes';

type IssueCode = OperationOutcomeIssue['code'];

/** Statuses that `getStatus` cannot tell from an outcome's id. */
const ownStatuses: Readonly<Record<string, number>> = { 'not-acceptable': 406, 'method-not-allowed': 405 };

/** HTTP status for an outcome. */
export function statusOf(outcome: OperationOutcome): number {
  return ownStatuses[outcome.id ?? ''] ?? getStatus(outcome);
}

export function failure(
  id: string | undefined,
  code: IssueCode,
  text: string,
  expression?: string,
): OperationOutcomeError {
  const issue: OperationOutcomeIssue = { severity: 'error', code, details: { text }, diagnostics: text };
  if (expression !== undefined) issue.expression = [expression];
  return new OperationOutcomeError({ resourceType: 'OperationOutcome', ...(id && { id }), issue: [issue] });
}

/** 400: the request itself is wrong. */
export function invalid(text: string, expression?: string): OperationOutcomeError {
  return failure(undefined, 'invalid', text, expression);
}

/** 400: the request is well-formed but asks for what this server does not do. */
export function notSupported(text: string): OperationOutcomeError {
  return failure(undefined, 'not-supported', text);
}

/** 404 */
export function notFound(text: string): OperationOutcomeError {
  return failure('not-found', 'not-found', text);
}

/** 410 */
export function gone(text: string): OperationOutcomeError {
  return failure('gone', 'deleted', text);
}

/** 412 */
export function preconditionFailed(text: string): OperationOutcomeError {
  return failure('precondition-failed', 'conflict', text);
}

/** 413 */
export function tooLarge(text: string): OperationOutcomeError {
  return failure('content-too-large', 'too-long', text);
}

/** 415 */
export function unsupportedMediaType(text: string): OperationOutcomeError {
  return failure('unsupported-media-type', 'not-supported', text);
}

/** 500, without the cause: it may hold paths or patient data. */
export function internalError(): OperationOutcomeError {
  return failure(undefined, 'exception', 'The server failed to carry out the request; nothing was changed.');
}

/** The outcome to answer with: an OperationOutcomeError's own, otherwise the one of an internal error. */
export function toOutcome(error: unknown): OperationOutcome {
  const { outcome } = error instanceof OperationOutcomeError ? error : internalError();
  const issue = outcome.issue.map((each) => ({ ...each, diagnostics: each.diagnostics ?? each.details?.text }));
  return { ...outcome, issue };
}

/** 403 */
export function forbidden(text: string): OperationOutcomeError {
  return failure('forbidden', 'forbidden', text);
}
