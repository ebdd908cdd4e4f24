/**
 * Asks the EHR what a SMART app's token is good for (RFC 7662; SMART App Launch 2.2, "Token Introspection"). An answer is kept
 * for seconds, so that a token that was revoked ends soon; without an answer nobody is let in.
 */
import { createHash } from 'node:crypto';
import { TransientError } from '../errors.ts';
import { UnauthorizedError } from './caller.ts';
import type { Caller } from './caller.ts';
import { splitScopes } from './scopes.ts';

type User = Extract<Caller, { kind: 'user' }>;

export interface IntrospectorOptions {
  readonly url: string;
  /** The app's client id at this EHR: tokens of other apps are not accepted. */
  readonly clientId: string;
  /** Guarded, and with the credential for this URL. */
  readonly fetch: (
    url: string,
    init: RequestInit,
    limits: { readonly maxBytes: number; readonly totalMs: number; readonly idleMs: number },
  ) => Promise<Response>;
  readonly now?: () => number;
}

const ACTIVE_FOR_MS = 15_000;
const INACTIVE_FOR_MS = 5_000;
const MOST_KEPT = 1_000;
const MOST_IN_FLIGHT = 16;
const LIMITS = { maxBytes: 64 * 1024, totalMs: 5_000, idleMs: 5_000 };

interface Kept {
  readonly user: User | undefined;
  /** ms since 1970 */
  readonly until: number;
}

export class Introspector {
  readonly #options: IntrospectorOptions;
  readonly #now: () => number;
  /** By digest: tokens are not kept. */
  readonly #kept = new Map<string, Kept>();
  readonly #asking = new Map<string, Promise<Kept>>();

  constructor(options: IntrospectorOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /** Throws UnauthorizedError; TransientError `introspection-unavailable` (503) where the EHR gives no answer that could be used. */
  async identify(token: string): Promise<User> {
    const key = createHash('sha256').update(token).digest('base64');
    let kept = this.#kept.get(key);
    if (kept === undefined || kept.until <= this.#now()) kept = await this.#askOnce(key, token);
    if (kept.user === undefined) throw new UnauthorizedError();
    return kept.user;
  }

  #askOnce(key: string, token: string): Promise<Kept> {
    const asking = this.#asking.get(key);
    if (asking !== undefined) return asking;
    if (this.#asking.size >= MOST_IN_FLIGHT) throw unavailable();
    const asked = this.#ask(token)
      .then((kept) => this.#keep(key, kept))
      .finally(() => this.#asking.delete(key));
    this.#asking.set(key, asked);
    return asked;
  }

  async #ask(token: string): Promise<Kept> {
    let answer: unknown;
    try {
      const response = await this.#options.fetch(
        this.#options.url,
        {
          method: 'POST',
          headers: { accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' },
          body: new URLSearchParams({ token, token_type_hint: 'access_token' }).toString(),
        },
        LIMITS,
      );
      // RFC 7662: a token that is not active is answered 200. Any other status concerns our own credential, or a fault.
      answer = response.status === 200 ? await response.json() : await response.body?.cancel();
    } catch (error) {
      throw unavailable(error);
    }
    return this.#read(answer);
  }

  #read(answer: unknown): Kept {
    const now = this.#now();
    const { active, exp, client_id: clientId, scope, patient } = (answer ?? {}) as Record<string, unknown>;
    if (typeof active !== 'boolean') throw unavailable();
    const ends = exp === undefined ? Infinity : Number(exp) * 1000;
    const id = typeof patient === 'string' ? /^(?:Patient\/)?([A-Za-z0-9\-.]{1,64})$/.exec(patient)?.[1] : undefined;
    const usable = active && ends > now && clientId === this.#options.clientId && typeof scope === 'string';
    if (!usable || id === undefined) return { user: undefined, until: now + INACTIVE_FOR_MS };
    const user: User = { kind: 'user', patient: `Patient/${id}`, scopes: splitScopes(scope) };
    return { user, until: Math.min(ends, now + ACTIVE_FOR_MS) };
  }

  #keep(key: string, kept: Kept): Kept {
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= MOST_KEPT) break;
      this.#kept.delete(oldest);
    }
    return kept;
  }
}

function unavailable(cause?: unknown): TransientError {
  const message = 'The EHR does not say at the moment what the token is good for; ask again.';
  return new TransientError('introspection-unavailable', message, {}, { cause });
}
