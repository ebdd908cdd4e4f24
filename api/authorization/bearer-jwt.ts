/**
 * Access tokens of integrators: JWTs of the issuers that the trust registry names (RFC 9068, RFC 8725). Everything about a token is
 * decided by the registry; what it names or carries itself (jku, jwk, x5u, x5c) is never fetched and never used as a key.
 */
import { decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import type { JWTPayload, JWTVerifyGetKey, ProtectedHeaderParameters } from 'jose';
import { TransientError } from '../errors.ts';
import type { Caller } from './caller.ts';
import { UnauthorizedError } from './caller.ts';
import { keysOf } from './key-sets.ts';
import type { GuardedFetch, KeySource } from './key-sets.ts';
import { splitScopes } from './scopes.ts';

/** An entry of the trust registry's `issuers`. */
export interface IssuerRegistration extends KeySource {
  readonly iss: string;
  /** What the token's `aud` must be or contain. */
  readonly audience: string;
  readonly algorithms?: readonly string[];
  /** Name of the claim whose value must be `tenant`. */
  readonly tenantClaim?: string;
  readonly tenant?: string;
}

/** Asymmetric ones only: a public key must never serve as a secret. */
export const ASYMMETRIC_ALGORITHMS: readonly string[] = [
  'ES256',
  'ES384',
  'ES512',
  'PS256',
  'PS384',
  'PS512',
  'RS256',
  'RS384',
  'RS512',
  'EdDSA',
];

/** Clocks of two hospitals' machines differ by so much, s. */
const CLOCK_TOLERANCE_S = 30;
/** Longest life of an access token, s: nobody can call one back earlier. */
const LONGEST_LIFE_S = 3_600;
/** Header fields that carry or point to a key of the sender's choice, or ask for extensions that are not known here. */
const REFUSED_HEADERS = ['jku', 'jwk', 'x5c', 'x5u', 'x5t', 'x5t#S256', 'crit'] as const;
/** RFC 9068 2.1 says "at+jwt"; many issuers still write "JWT", or nothing. */
const TYPES: readonly (string | undefined)[] = ['at+jwt', 'application/at+jwt', 'jwt', undefined];

interface KnownIssuer {
  readonly registration: IssuerRegistration;
  readonly keys: JWTVerifyGetKey;
}

export class BearerJwtVerifier {
  readonly #issuers: ReadonlyMap<string, KnownIssuer>;

  /** @param fetch egress, which knows the registered key set URLs */
  constructor(issuers: readonly IssuerRegistration[], fetch: GuardedFetch) {
    this.#issuers = new Map(
      issuers.map((registration) => [registration.iss, { registration, keys: keysOf(registration, fetch) }]),
    );
  }

  /** Whether the token says that it is a JWT of a registered issuer; nothing of it has been verified then. */
  claimsToBeOurs(token: string): boolean {
    return this.#find(token) !== undefined;
  }

  /** Throws UnauthorizedError for every fault of the token alike, TransientError where the issuer's keys cannot be had. */
  async verify(token: string): Promise<Caller> {
    const found = this.#find(token);
    if (found === undefined) throw new UnauthorizedError();
    try {
      if (!isAcceptable(decodeProtectedHeader(token))) throw new UnauthorizedError();
      const { registration, keys } = found;
      const { payload } = await jwtVerify(token, keys, {
        algorithms: [...(registration.algorithms ?? ASYMMETRIC_ALGORITHMS)],
        issuer: registration.iss,
        audience: registration.audience,
        requiredClaims: ['iss', 'sub', 'aud', 'exp', 'iat'],
        maxTokenAge: LONGEST_LIFE_S,
        clockTolerance: CLOCK_TOLERANCE_S,
      });
      return toCaller(payload, registration);
    } catch (error) {
      if (error instanceof TransientError) throw error;
      throw new UnauthorizedError();
    }
  }

  #find(token: string): KnownIssuer | undefined {
    try {
      return this.#issuers.get(decodeJwt(token).iss ?? '');
    } catch {
      return undefined;
    }
  }
}

function toCaller(payload: JWTPayload, { iss, tenantClaim, tenant }: IssuerRegistration): Caller {
  const { sub, exp = Infinity, iat = 0, scope } = payload;
  if (typeof sub !== 'string' || sub === '') throw new UnauthorizedError();
  if (exp - iat > LONGEST_LIFE_S) throw new UnauthorizedError();
  if (tenantClaim !== undefined && payload[tenantClaim] !== tenant) throw new UnauthorizedError();
  const caller = { kind: 'client', issuer: iss, subject: sub, scopes: splitScopes(scope) } as const;
  return tenant === undefined ? caller : { ...caller, tenant };
}

function isAcceptable(header: ProtectedHeaderParameters): boolean {
  if (typeof header.kid !== 'string' || header.kid === '') return false;
  if (REFUSED_HEADERS.some((name) => Object.hasOwn(header, name))) return false;
  return TYPES.includes(header.typ?.toLowerCase());
}
