/** Reading the address the app was launched with: untrusted, and fhirclient would take more from it than SMART allows. */
import { findIssuer } from './config.ts';
import type { AppConfig, Issuer } from './config.ts';

export type LaunchRequest =
  | { readonly kind: 'ehr'; readonly issuer: Issuer; readonly launch: string }
  | { readonly kind: 'standalone'; readonly issuer: Issuer }
  /** Several EHRs are configured and the address names none. */
  | { readonly kind: 'choose'; readonly issuers: readonly Issuer[] }
  | { readonly kind: 'refused'; readonly reason: string };

/** SMART App Launch 2.2: `iss` and `launch` in an EHR launch, neither in a standalone one. */
const KNOWN = new Set(['iss', 'launch']);

export function readLaunchRequest(search: string, config: AppConfig): LaunchRequest {
  const parameters = new URLSearchParams(search);
  const unknown = [...parameters.keys()].filter((key) => !KNOWN.has(key));
  // `patientId`, `clientId` and `fhirServiceUrl` would override what the EHR and the service say.
  if (unknown.length > 0) return refused('The launch address carries parameters that a SMART launch does not have.');
  if (parameters.getAll('iss').length > 1 || parameters.getAll('launch').length > 1) {
    return refused('The launch address names its EHR or its launch twice.');
  }
  const [iss, launch] = [parameters.get('iss'), parameters.get('launch')];
  if (iss === null) {
    if (launch !== null) return refused('The launch address names no EHR (iss).');
    if (config.issuers.length === 1) return { kind: 'standalone', issuer: config.issuers[0] };
    return config.issuers.length === 0
      ? refused('No EHR is configured for this app.')
      : { kind: 'choose', issuers: config.issuers };
  }
  const issuer = findIssuer(config, iss);
  if (issuer === undefined) return refused('This EHR (iss) is not on the list of the hemocast service.');
  return launch === null ? { kind: 'standalone', issuer } : { kind: 'ehr', issuer, launch };
}

function refused(reason: string): LaunchRequest {
  return { kind: 'refused', reason };
}

/** SMART v2 scopes. Binary and Device lie outside the Patient compartment: read with the user's own rights. */
const DATA_SCOPES = [
  'patient/Patient.r',
  'patient/ImagingStudy.rs',
  'patient/RiskAssessment.rs',
  'patient/Observation.rs',
  'patient/Media.rs',
  'patient/Provenance.rs',
  'patient/DocumentReference.rs',
  'user/Binary.r',
  'user/Device.r',
];

export function scopesOf(kind: 'ehr' | 'standalone'): string {
  return ['openid', 'fhirUser', kind === 'ehr' ? 'launch' : 'launch/patient', ...DATA_SCOPES].join(' ');
}

/** 256 random bits in base64url: SMART asks for at least 122 in `state`. */
export function newState(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return btoa(String.fromCharCode(...bytes)).replace(
    /[+/=]/g,
    (character) => ({ '+': '-', '/': '_', '=': '' })[character]!,
  );
}
