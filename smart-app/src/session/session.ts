/** Opening a session: completes the launch that launch.html began. */
import FHIR from 'fhirclient';
import type { Requested } from '../chart/forecast.ts';
import { findIssuer, readConfig } from './config.ts';
import { createEhrReader } from './launched.ts';
import type { Session } from './launched.ts';

/** As what a chart keeps a forecast: an EHR that has no RiskAssessment gets an Observation (api/ehr/degraded.ts). */
const FORECAST_TYPES = ['RiskAssessment', 'Observation'];
const ID = /^[A-Za-z0-9\-.]{1,64}$/;
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
