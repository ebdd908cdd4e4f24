/** From an Authorization header to a caller: the API token, a JWT of a registered issuer, or a token of the EHR's user. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { BearerJwtVerifier } from './bearer-jwt.ts';
import type { Authorizer, Caller } from './caller.ts';
import { UnauthorizedError } from './caller.ts';
import type { Introspector } from './introspection.ts';

export interface AuthorizerParts {
  /** The bearer token of the administrator's own integrations. */
  readonly apiToken?: string;
  /** The bearer token that the EHR's Subscription carries: it opens the notifications and nothing else. */
  readonly notificationToken?: string;
  /** Whether a call without a token is refused on this machine too; by default as soon as there is an API token. */
  readonly requiresToken?: boolean;
  readonly jwts?: Pick<BearerJwtVerifier, 'claimsToBeOurs' | 'verify'>;
  readonly users?: Pick<Introspector, 'identify'>;
}

/** RFC 6750 2.1, and a bound: no token of any EHR is longer. */
const BEARER = /^Bearer +([A-Za-z0-9\-._~+/]{1,8192}=*)$/i;

/** What an EHR keeps in a Subscription can be read by many: its token opens no more than this. */
const NOTIFIER: Caller = {
  kind: 'client',
  issuer: 'NOTIFICATION_TOKEN',
  subject: 'subscription',
  scopes: ['system/ImagingStudy.u'],
};

/** A token that is presented is always verified, also where none is required. */
export function createAuthorizer(parts: AuthorizerParts): Authorizer {
  const { apiToken, notificationToken, requiresToken = apiToken !== undefined, jwts, users } = parts;
  return {
    async authorize({ authorization, isLocal }): Promise<Caller> {
      if (authorization === undefined) {
        if (isLocal && !requiresToken) return { kind: 'local' };
        throw new UnauthorizedError();
      }
      const token = BEARER.exec(authorization)?.[1];
      if (token === undefined) throw new UnauthorizedError();
      if (apiToken !== undefined && isEqual(token, apiToken)) return { kind: 'api-token' };
      if (notificationToken !== undefined && isEqual(token, notificationToken)) return NOTIFIER;
      // An issuer's own tokens are never shown to the EHR.
      if (jwts?.claimsToBeOurs(token)) return jwts.verify(token);
      if (users !== undefined) return users.identify(token);
      throw new UnauthorizedError();
    },
  };
}

/** Digests have one length, so that the comparison takes the same time for every token. */
function isEqual(presented: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(presented), digest(expected));
}
