/** The private key with which the service proves to an EHR who it is, and its public half for the EHR to know. */
import { createPrivateKey, createPublicKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { calculateJwkThumbprint } from 'jose';
import type { JWK } from 'jose';
import { ConfigurationError } from '../errors.ts';

export interface ClientKey {
  readonly privateKey: KeyObject;
  /** The two that SMART asks every server to know ("Asymmetric Authentication"). */
  readonly algorithm: 'ES384' | 'RS384';
  readonly kid: string;
  /** Nothing secret in it: for registration at the EHR. */
  readonly publicJwk: JWK;
}

const SMALLEST_RSA_BITS = 2_048;

/** Reads a PEM (PKCS #8, SEC 1, PKCS #1) or a JWK. Throws ConfigurationError, which quotes nothing of the file. */
export async function readClientKey(file: string): Promise<ClientKey> {
  const fail = (why: string): never => {
    throw new ConfigurationError(`EHR_PRIVATE_KEY_FILE ${why}.`);
  };
  let text = '';
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    fail('names a file that cannot be read');
  }
  const { privateKey, statedKid } = parse(text) ?? fail('holds neither a PEM nor a JWK with a private key');
  const algorithm = algorithmOf(privateKey) ?? fail('must hold an EC key on P-384 or an RSA key of 2048 bits or more');
  const publicKey = createPublicKey(privateKey).export({ format: 'jwk' }) as JWK;
  const kid = statedKid ?? (await calculateJwkThumbprint(publicKey));
  return { privateKey, algorithm, kid, publicJwk: { ...publicKey, kid, alg: algorithm, use: 'sig' } };
}

function parse(text: string): { privateKey: KeyObject; statedKid?: string } | undefined {
  try {
    if (!text.trimStart().startsWith('{')) return { privateKey: createPrivateKey(text) };
    const jwk = JSON.parse(text) as JWK & { kid?: unknown };
    const privateKey = createPrivateKey({ key: jwk as never, format: 'jwk' });
    return { privateKey, ...(typeof jwk.kid === 'string' && jwk.kid !== '' && { statedKid: jwk.kid }) };
  } catch {
    return undefined;
  }
}

function algorithmOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): ClientKey['algorithm'] | undefined {
  if (asymmetricKeyType === 'ec' && asymmetricKeyDetails?.namedCurve === 'secp384r1') return 'ES384';
  if (asymmetricKeyType === 'rsa' && (asymmetricKeyDetails?.modulusLength ?? 0) >= SMALLEST_RSA_BITS) return 'RS384';
  return undefined;
}
