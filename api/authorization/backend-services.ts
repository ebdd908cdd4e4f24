/**
 * The service's own access to an EHR by SMART Backend Services (SMART App Launch 2.2): a signed assertion for a short-lived token.
 * A token is asked for when first needed, shared by all calls and renewed before it ends.
 */
import { randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import type { RenewedCredential } from '../egress/egress.ts';
import { throwForStatus } from '../egress/status.ts';
import { UpstreamError } from '../errors.ts';
import type { ClientKey } from './client-key.ts';

export interface BackendServicesOptions {
  readonly clientId: string;
  readonly key: ClientKey;
  /** What is asked for: "system/ImagingStudy.rs system/RiskAssessment.crus". */
  readonly scope: string;
  /** FHIR base without trailing slash. */
  readonly fhirBase: string;
  /** undefined: discovered from the EHR's smart-configuration, where it must have the origin of the FHIR base. */
  readonly tokenUrl?: string;
  /** Egress that knows the token endpoint (and the smart-configuration where there is none) without any credential. */
  readonly fetch: (url: string, init: RequestInit, limits: { readonly maxBytes: number }) => Promise<Response>;
  /** ms since 1970 */
  readonly now?: () => number;
}

/** SMART: "no more than five minutes in the future". */
const ASSERTION_LIFETIME_S = 240;
/** A token is renewed when less than this, or than a tenth of its life, is left, ms. */
const LEAST_REST_MS = 30_000;
/** SMART recommends at most five minutes; a server that does not say is taken at that, s. */
const ASSUMED_LIFETIME_S = 300;
const LONGEST_LIFETIME_S = 3_600;
const LIMITS = { maxBytes: 64 * 1024 };
/** RFC 6749 5.2: words of a closed list; whatever else an answer says is not repeated. */
const KNOWN_ERRORS = ['invalid_request', 'invalid_client', 'invalid_grant', 'unauthorized_client', 'invalid_scope'];

interface Token {
  /** Value of the Authorization header. */
  readonly authorization: string;
  /** ms since 1970 */
  readonly renewAt: number;
}

export class BackendServices implements RenewedCredential {
  readonly #options: BackendServicesOptions;
  readonly #now: () => number;
  #token: Token | undefined;
  #asking: Promise<Token> | undefined;

  constructor(options: BackendServicesOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /**
   * Throws UpstreamError `ehr-token-refused` (the EHR does not know the client, its key or its scopes), `ehr-token-malformed`,
   * TransientError where its authorization server cannot be reached.
   */
  async current(): Promise<string> {
    if (this.#token !== undefined && this.#token.renewAt > this.#now()) return this.#token.authorization;
    this.#asking ??= this.#ask().finally(() => (this.#asking = undefined));
    this.#token = await this.#asking;
    return this.#token.authorization;
  }

  /** A token that the EHR no longer takes is not presented again. */
  rejected(authorization: string): void {
    if (this.#token?.authorization === authorization) this.#token = undefined;
  }

  async #ask(): Promise<Token> {
    const tokenUrl = this.#options.tokenUrl ?? (await this.#discover());
    const body = new URLSearchParams({
      grant_type: 'client_credentials',
      scope: this.#options.scope,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: await this.#assertion(tokenUrl),
    });
    const headers = { accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' };
    const asked = this.#now();
    const response = await this.#options.fetch(tokenUrl, { method: 'POST', headers, body: body.toString() }, LIMITS);
    if (response.status === 400 || response.status === 401 || response.status === 403) throw await refused(response);
    await throwForStatus(response, 'ehr-authorization', 'json');
    return readToken(await readJson(response), asked);
  }

  #assertion(tokenUrl: string): Promise<string> {
    const { clientId, key } = this.#options;
    const now = Math.floor(this.#now() / 1000);
    return new SignJWT()
      .setProtectedHeader({ alg: key.algorithm, kid: key.kid, typ: 'JWT' })
      .setIssuer(clientId)
      .setSubject(clientId)
      .setAudience(tokenUrl)
      .setJti(randomUUID())
      .setIssuedAt(now)
      .setExpirationTime(now + ASSERTION_LIFETIME_S)
      .sign(key.privateKey);
  }

  /** An endpoint elsewhere has to be named by the administrator: what an EHR says is not enough to send an assertion there. */
  async #discover(): Promise<string> {
    const { fhirBase, fetch } = this.#options;
    const url = `${fhirBase}/.well-known/smart-configuration`;
    const response = await fetch(url, { headers: { accept: 'application/json' } }, LIMITS);
    await throwForStatus(response, 'ehr-authorization', 'json');
    const endpoint = (await readJson(response)).token_endpoint;
    if (typeof endpoint !== 'string' || !URL.canParse(endpoint)) throw malformed('names no token endpoint');
    if (new URL(endpoint).origin !== new URL(fhirBase).origin) {
      throw malformed('names a token endpoint of another origin; set EHR_TOKEN_URL if it is right');
    }
    return endpoint;
  }
}

function readToken(
  { access_token: token, token_type: type, expires_in: written }: Record<string, unknown>,
  asked: number,
): Token {
  const isToken = typeof token === 'string' && /^[A-Za-z0-9\-._~+/]{1,8192}=*$/.test(token);
  if (!isToken || typeof type !== 'string' || type.toLowerCase() !== 'bearer') throw malformed('gave no bearer token');
  const stated = Number(written ?? ASSUMED_LIFETIME_S);
  if (!(stated > 0)) throw malformed('gave a token that has already ended');
  const lifetimeMs = Math.min(stated, LONGEST_LIFETIME_S) * 1000;
  const restMs = Math.min(Math.max(LEAST_REST_MS, lifetimeMs / 10), lifetimeMs / 2);
  return { authorization: `Bearer ${token}`, renewAt: asked + lifetimeMs - restMs };
}

async function readJson(response: Response): Promise<Record<string, unknown>> {
  const body = (await response.json().catch((error: unknown) => {
    if (error instanceof SyntaxError) throw malformed('did not answer with JSON');
    throw error;
  })) as Record<string, unknown> | null;
  return body ?? {};
}

async function refused(response: Response): Promise<UpstreamError> {
  const { error } = (await response.json().catch(() => ({}))) as { error?: unknown };
  const word = KNOWN_ERRORS.find((known) => known === error) ?? 'unnamed';
  const message = 'The EHR gave this service no token; check EHR_CLIENT_ID, the registered key and EHR_SCOPES.';
  return new UpstreamError('ehr-token-refused', message, { system: 'ehr', status: response.status, error: word });
}

function malformed(why: string): UpstreamError {
  return new UpstreamError('ehr-token-malformed', `The EHR's authorization server ${why}.`, { system: 'ehr' });
}
