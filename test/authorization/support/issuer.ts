/** An issuer of access tokens with keys made for the run. */
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { CryptoKey, JSONWebKeySet, JWTHeaderParameters, JWTPayload } from 'jose';

export const AUDIENCE = 'https://hemocast.example';

export interface TestIssuer {
  readonly iss: string;
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly jwks: JSONWebKeySet;
  /** A good token, changed in places; undefined takes a claim or header out. */
  token(changes?: Changes): Promise<string>;
}

export interface Changes {
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly header?: Readonly<Record<string, unknown>>;
  readonly key?: CryptoKey | Uint8Array;
}

/** @param claims that every token of this issuer has besides the usual ones */
export async function makeIssuer(iss: string, claims: JWTPayload = {}): Promise<TestIssuer> {
  const { privateKey, publicKey } = await generateKeyPair('ES384', { extractable: true });
  const kid = `key-of-${new URL(iss).hostname}`;
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid, alg: 'ES384', use: 'sig' }] };
  return {
    iss,
    kid,
    privateKey,
    jwks,
    token(changes = {}) {
      const now = Math.floor(Date.now() / 1000);
      const good = {
        iss,
        sub: 'integrator',
        aud: AUDIENCE,
        iat: now,
        exp: now + 300,
        scope: 'system/*.cruds',
        ...claims,
      };
      const payload = without({ ...good, ...changes.claims });
      const header = without({ alg: 'ES384', kid, typ: 'at+jwt', ...changes.header }) as unknown as JWTHeaderParameters;
      return new SignJWT(payload).setProtectedHeader(header).sign(changes.key ?? privateKey);
    },
  };
}

function without(record: Readonly<Record<string, unknown>>): JWTPayload {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));
}

/** An unsigned token, or one with a signature of the caller's choice. */
export function compact(header: object, payload: object, signature = ''): string {
  const part = (each: object): string => Buffer.from(JSON.stringify(each)).toString('base64url');
  return `${part(header)}.${part(payload)}.${signature}`;
}
