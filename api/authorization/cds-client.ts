/**
 * The JWT with which a CDS client authenticates (CDS Hooks 2.0.1, "Trusting CDS Clients"). Issuers and key sets come from the
 * trust registry alone; what the token itself names (jku, jwk, x5u) is never fetched and never used as a key.
 */
import { createHash } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import type { JSONWebKeySet, JWTPayload, JWTVerifyGetKey, ProtectedHeaderParameters } from 'jose';
import { keysOf } from './key-sets.ts';
import type { GuardedFetch } from './key-sets.ts';

/** An entry of the trust registry's `cdsClients`. */
export interface CdsClientRegistration {
  readonly iss: string;
  /** Where its keys are, or the keys themselves. */
  readonly jwksUrl?: string;
  readonly jwks?: JSONWebKeySet;
  /** FHIR bases it may name as `fhirServer`. */
  readonly fhirServers: readonly string[];
  /** Of CDS_ALGORITHMS; undefined = all of them. */
  readonly algorithms?: readonly string[];
  /** Value the `tenant` claim must have; undefined = the claim is not looked at. */
  readonly tenant?: string;
}

/** Remembers tokens until they expire, so that each is used once. */
export interface JtiStore {
  /** Whether this is the first time. `key` is a digest of issuer and jti. */
  claim(key: string, expiresAt: Date): Promise<boolean>;
}

/** ES384 and RS384 are what the text recommends; no symmetric algorithm and no `none`. */
export const CDS_ALGORITHMS = ['ES384', 'RS384', 'ES256', 'RS256', 'PS256', 'PS384', 'ES512', 'RS512', 'PS512'];
/** Clocks of two hospitals' machines differ by so much, s. */
const CLOCK_TOLERANCE_S = 30;
/** Longest life of a token, s: the jti store need not remember longer. */
const LONGEST_LIFE_S = 600;
const LONGEST_TOKEN = 8_192;
/** Header fields that carry or point to a key of the sender's choice, or ask for extensions that are not known here. */
const REFUSED_HEADERS = ['jwk', 'x5c', 'x5u', 'crit'] as const;

export interface CdsClientParts {
  readonly clients: readonly CdsClientRegistration[];
  readonly jtis: JtiStore;
  /** Egress, which knows the registered key set URLs. */
  readonly fetch: GuardedFetch;
  /** Told why a token was refused (a code, nothing of the token): the caller is not, but the administrator may need to know. */
  readonly onRefusal?: (code: string) => void;
  readonly now?: () => Date;
}

interface KnownClient {
  readonly registration: CdsClientRegistration;
  readonly keys: JWTVerifyGetKey;
}

export class CdsClientVerifier {
  readonly #clients: ReadonlyMap<string, KnownClient>;
  readonly #jtis: JtiStore;
  readonly #onRefusal: (code: string) => void;
  readonly #now: () => Date;

  constructor({ clients, jtis, fetch, onRefusal, now }: CdsClientParts) {
    this.#clients = new Map(
      clients.map((registration) => [registration.iss, { registration, keys: keysOf(registration, fetch) }]),
    );
    this.#jtis = jtis;
    this.#onRefusal = onRefusal ?? (() => undefined);
    this.#now = now ?? (() => new Date());
  }

  /**
   * The client whose token this is, or null for every fault alike: callers are not told which. `endpoint` is the exact URL
   * that was called. A key set that cannot be fetched counts as a fault: the door stays shut.
   */
  async verify(authorization: string, endpoint: string): Promise<CdsClientRegistration | null> {
    try {
      return await this.#verify(authorization, endpoint);
    } catch (error) {
      const { code } = error as { code?: unknown };
      this.#onRefusal(typeof code === 'string' ? code : 'token-malformed');
      return null;
    }
  }

  async #verify(authorization: string, endpoint: string): Promise<CdsClientRegistration> {
    const token = /^Bearer +([A-Za-z0-9\-_.]+)$/i.exec(authorization)?.[1] ?? '';
    if (token === '' || token.length > LONGEST_TOKEN) throw refusal('token-malformed');
    const client = this.#clients.get(decodeJwt(token).iss ?? '');
    if (client === undefined) throw refusal('issuer-unknown');
    if (!isAcceptable(decodeProtectedHeader(token), client.registration)) throw refusal('header-refused');
    const { payload } = await jwtVerify(token, client.keys, {
      algorithms: [...(client.registration.algorithms ?? CDS_ALGORITHMS)],
      typ: 'JWT',
      issuer: client.registration.iss,
      audience: endpoint,
      requiredClaims: ['iss', 'aud', 'exp', 'iat', 'jti'],
      maxTokenAge: LONGEST_LIFE_S,
      clockTolerance: CLOCK_TOLERANCE_S,
      currentDate: this.#now(),
    });
    if (!(await this.#isFresh(payload, client.registration))) throw refusal('claims-refused');
    return client.registration;
  }

  /** What jose does not check: the length of the life, the tenant, and that the token was not used before. */
  async #isFresh({ iss, jti, exp, iat, tenant }: JWTPayload, registration: CdsClientRegistration): Promise<boolean> {
    if (typeof jti !== 'string' || jti === '' || jti.length > 256) return false;
    if (exp === undefined || iat === undefined || exp - iat > LONGEST_LIFE_S) return false;
    if (registration.tenant !== undefined && tenant !== registration.tenant) return false;
    const key = createHash('sha256').update(`${iss}\n${jti}`).digest('hex');
    return this.#jtis.claim(key, new Date((exp + CLOCK_TOLERANCE_S) * 1000));
  }
}

function refusal(code: string): Error {
  return Object.assign(new Error(code), { code });
}

function isAcceptable(header: ProtectedHeaderParameters, { jwksUrl }: CdsClientRegistration): boolean {
  if (typeof header.kid !== 'string' || header.kid === '') return false;
  if (REFUSED_HEADERS.some((name) => Object.hasOwn(header, name))) return false;
  return header.jku === undefined || header.jku === jwksUrl;
}
