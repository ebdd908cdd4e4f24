/** Public keys of an issuer: configured, or fetched from the one address that the trust registry names for it. */
import { createLocalJWKSet, createRemoteJWKSet, customFetch } from 'jose';
import type { JSONWebKeySet, JWTVerifyGetKey } from 'jose';
import { TransientError } from '../errors.ts';

/** Exactly one of them. */
export interface KeySource {
  readonly jwks?: JSONWebKeySet;
  readonly jwksUrl?: string;
}

/** `Egress.fetch`: the only way out. */
export type GuardedFetch = (
  url: string,
  init?: RequestInit,
  limits?: { readonly maxBytes?: number; readonly totalMs?: number; readonly idleMs?: number },
) => Promise<Response>;

const LIMITS = { maxBytes: 256 * 1024, totalMs: 5_000, idleMs: 5_000 };
/** Keys that an issuer withdrew are accepted at most this long, ms. */
const CACHE_MAX_AGE_MS = 600_000;
/** A token with an unknown key id makes us look again, but not more often than this, ms. */
const COOLDOWN_MS = 30_000;

/**
 * The keys are asked for when first needed. A key that is not in the set throws jose's JWKSNoMatchingKey; a set that cannot be
 * had throws TransientError `issuer-keys-unavailable`, which says nothing about the token.
 */
export function keysOf({ jwks, jwksUrl }: KeySource, fetch: GuardedFetch): JWTVerifyGetKey {
  if (jwks !== undefined) return createLocalJWKSet(jwks);
  return createRemoteJWKSet(new URL(jwksUrl!), {
    cacheMaxAge: CACHE_MAX_AGE_MS,
    cooldownDuration: COOLDOWN_MS,
    [customFetch]: async (url: string) => Response.json(await fetchKeySet(url, fetch)),
  });
}

async function fetchKeySet(url: string, fetch: GuardedFetch): Promise<JSONWebKeySet> {
  try {
    const response = await fetch(url, { headers: { accept: 'application/json' } }, LIMITS);
    const body = (await response.json()) as Partial<JSONWebKeySet> | null;
    if (response.status === 200 && Array.isArray(body?.keys)) return { keys: body.keys };
  } catch (error) {
    throw unavailable(error);
  }
  throw unavailable();
}

function unavailable(cause?: unknown): TransientError {
  const message = 'The keys of the token’s issuer cannot be had at the moment; ask again.';
  return new TransientError('issuer-keys-unavailable', message, {}, { cause });
}
