/**
 * The only way out. Whatever leaves this process over HTTP goes to a system the administrator registered, below its base URL,
 * with that base's own credential and no other, within byte and time limits, and never along a redirect.
 */
import { Agent, fetch as engineFetch } from 'undici';
import { UpstreamError } from '../errors.ts';
import { BoundedCall, DEFAULT_LIMITS } from './bounded-call.ts';
import type { EgressLimits } from './bounded-call.ts';
import { guardedConnector, socketDial, systemLookup } from './dial.ts';
import type { Dial, Lookup } from './dial.ts';
import { EgressRefusedError } from './egress-refused.ts';
import { findTarget, registerSystems } from './target.ts';
import type { EgressSystem, RegisteredSystem } from './target.ts';

export type { EgressLimits } from './bounded-call.ts';
export type { EgressSystem, RenewedCredential } from './target.ts';
export { EgressRefusedError } from './egress-refused.ts';

export interface EgressOptions {
  /** Limits of calls that name none. */
  readonly limits?: Partial<EgressLimits>;
  /** Name resolution and dialling; tests put their own in. */
  readonly lookup?: Lookup;
  readonly dial?: Dial;
}

interface Target {
  readonly url: URL;
  readonly system: RegisteredSystem;
}

/** Headers that carry a credential or steer a proxy: only egress itself may set them. */
const BOUND_HEADERS = [
  'authorization',
  'cookie',
  'cookie2',
  'proxy-authorization',
  'proxy-connection',
  'forwarded',
  'host',
];
const BOUND_HEADER_PREFIXES = ['x-forwarded-', 'proxy-'];

const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const WITHOUT_BODY = new Set([204, 205, 304]);

export class Egress {
  readonly #systems: readonly RegisteredSystem[];
  readonly #limits: EgressLimits;
  readonly #agent: Agent;
  #replaced: typeof globalThis.fetch | undefined;

  /** Throws ConfigurationError when a system's base URL is not one that may be dialled. */
  constructor(systems: readonly EgressSystem[], options: EgressOptions = {}) {
    this.#systems = registerSystems(systems);
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    const dial = options.dial ?? socketDial(this.#limits.idleMs);
    this.#agent = new Agent({
      connect: guardedConnector(options.lookup ?? systemLookup, dial),
      // Waiting is timed by BoundedCall, which can tell a slow reader from a slow system.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  /** Makes the guarded fetch the global one: libraries that call `fetch` (fhir-kit-client) have no other. */
  install(): void {
    if (this.#replaced !== undefined) return;
    this.#replaced = globalThis.fetch;
    globalThis.fetch = this.#globalFetch;
  }

  /** Gives the former global fetch back and closes all connections. */
  async close(): Promise<void> {
    if (this.#replaced !== undefined && globalThis.fetch === this.#globalFetch) globalThis.fetch = this.#replaced;
    this.#replaced = undefined;
    await this.#agent.destroy();
  }

  /**
   * Like the global fetch, guarded. Resolves with the answer whatever its status, except for redirects.
   *
   * Throws EgressRefusedError before any dial when the URL lies below no registered base, TransientError
   * (`upstream-unreachable`, `upstream-timeout`, `upstream-truncated`), UpstreamError (`response-too-large`,
   * `upstream-certificate-invalid`, `upstream-malformed`), CancelledError when `init.signal` aborts. The body throws the same.
   */
  async fetch(url: string | URL, init: RequestInit = {}, limits: Partial<EgressLimits> = {}): Promise<Response> {
    return this.#fetchFrom(findTarget(url, this.#systems), init, limits);
  }

  /**
   * Like fetch, but with a credential that someone lent for one system (CDS Hooks fhirAuthorization) in place of the system's
   * own. `lent.baseUrl` must be a registered base itself and `url` must lie in that system: the token goes nowhere else.
   */
  async fetchWith(
    lent: { readonly baseUrl: string; readonly authorization: string },
    url: string | URL,
    init: RequestInit = {},
    limits: Partial<EgressLimits> = {},
  ): Promise<Response> {
    const base = findTarget(lent.baseUrl, this.#systems);
    const target = findTarget(url, this.#systems);
    if (base.url.pathname.replace(/\/+$/, '') !== base.system.basePath || target.system !== base.system) {
      throw new EgressRefusedError('a lent credential is for one registered system only', target.url.hostname);
    }
    const system = { ...target.system, authorization: lent.authorization, credential: undefined };
    return this.#fetchFrom({ url: target.url, system }, init, limits);
  }

  /**
   * With a credential that renews itself: a system that has forgotten a token (it was restarted, or the token was revoked) is
   * asked once more with a new one, where the request can be sent again.
   */
  async #fetchFrom(target: Target, init: RequestInit, limits: Partial<EgressLimits>): Promise<Response> {
    const { url, system } = target;
    const { credential } = system;
    if (credential === undefined) return this.#fetchOnce(target, init, limits);
    const authorization = await credential.current();
    const response = await this.#fetchOnce({ url, system: { ...system, authorization } }, init, limits);
    if (response.status !== 401) return response;
    credential.rejected(authorization);
    if (init.body instanceof ReadableStream) return response;
    await response.body?.cancel();
    const renewed = await credential.current();
    return this.#fetchOnce({ url, system: { ...system, authorization: renewed } }, init, limits);
  }

  async #fetchOnce({ url, system }: Target, init: RequestInit, limits: Partial<EgressLimits>): Promise<Response> {
    const call = new BoundedCall(system.name, { ...this.#limits, ...limits }, init.signal);
    try {
      return await this.#send(url, system, init, call);
    } catch (error) {
      call.end();
      throw call.explain(error);
    }
  }

  async #send(url: URL, system: RegisteredSystem, init: RequestInit, call: BoundedCall): Promise<Response> {
    call.signal.throwIfAborted();
    if (init.body === undefined || init.body === null) call.startWaiting();
    const answer = await engineFetch(url, {
      method: init.method,
      // The engine's own types are structurally those of the platform's fetch.
      body: init.body as never,
      headers: [...boundHeaders(init.headers, system)],
      duplex: 'half',
      redirect: 'manual',
      credentials: 'omit',
      signal: call.signal,
      dispatcher: this.#agent,
    });
    call.stopWaiting();
    try {
      if (REDIRECTS.has(answer.status)) {
        throw new EgressRefusedError(`${system.name} answered with a redirect (${answer.status})`, url.hostname);
      }
      return toResponse(answer, url, init.method, system, call);
    } catch (error) {
      await answer.body?.cancel().catch(() => undefined);
      throw error;
    }
  }

  readonly #globalFetch: typeof globalThis.fetch = async (input, init) => {
    if (!(input instanceof Request)) return this.fetch(input, init);
    // A Request's body is read whole: upstreams get a Content-Length, and what libraries send this way is small JSON.
    const body = init?.body ?? (input.body === null ? undefined : await input.arrayBuffer());
    const { method, headers, signal } = input;
    return this.fetch(input.url, { method, headers, signal, ...init, body });
  };
}

/** The caller's headers without those that are egress's to set, plus the credential of the system's base. */
function boundHeaders(headers: RequestInit['headers'], system: RegisteredSystem): Headers {
  const bound = new Headers(headers);
  for (const name of [...bound.keys()]) {
    if (BOUND_HEADERS.includes(name) || BOUND_HEADER_PREFIXES.some((prefix) => name.startsWith(prefix))) {
      bound.delete(name);
    }
  }
  if (system.authorization !== undefined) bound.set('authorization', system.authorization);
  return bound;
}

function toResponse(
  answer: Awaited<ReturnType<typeof engineFetch>>,
  url: URL,
  method: string | undefined,
  system: RegisteredSystem,
  call: BoundedCall,
): Response {
  if (answer.status < 200 || answer.status > 599) {
    throw new UpstreamError('upstream-malformed', `The answer of ${system.name} is not valid HTTP.`, {
      system: system.name,
      status: answer.status,
    });
  }
  const headers = new Headers([...answer.headers]);
  headers.delete('set-cookie');
  const hasBody = answer.body !== null && !WITHOUT_BODY.has(answer.status) && method?.toUpperCase() !== 'HEAD';
  if (hasBody) call.checkAnnouncedLength(headers);
  else call.end();
  const body = hasBody ? call.bound(answer.body as unknown as ReadableStream<Uint8Array>) : null;
  const response = new Response(body, { status: answer.status, statusText: answer.statusText, headers });
  Object.defineProperty(response, 'url', { value: url.href });
  return response;
}
