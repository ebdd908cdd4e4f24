/** What the service tells the app: the EHRs it may be launched from. */
export interface Issuer {
  /** FHIR base URL without trailing slash. */
  readonly iss: string;
  readonly clientId: string;
}

export interface AppConfig {
  readonly issuers: readonly Issuer[];
  readonly disclaimer: string;
  /** Median time of this service's latest assessments once their turn had come, ms; null before the first. */
  readonly usualMs: number | null;
}

/** Throws where the service does not answer. */
export async function readConfig(): Promise<AppConfig> {
  const response = await fetch('/app/config.json', { credentials: 'omit' });
  if (!response.ok) throw new Error(`The service answered ${response.status} when asked for the list of EHRs.`);
  return (await response.json()) as AppConfig;
}

/**
 * The allow-listed issuer that equals `iss` but for a trailing slash, or undefined. Exact, because a prefix would let
 * "https://ehr.example.evil" pass for "https://ehr.example".
 */
export function findIssuer(config: AppConfig, iss: string): Issuer | undefined {
  const plain = (url: string): string => url.replace(/\/+$/, '');
  return config.issuers.find((issuer) => plain(issuer.iss) === plain(iss));
}
