/** What the HTTP engine throws, as the house's errors. Messages of the engine may hold URLs and stay in `cause`. */
import { HemocastError, TransientError, UpstreamError } from '../errors.ts';

const CERTIFICATE_CODES = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REVOKED',
  'CERT_UNTRUSTED',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]);

const UNREACHABLE_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_CLOSED',
  'UND_ERR_DESTROYED',
]);

/** The connection ended before the message did. */
const TRUNCATED_CODES = new Set([
  'UND_ERR_SOCKET',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
  'ERR_STREAM_PREMATURE_CLOSE',
]);

/** Turns what was thrown into a HemocastError; a fault of the caller (a bad method, a bad header) stays what it is. */
export function toEgressError(error: unknown, system: string): unknown {
  for (let cause = error, depth = 0; typeof cause === 'object' && cause !== null && depth < 5; depth += 1) {
    if (cause instanceof HemocastError) return cause;
    const { code: engineCode, name } = cause as { code?: unknown; name?: unknown };
    const code = String(engineCode ?? name ?? '');
    const details = { system, reason: code };
    if (CERTIFICATE_CODES.has(code)) {
      const message = `The TLS certificate of ${system} cannot be verified; add its authority to NODE_EXTRA_CA_CERTS.`;
      return new UpstreamError('upstream-certificate-invalid', message, details, error);
    }
    if (UNREACHABLE_CODES.has(code)) {
      return new TransientError('upstream-unreachable', `${system} cannot be reached.`, details, { cause: error });
    }
    if (TRUNCATED_CODES.has(code)) {
      return new TransientError('upstream-truncated', `${system} ended the connection early.`, details, {
        cause: error,
      });
    }
    if (/^(HPE_|HTTPParserError|UND_ERR_HEADERS|Z_|ERR__?(ZSTD|BROTLI|ZLIB)|ERR_SSL|EPROTO)/.test(code)) {
      return new UpstreamError('upstream-malformed', `The answer of ${system} is not valid HTTP.`, details, error);
    }
    cause = firstCause(cause);
  }
  if (!isEngineFailure(error)) return error;
  const details = { system, reason: 'unknown' };
  return new TransientError('upstream-unreachable', `The call to ${system} failed.`, details, { cause: error });
}

/** "TypeError: fetch failed" wraps a network failure; a TypeError without a cause is a fault in the call itself. */
function isEngineFailure(error: unknown): boolean {
  return typeof error === 'object' && error !== null && (error as { cause?: unknown }).cause !== undefined;
}

/** An AggregateError (several addresses tried) counts as its first member. */
function firstCause(error: object): unknown {
  const { cause, errors } = error as { cause?: unknown; errors?: unknown };
  return cause ?? (Array.isArray(errors) ? errors[0] : undefined);
}
