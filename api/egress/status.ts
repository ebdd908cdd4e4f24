/** What an HTTP status of an EHR or PACS means to a job: give up, look elsewhere, or come back later. */
import { NotFoundError, TransientError, UpstreamError } from '../errors.ts';

/** Longest wait that a Retry-After may ask for, ms. */
const LONGEST_RETRY_AFTER_MS = 3_600_000;

/**
 * Throws for an answer that is not a success, and for HTML or other text where JSON was expected (a login page with status
 * 200 is a common answer of gateways). The body of a thrown answer is discarded: it may hold patient data.
 *
 * `system` prefixes the codes: `ehr-unauthorized`, `ehr-not-found`, `ehr-throttled`, `ehr-unavailable`, `ehr-rejected`,
 * `ehr-answer-not-json`. `details.status` holds the status.
 */
export async function throwForStatus(response: Response, system: string, expected?: 'json'): Promise<void> {
  const error = errorForStatus(response, system) ?? (expected === 'json' ? errorForType(response, system) : undefined);
  if (error === undefined) return;
  await response.body?.cancel().catch(() => undefined);
  throw error;
}

function errorForStatus(response: Response, system: string): Error | undefined {
  const { status } = response;
  if (status >= 200 && status < 300) return undefined;
  const details = { system, status };
  if (status === 401 || status === 403) {
    return new UpstreamError(
      `${system}-unauthorized`,
      `${system} refused the credential of this service (${status}); check its token and its permissions.`,
      details,
    );
  }
  if (status === 404 || status === 410) {
    return new NotFoundError(`${system}-not-found`, `${system} does not hold what was asked for (${status}).`, details);
  }
  const retryAfterMs = parseRetryAfter(response.headers.get('retry-after'));
  if (status === 429) {
    return new TransientError(`${system}-throttled`, `${system} asks for fewer calls (429).`, details, {
      retryAfterMs,
    });
  }
  if (status === 408 || status >= 500) {
    return new TransientError(`${system}-unavailable`, `${system} answered with ${status}.`, details, { retryAfterMs });
  }
  return new UpstreamError(`${system}-rejected`, `${system} rejected the call (${status}).`, details);
}

function errorForType(response: Response, system: string): Error | undefined {
  const type = (response.headers.get('content-type') ?? '').split(';')[0].trim().toLowerCase();
  if (response.body === null || /^application\/([a-z0-9.-]+\+)?json$/.test(type)) return undefined;
  return new UpstreamError(
    `${system}-answer-not-json`,
    `${system} answered with ${type === '' ? 'no content type' : 'another content type'} where JSON was asked for; check its base URL.`,
    { system, status: response.status, contentType: type.slice(0, 80) },
  );
}

/** Retry-After (RFC 9110 10.2.3) in ms: seconds or an HTTP date; undefined when absent, unreadable or past. */
export function parseRetryAfter(value: string | null, now: number = Date.now()): number | undefined {
  if (value === null) return undefined;
  const waitMs = /^\s*\d+\s*$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now;
  return waitMs >= 0 ? Math.min(waitMs, LONGEST_RETRY_AFTER_MS) : undefined;
}
