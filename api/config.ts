/**
 * One frozen, typed configuration, read once from the environment. All problems are named at once; a value that is present
 * but unusable is an error, never replaced by a default.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { ConfigurationError } from './errors.ts';

/** An allow-listed system outside: its base URL and the credential that goes nowhere else. */
export interface SystemConfig {
  /** Base URL without trailing slash. */
  readonly baseUrl: string;
  /** Value of the Authorization header, or undefined for none. Never logged. */
  readonly authorization?: string;
}

/** The service as a client of the EHR's authorization server (SMART Backend Services). */
export interface EhrClientConfig {
  readonly clientId: string;
  /** PEM or JWK: EC P-384 or RSA. */
  readonly privateKeyFile: string;
  /** undefined = what the EHR's smart-configuration says. */
  readonly tokenUrl?: string;
  /** Scopes to ask for; undefined = those that the service uses. */
  readonly scope?: string;
}

export interface Config {
  readonly host: string;
  readonly port: number;
  /** Folder of everything durable: queue, sandbox EHR and PACS. */
  readonly dataDir: string;
  /** PostgreSQL connection string; undefined = embedded PGlite in dataDir. */
  readonly databaseUrl?: string;
  /** Folder of the model bundle in use. */
  readonly modelBundle: string;
  /** ONNX Runtime execution provider; auto = the fastest that works here. */
  readonly provider: 'auto' | 'cuda' | 'webgpu' | 'cpu';
  /** Let `webgpu` run on a Vulkan driver that computes on the CPU: for tests. */
  readonly softwareAdapter: boolean;
  /** Longest time for reading one scan before the network is killed and started anew, ms. */
  readonly readingTimeoutMs: number;
  /** The hospital's systems; undefined = the sandbox's. */
  readonly ehr?: SystemConfig;
  readonly pacs?: SystemConfig;
  /** In place of a bearer token for the EHR. */
  readonly ehrClient?: EhrClientConfig;
  /** DICOMweb root to STOW the generated image to; undefined = not stored in a PACS. */
  readonly storeGeneratedImage: boolean;
  /** Further DICOMweb roots an Endpoint may name. */
  readonly allowedDicomweb: readonly SystemConfig[];
  /** Where browsers and EHRs reach the service: an origin. Undefined = where this machine does. */
  readonly publicUrl?: string;
  /** File that says whose tokens, launches and hooks are trusted (authorization/trust-registry.ts). */
  readonly trustFile?: string;
  /** Bearer token that callers of /v1 may present; this or issuers in trustFile as soon as a hospital's own system is configured. Never logged. */
  readonly apiToken?: string;
  /** Bearer token of the EHR's Subscription: opens /v1/notifications and nothing else. Never logged. */
  readonly notificationToken?: string;
  /** Share of patients who bleed, assumed for the reported probability, 0..1. */
  readonly assumedPrevalence: number;
  /** Lower bounds of the moderate and the high risk band, 0..1. */
  readonly riskBandBounds: { readonly moderate: number; readonly high: number };
  /** Longest time one assessment may take, ms. */
  readonly assessmentTimeoutMs: number;
  /** Longest wait for instances that the ImagingStudy announces, ms. */
  readonly instanceWaitMs: number;
  /** Pause between two looks at what changed in the chart, ms. */
  readonly chartWatchMs: number;
  /** Whether eligible studies are assessed without anyone asking. */
  readonly autoAssess: boolean;
  /** Jobs that may wait; one more is answered 429. */
  readonly queueLimit: number;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent';
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the configuration. Throws ConfigurationError naming every problem.
 * Credentials: `EHR_TOKEN` / `PACS_TOKEN` (bearer), or `EHR_TOKEN_FILE` / `PACS_TOKEN_FILE` (a file holding one).
 */
export function readConfig(env: Environment, root: string = resolve(import.meta.dirname, '..')): Config {
  const problems: string[] = [];
  const fail = (key: string, why: string): void => void problems.push(`${key}: ${why}`);

  const number = (key: string, fallback: number, low: number, high: number): number => {
    const text = env[key];
    if (text === undefined || text === '') return fallback;
    const value = Number(text);
    if (!Number.isFinite(value) || value < low || value > high)
      fail(key, `"${text}" is not a number from ${low} to ${high}`);
    return value;
  };
  const oneOf = <T extends string>(key: string, fallback: T, allowed: readonly T[]): T => {
    const text = env[key];
    if (text === undefined || text === '') return fallback;
    if (!(allowed as readonly string[]).includes(text)) fail(key, `"${text}" is not one of ${allowed.join(', ')}`);
    return text as T;
  };
  const token = (key: string): string | undefined => {
    const file = env[`${key}_FILE`];
    if (env[key] && file) fail(key, `set either ${key} or ${key}_FILE, not both`);
    if (!file) return env[key] ? `Bearer ${env[key]}` : undefined;
    try {
      return `Bearer ${readFileSync(file, 'utf8').trim()}`;
    } catch {
      fail(`${key}_FILE`, 'the file cannot be read');
      return undefined;
    }
  };
  const systemUrl = (key: string, text: string): string | undefined => {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url === undefined || !/^https?:$/.test(url.protocol)) fail(key, 'is not an http(s) URL');
    else if (url.username || url.password) fail(key, 'must not carry credentials; use the token settings');
    else if (url.protocol === 'http:' && !isLoopback(url.hostname)) fail(key, 'must be https outside loopback');
    else return url.href.replace(/\/+$/, '');
    return undefined;
  };
  const origin = (key: string): string | undefined => {
    const text = env[key];
    const url = text ? systemUrl(key, text) : undefined;
    if (url !== undefined && new URL(url).origin !== url) fail(key, 'must be an origin without a path');
    return url;
  };
  const system = (urlKey: string, tokenKey: string): SystemConfig | undefined => {
    const authorization = token(tokenKey);
    const text = env[urlKey];
    if (!text) {
      if (authorization !== undefined) fail(tokenKey, `is set without ${urlKey}`);
      return undefined;
    }
    const baseUrl = systemUrl(urlKey, text);
    return baseUrl === undefined ? undefined : { baseUrl, authorization };
  };

  const ehrClient = (): EhrClientConfig | undefined => {
    const clientId = env.EHR_CLIENT_ID;
    const file = env.EHR_PRIVATE_KEY_FILE;
    const url = env.EHR_TOKEN_URL;
    const scope = env.EHR_SCOPES;
    if (!clientId) {
      const without = Object.entries({ EHR_PRIVATE_KEY_FILE: file, EHR_TOKEN_URL: url, EHR_SCOPES: scope });
      for (const [key, value] of without) if (value) fail(key, 'is set without EHR_CLIENT_ID');
      return undefined;
    }
    if (!env.EHR_FHIR_URL) fail('EHR_CLIENT_ID', 'is set without EHR_FHIR_URL');
    if (!file) fail('EHR_PRIVATE_KEY_FILE', 'is required with EHR_CLIENT_ID');
    const tokenUrl = url ? systemUrl('EHR_TOKEN_URL', url) : undefined;
    return { clientId, privateKeyFile: resolve(root, file ?? ''), tokenUrl, scope: scope || undefined };
  };

  const config: Config = {
    host: env.HOST || '127.0.0.1',
    port: number('PORT', 8080, 0, 65535),
    dataDir: resolve(root, env.DATA_DIR || 'data'),
    databaseUrl: env.DATABASE_URL || undefined,
    modelBundle: resolve(root, env.MODEL_BUNDLE || 'models/hemocast-tiny'),
    provider: oneOf('HEMOCAST_PROVIDER', 'auto', ['auto', 'cuda', 'webgpu', 'cpu']),
    softwareAdapter: oneOf('WEBGPU_SOFTWARE_ADAPTER', 'false', ['true', 'false']) === 'true',
    readingTimeoutMs: number('READING_TIMEOUT_MS', 120_000, 1_000, 3_600_000),
    ehr: system('EHR_FHIR_URL', 'EHR_TOKEN'),
    pacs: system('PACS_DICOMWEB_URL', 'PACS_TOKEN'),
    ehrClient: ehrClient(),
    storeGeneratedImage: oneOf('STORE_GENERATED_IMAGE', 'false', ['true', 'false']) === 'true',
    allowedDicomweb: (env.ALLOWED_DICOMWEB_URLS ?? '')
      .split(',')
      .map((text) => text.trim())
      .filter((text) => text !== '')
      .map((text) => systemUrl('ALLOWED_DICOMWEB_URLS', text))
      .filter((baseUrl) => baseUrl !== undefined)
      .map((baseUrl) => ({ baseUrl })),
    publicUrl: origin('PUBLIC_URL'),
    trustFile: env.TRUST_FILE ? resolve(root, env.TRUST_FILE) : undefined,
    apiToken: token('API_TOKEN')?.slice('Bearer '.length),
    notificationToken: token('NOTIFICATION_TOKEN')?.slice('Bearer '.length),
    assumedPrevalence: number('ASSUMED_PREVALENCE', 0.35, 0.01, 0.99),
    riskBandBounds: {
      moderate: number('RISK_BAND_MODERATE', 0.15, 0, 1),
      high: number('RISK_BAND_HIGH', 0.5, 0, 1),
    },
    assessmentTimeoutMs: number('ASSESSMENT_TIMEOUT_MS', 300_000, 1_000, 3_600_000),
    instanceWaitMs: number('INSTANCE_WAIT_MS', 900_000, 0, 86_400_000),
    chartWatchMs: number('CHART_WATCH_MS', 30_000, 100, 86_400_000),
    autoAssess: oneOf('AUTO_ASSESS', 'false', ['true', 'false']) === 'true',
    queueLimit: number('QUEUE_LIMIT', 200, 1, 100_000),
    logLevel: oneOf('LOG_LEVEL', 'info', ['debug', 'info', 'warn', 'error', 'silent']),
  };
  if (config.riskBandBounds.moderate >= config.riskBandBounds.high) {
    fail('RISK_BAND_MODERATE', 'must be below RISK_BAND_HIGH');
  }
  // Whether the file names an issuer is seen when it is read (compose-trust.ts).
  if ((config.ehr || config.pacs) && config.apiToken === undefined && config.trustFile === undefined) {
    fail(
      'API_TOKEN',
      "or TRUST_FILE is required as soon as EHR_FHIR_URL or PACS_DICOMWEB_URL names a hospital's system",
    );
  }
  if (config.softwareAdapter && config.provider !== 'webgpu')
    fail('WEBGPU_SOFTWARE_ADAPTER', 'is for HEMOCAST_PROVIDER=webgpu only');
  if (config.ehrClient && config.ehr?.authorization) fail('EHR_CLIENT_ID', 'set either it or EHR_TOKEN, not both');
  for (const [key, value] of [
    ['API_TOKEN', config.apiToken],
    ['NOTIFICATION_TOKEN', config.notificationToken],
  ] as const) {
    if (value !== undefined && value.length < 32) fail(key, 'must be at least 32 characters');
  }
  if (config.notificationToken !== undefined && config.notificationToken === config.apiToken) {
    fail('NOTIFICATION_TOKEN', 'must be another token than API_TOKEN');
  }
  if (problems.length > 0) throw new ConfigurationError(`The configuration is not usable: ${problems.join('; ')}.`);
  return Object.freeze(config);
}

/** Whether a host name of a URL is this machine itself (IPv4 127/8, ::1, localhost). */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(hostname);
}
