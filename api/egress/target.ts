/**
 * From a URL to the registered system it belongs to. A URL is data (an Endpoint.address, a next link): it is followed only
 * when it says plainly that it lies below a registered base, on a path-segment boundary. Whatever two parsers could read
 * differently is refused rather than interpreted.
 */
import { isIP } from 'node:net';
import { ConfigurationError } from '../errors.ts';
import { classifyAddress } from './address.ts';
import { EgressRefusedError } from './egress-refused.ts';

/** A credential that ends and is asked for anew. */
export interface RenewedCredential {
  /** Value of the Authorization header, valid now. Rejects with a HemocastError. */
  current(): Promise<string>;
  /** The system answered 401 to this value. */
  rejected(authorization: string): void;
}

/** A system outside, as the administrator registers it. */
export interface EgressSystem {
  /** What the system is called in errors: "ehr", "pacs". */
  readonly name: string;
  /** Base URL; only URLs at or below it are dialled. */
  readonly baseUrl: string;
  /** Value of the Authorization header for this base only. Never logged. */
  readonly authorization?: string;
  /** In place of `authorization`, one that renews itself. */
  readonly credential?: RenewedCredential;
}

/** A registered system with its base taken apart. */
export interface RegisteredSystem {
  readonly name: string;
  readonly origin: string;
  /** Path of the base without trailing slash, "" for the root. */
  readonly basePath: string;
  readonly hostname: string;
  readonly loopback: boolean;
  readonly authorization?: string;
  readonly credential?: RenewedCredential;
}

/** Whether a host name of a URL is this machine itself. */
export function isLoopbackHost(hostname: string): boolean {
  const bare = hostname.replace(/^\[|\]$/g, '');
  return bare === 'localhost' || (isIP(bare) !== 0 && classifyAddress(bare) === 'loopback');
}

/** Checks the registered systems. Throws ConfigurationError: a wrong base is the administrator's to mend, at start. */
export function registerSystems(systems: readonly EgressSystem[]): readonly RegisteredSystem[] {
  const registered = new Map<string, RegisteredSystem>();
  for (const system of systems) {
    const entry = register(system);
    const key = entry.origin + entry.basePath;
    const twin = registered.get(key);
    if (twin !== undefined && (twin.authorization !== entry.authorization || twin.credential !== entry.credential)) {
      throw new ConfigurationError(`${twin.name} and ${entry.name} share one base URL but not one credential.`);
    }
    registered.set(key, twin ?? entry);
  }
  // Longest base first: the first that matches is the one whose credential applies.
  return [...registered.values()].sort((a, b) => b.basePath.length - a.basePath.length);
}

function register(system: EgressSystem): RegisteredSystem {
  const fail = (why: string): never => {
    throw new ConfigurationError(`The base URL of ${system.name} ${why}.`);
  };
  if (!URL.canParse(system.baseUrl)) fail('is not a URL');
  const url = new URL(system.baseUrl);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') fail('is not an http(s) URL');
  if (url.username !== '' || url.password !== '') fail('must not carry credentials');
  if (url.search !== '' || url.hash !== '') fail('must end with its path');
  const whyAmbiguous = ambiguity(url.pathname);
  if (whyAmbiguous !== undefined) fail(whyAmbiguous);
  const loopback = isLoopbackHost(url.hostname);
  const bare = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(bare) !== 0 && classifyAddress(bare) === 'forbidden') fail('names an address that no system can have');
  if (url.protocol === 'http:' && !loopback) fail('must be https outside loopback');
  return {
    name: system.name,
    origin: url.origin,
    basePath: url.pathname.replace(/\/+$/, ''),
    hostname: bare,
    loopback,
    authorization: system.authorization,
    credential: system.credential,
  };
}

/**
 * Finds the registered system a URL belongs to. Give the string as it was received: the checks on its spelling
 * (backslashes, numeric hosts, dot segments) are only possible before it is parsed.
 * Throws EgressRefusedError.
 */
export function findTarget(
  input: string | URL,
  systems: readonly RegisteredSystem[],
): { readonly url: URL; readonly system: RegisteredSystem } {
  const text = String(input);
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\u0000-\u0020\u007f\\]/.test(text)) {
    throw new EgressRefusedError('the URL holds white space, control characters or a backslash');
  }
  const written = /^(https?):\/\/([^/?#]*)([^?#]*)/.exec(text);
  if (written === null || !URL.canParse(text)) throw new EgressRefusedError('it is not an absolute http(s) URL');
  const url = new URL(text);
  const [, scheme, authority, path] = written;
  if (authority.includes('@')) throw new EgressRefusedError('the URL carries user information', url.hostname);
  const withoutDefaultPort = authority.replace(scheme === 'https' ? /:443$/ : /:80$/, '');
  if (withoutDefaultPort.toLowerCase() !== url.host) {
    throw new EgressRefusedError('the host is not written in its plain form', url.hostname);
  }
  const whyAmbiguous = ambiguity(path) ?? ambiguity(url.pathname);
  if (whyAmbiguous !== undefined) throw new EgressRefusedError(`the path ${whyAmbiguous}`, url.hostname);

  const system = systems.find(
    (candidate) => candidate.origin === url.origin && isBelow(url.pathname, candidate.basePath),
  );
  if (system === undefined) throw new EgressRefusedError('the URL lies below no registered system', url.hostname);
  url.hash = '';
  return { url, system };
}

/** Whether a path is the base or lies below it, on a segment boundary: /fhir-admin is not below /fhir. */
function isBelow(path: string, base: string): boolean {
  return path === base || path.startsWith(`${base}/`);
}

/** Why a server behind a proxy might read the path differently from us, or undefined. */
function ambiguity(path: string): string | undefined {
  const decodedOnce = path.replace(/%25/gi, '%');
  for (const spelling of [path, decodedOnce]) {
    if (/%(2f|5c|00|0a|0d)/i.test(spelling)) return 'holds an encoded slash, backslash or control character';
    const segments = spelling.replace(/%2e/gi, '.').split('/');
    if (segments.some((segment) => /^\.{1,2}(;|$)/.test(segment))) return 'holds a dot segment';
  }
  if (path.includes('//')) return 'holds an empty segment';
  return undefined;
}
