/**
 * Whom the service trusts, from one JSON file (TRUST_FILE): issuers of integrators' tokens, EHRs that launch the SMART app, clients
 * of the CDS Hooks. Read once; what it does not say is not trusted, and every mistake in it is named at once.
 */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { ErrorObject } from 'ajv/dist/2020.js';
import { isLoopback } from '../config.ts';
import { ConfigurationError } from '../errors.ts';
import type { IssuerRegistration } from './bearer-jwt.ts';
import type { CdsClientRegistration } from './cds-client.ts';
import { TRUST_SCHEMA } from './trust-schema.ts';

/** An EHR that launches the SMART app. */
export interface SmartRegistration {
  /** Its FHIR base, which is the service's own EHR: ids of patients mean nothing elsewhere. */
  readonly iss: string;
  /** Client id of the app there. */
  readonly clientId: string;
  readonly introspectionUrl: string;
  /** Value of the Authorization header for the introspection endpoint. Never logged. */
  readonly authorization?: string;
  /** Origins whose pages may frame the app. */
  readonly frameAncestors: readonly string[];
  /** Origins besides that of `iss` which the app calls: its token endpoint, where that lies elsewhere. */
  readonly connectOrigins: readonly string[];
}

export interface TrustRegistry {
  readonly issuers: readonly IssuerRegistration[];
  readonly smart: readonly SmartRegistration[];
  readonly cdsClients: readonly CdsClientRegistration[];
}

export const EMPTY_REGISTRY: TrustRegistry = { issuers: [], smart: [], cdsClients: [] };

interface WrittenSmart extends Omit<SmartRegistration, 'authorization' | 'connectOrigins'> {
  readonly introspectionToken?: string;
  readonly introspectionTokenFile?: string;
  readonly connectOrigins?: readonly string[];
}

interface Written {
  readonly issuers?: readonly IssuerRegistration[];
  readonly smart?: readonly WrittenSmart[];
  readonly cdsClients?: readonly CdsClientRegistration[];
}

const ajv = new Ajv2020({ allErrors: true, strict: false });
ajv.addFormat('system-url', isSystemUrl);
ajv.addFormat('origin', (text: string) => isSystemUrl(text) && new URL(text).origin === text);
const isWritten = ajv.compile<Written>(TRUST_SCHEMA);

/** Throws ConfigurationError naming every place that is wrong, and no secret. */
export function readTrustRegistry(file: string): TrustRegistry {
  const written = parse(file);
  const problems = isWritten(written) ? [] : (isWritten.errors ?? []).map(describe);
  if (problems.length > 0) throw unusable(problems);
  const { issuers = [], smart = [], cdsClients = [] } = written as Written;
  problems.push(...repeated('issuers', issuers), ...repeated('smart', smart), ...repeated('cdsClients', cdsClients));
  const registry: TrustRegistry = {
    issuers,
    smart: smart.map((each, index) => toSmart(each, dirname(file), (why) => problems.push(`/smart/${index}${why}`))),
    cdsClients,
  };
  if (problems.length > 0) throw unusable(problems);
  return registry;
}

function parse(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw unusable([error instanceof SyntaxError ? 'it is not JSON' : 'it cannot be read']);
  }
}

function toSmart(written: WrittenSmart, folder: string, fail: (why: string) => void): SmartRegistration {
  const { introspectionToken, introspectionTokenFile, connectOrigins = [], ...rest } = written;
  let token = introspectionToken;
  if (introspectionTokenFile !== undefined) {
    try {
      token = readFileSync(resolve(folder, introspectionTokenFile), 'utf8').trim();
    } catch {
      fail('/introspectionTokenFile cannot be read');
    }
  }
  return { ...rest, connectOrigins, ...(token !== undefined && { authorization: `Bearer ${token}` }) };
}

/** One issuer with two meanings would be whichever is found first. */
function repeated(list: string, entries: readonly { readonly iss: string }[]): string[] {
  const plain = entries.map(({ iss }) => iss.replace(/\/+$/, ''));
  return plain
    .map((iss, index) => (plain.indexOf(iss) < index ? `/${list}/${index}/iss is named twice` : undefined))
    .filter((problem) => problem !== undefined);
}

function isSystemUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password, search, hash } = new URL(text);
  if (username !== '' || password !== '' || search !== '' || hash !== '') return false;
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname));
}

const FORMATS: Readonly<Record<string, string>> = {
  'system-url': 'must be an https URL without credentials, query or fragment (http on loopback)',
  origin: 'must be an origin such as https://ehr.example',
};

/** Where and which rule; values may be secrets. */
function describe({ instancePath, keyword, params, message = 'is wrong' }: ErrorObject): string {
  const place = instancePath === '' ? 'the file' : instancePath;
  if (keyword === 'format') return `${place} ${FORMATS[String(params.format)] ?? message}`;
  if (keyword === 'additionalProperties')
    return `${place} has an unknown property ${String(params.additionalProperty)}`;
  if (keyword === 'oneOf') return `${place} needs exactly one of jwks and jwksUrl`;
  if (keyword === 'not') return `${place} names what must not be there: a private key, or one secret twice`;
  return `${place} ${message}`;
}

function unusable(problems: readonly string[]): ConfigurationError {
  return new ConfigurationError(`TRUST_FILE is not usable: ${problems.join('; ')}.`);
}
