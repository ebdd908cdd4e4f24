/** One launch: the EHR, its patient, and reading both with the user's token. */
import FHIR from 'fhirclient';
import type { Requested } from '../chart/forecast.ts';
import { findIssuer, readConfig } from './config.ts';
import type { AppConfig } from './config.ts';
import { nextPage } from './next-page.ts';
import type { Page } from './next-page.ts';

export interface Session {
  readonly config: AppConfig;
  /** "Patient/<id>" of the launch context. */
  readonly patientReference: string;
  readonly needPatientBanner: boolean;
  /** False in the sandbox, whose simulated patients stay where they were in time; the cards hold it so, too. */
  readonly windowEnds: boolean;
  /** What the card that launched the app asked to see; untrusted, held against the chart before use. */
  readonly requested: Requested;
  readonly ehr: EhrReader;
  /** A call to the hemocast service with the user's token. Path begins with "/v1/". */
  readonly callService: (path: string, init?: RequestInit) => Promise<Response>;
}

export interface EhrReader {
  /** "Patient/1" or "RiskAssessment?subject=Patient/1". Throws EhrError. */
  read(path: string): Promise<unknown>;
  /** Every resource of a search, or an error with words for the user: never a part of them. */
  search(path: string): Promise<readonly unknown[]>;
  readBytes(path: string, accept: string): Promise<ArrayBuffer>;
}

/** `status` 0: not reachable. */
export class EhrError extends Error {
  readonly status: number;
  constructor(status: number, what: string) {
    super(status === 0 ? `The EHR could not be reached (${what}).` : `The EHR answered ${status} for ${what}.`);
    this.status = status;
  }
}

/** As what a chart keeps a forecast: an EHR that has no RiskAssessment gets an Observation (api/ehr/degraded.ts). */
const FORECAST_TYPES = ['RiskAssessment', 'Observation'];
const ID = /^[A-Za-z0-9\-.]{1,64}$/;
/** More pages than any patient has; a server whose pages never end is not followed. */
const MOST_PAGES = 20;
/** Longest wait for an answer of the EHR, ms. */
const ANSWER_MS = 20_000;
/** Where the service keeps its sandbox EHR, on the app's own origin. */
const SANDBOX_PATH = '/sandbox/fhir';

/** Completes the authorization that launch.html began. Throws with words for the user. */
export async function openSession(): Promise<Session> {
  FHIR.oauth2.settings.fullSessionStorageSupport = false;
  const config = await readConfig();
  const client = await FHIR.oauth2.ready().catch((error: unknown) => {
    throw new Error(`The EHR did not open the app: ${error instanceof Error ? error.message : 'unknown reason'}`);
  });
  const { serverUrl, tokenResponse = {} } = client.state;
  if (findIssuer(config, serverUrl) === undefined)
    throw new Error('This EHR is not on the list of the hemocast service.');
  const patient = tokenResponse.patient;
  if (typeof patient !== 'string' || !ID.test(patient)) throw new Error('The EHR opened the app without a patient.');
  const headers = (): Record<string, string> => {
    const authorization = client.getAuthorizationHeader();
    return authorization === null ? {} : { authorization };
  };
  const baseUrl = serverUrl.replace(/\/+$/, '');
  return {
    config,
    patientReference: `Patient/${patient}`,
    needPatientBanner: tokenResponse.need_patient_banner !== false,
    windowEnds: baseUrl !== new URL(SANDBOX_PATH, location.origin).href,
    requested: readAppContext(tokenResponse.appContext),
    ehr: createEhrReader(baseUrl, headers),
    callService: (path, init = {}) =>
      fetch(path, { ...init, credentials: 'omit', headers: { ...headers(), ...(init.headers as object) } }),
  };
}

/** CDS Hooks 2.0.1: appContext is an opaque string; ours is JSON with two references. Anything else is as if absent. */
export function readAppContext(appContext: unknown): Requested {
  if (typeof appContext !== 'string' || appContext.length > 2_000) return {};
  try {
    const content = JSON.parse(appContext) as Record<string, unknown> | null;
    const reference = (key: string, types: readonly string[]): string | undefined => {
      const text = content?.[key];
      if (typeof text !== 'string') return undefined;
      return types.some((type) => text.startsWith(`${type}/`) && ID.test(text.slice(type.length + 1)))
        ? text
        : undefined;
    };
    return {
      riskAssessment: reference('riskAssessment', FORECAST_TYPES),
      imagingStudy: reference('imagingStudy', ['ImagingStudy']),
    };
  } catch {
    return {};
  }
}

export function createEhrReader(baseUrl: string, headers: () => Record<string, string>): EhrReader {
  /** `what` is the resource type in the words of an error: the address of a later page need not name it. */
  const get = async (path: string, accept: string, what = path.split(/[/?]/)[0]): Promise<Response> => {
    const init: RequestInit = {
      headers: { ...headers(), accept },
      credentials: 'omit',
      redirect: 'error',
      cache: 'no-store',
      // Pictures are large; an answer in JSON that takes longer is none.
      ...(accept === FHIR_JSON && { signal: AbortSignal.timeout(ANSWER_MS) }),
    };
    const response = await fetch(`${baseUrl}/${path}`, init).catch(() => undefined);
    if (response === undefined || !response.ok) throw new EhrError(response?.status ?? 0, what);
    return response;
  };
  return {
    read: async (path) => (await get(path, FHIR_JSON)).json(),
    async search(path) {
      const [what] = path.split('?');
      const resources: unknown[] = [];
      let next: string | undefined = path;
      for (let page = 0; next !== undefined; page++) {
        if (page === MOST_PAGES) throw new Error(`The EHR’s list of ${what} does not end; it was not read to its end.`);
        const bundle = (await (await get(next, FHIR_JSON, what)).json()) as Bundle | null;
        if (bundle?.resourceType !== 'Bundle') throw new Error(`The EHR answered with no list of ${what}.`);
        for (const { resource } of bundle.entry ?? []) resources.push(resource);
        next = nextPage(bundle, baseUrl);
      }
      return resources;
    },
    readBytes: async (path, accept) => (await get(path, accept)).arrayBuffer(),
  };
}

const FHIR_JSON = 'application/fhir+json';

interface Bundle extends Page {
  readonly resourceType?: unknown;
  readonly entry?: readonly { readonly resource?: unknown }[];
}
