/** What an answer of the EHR that is not the wanted one means to a job: give up, or come back later. */
import type { OperationOutcome, Resource } from '@medplum/fhirtypes';
import { throwForStatus } from '../egress/status.ts';
import { CancelledError, HemocastError, TransientError, UpstreamError } from '../errors.ts';
import { findFormFault } from '../fhir-form.ts';

/** The one name under which the EHR appears in codes and messages. */
export const EHR = 'ehr';

/** What was asked, for the reader of an error: no ids, no values. */
export interface Interaction {
  readonly verb: 'read' | 'search' | 'create' | 'update' | 'transaction' | 'capabilities';
  readonly resourceType?: string;
  /** Whether it was only to be done on the version that was read. */
  readonly versioned?: boolean;
}

interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed JSON, or the text where it was none. */
  readonly data: unknown;
}

/** Throws the error that an HTTP answer stands for; returns when the answer is a success. */
export async function throwForAnswer(answer: HttpAnswer, interaction: Interaction): Promise<void> {
  const { status } = answer;
  if (status >= 200 && status < 300) return;
  const details = { system: EHR, status, ...interaction, issues: issuesOf(answer.data) };
  const what = `${interaction.verb}${interaction.resourceType === undefined ? '' : ` of ${interaction.resourceType}`}`;
  if (status === 409 || (status === 412 && interaction.versioned === true)) {
    throw new TransientError(
      'ehr-conflict',
      `Another writer was faster: the EHR refused the ${what} (${status}).`,
      details,
    );
  }
  if (status === 501) {
    throw new UpstreamError('ehr-unsupported', `The EHR does not support the ${what} (501).`, details);
  }
  const notThere = (status === 404 || status === 410) && interaction.verb !== 'read';
  if (status === 400 || status === 405 || status === 412 || status === 422 || notThere) {
    throw new UpstreamError(
      'ehr-rejected',
      `The EHR rejected the ${what} (${status}); details.issues names what it objects to.`,
      details,
    );
  }
  // Response does not take every status a server may invent; those outside 200..599 are no HTTP.
  const known = status >= 200 && status <= 599 ? status : 502;
  await throwForStatus(new Response(null, { status: known, headers: answer.headers }), EHR);
}

/** "code at expression" of an OperationOutcome: element paths only; diagnostics may quote the patient's data and stay out. */
function issuesOf(data: unknown): readonly string[] {
  const outcome = data as Partial<OperationOutcome> | null;
  if (typeof outcome !== 'object' || outcome?.resourceType !== 'OperationOutcome' || !Array.isArray(outcome.issue))
    return [];
  return outcome.issue.slice(0, 5).map((issue) => {
    const path = issue?.expression?.[0];
    const isPath = typeof path === 'string' && /^[A-Za-z][A-Za-z0-9.[\]]{0,119}$/.test(path);
    const code = typeof issue?.code === 'string' && /^[a-z-]{1,40}$/.test(issue.code) ? issue.code : 'unknown';
    return isPath ? `${code} at ${path}` : code;
  });
}

/** Whatever a client library threw, as an error of the house. */
export async function toEhrError(thrown: unknown, interaction: Interaction, signal: AbortSignal): Promise<unknown> {
  if (thrown instanceof HemocastError) return thrown;
  if (signal.aborted) return signal.reason instanceof HemocastError ? signal.reason : new CancelledError();
  const answer = answerOf(thrown);
  if (answer !== undefined) {
    try {
      await throwForAnswer(answer, interaction);
    } catch (error) {
      return error;
    }
    return notFhir(answer.status); // a success whose body is not JSON: a login page, a proxy's apology
  }
  return new TransientError(
    'ehr-unreachable',
    'The EHR cannot be reached.',
    { system: EHR, ...interaction },
    { cause: thrown },
  );
}

/** An answer with status 2xx that is not the FHIR resource it should be. */
export function notFhir(status: number, resourceType?: string, cause?: unknown): UpstreamError {
  return new UpstreamError(
    'ehr-answer-not-fhir',
    'The EHR answered with something that is not the FHIR resource asked for; check EHR_FHIR_URL.',
    { system: EHR, status, expected: resourceType ?? null },
    cause,
  );
}

/** Throws UpstreamError (`ehr-resource-malformed`) that names the element, not its value, where a resource has not the form of R4. */
export function assertForm(resource: Resource): void {
  const fault = findFormFault(resource);
  if (fault === undefined) return;
  const { resourceType, id = '?' } = resource;
  throw new UpstreamError(
    'ehr-resource-malformed',
    `${resourceType}/${id} in the EHR is not FHIR R4 (${fault}): correct it there.`,
    { system: EHR, resourceType, fault },
  );
}

/** fhir-kit-client throws Errors that carry `response.{status,data}` and, in `config.headers`, the answer's headers. */
function answerOf(thrown: unknown): HttpAnswer | undefined {
  const { response, config } = (thrown ?? {}) as {
    response?: { status?: unknown; data?: unknown };
    config?: { headers?: unknown };
  };
  if (typeof response?.status !== 'number') return undefined;
  const headers = config?.headers;
  const retryAfter = headers instanceof Headers ? headers.get('retry-after') : null;
  return {
    status: response.status,
    headers: new Headers(retryAfter === null ? {} : { 'retry-after': retryAfter }),
    data: response.data,
  };
}
