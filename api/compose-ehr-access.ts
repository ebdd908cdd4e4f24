/** How the service proves itself to the EHR in use where that gives out tokens (SMART Backend Services). */
import { BackendServices } from './authorization/backend-services.ts';
import { readClientKey } from './authorization/client-key.ts';
import type { ClientKey } from './authorization/client-key.ts';
import type { Config } from './config.ts';
import { Egress } from './egress/egress.ts';
import type { RenewedCredential } from './egress/egress.ts';

export interface EhrAccess {
  readonly credential: RenewedCredential;
  /** For the EHR to know: GET /.well-known/jwks.json. */
  readonly publicKey: ClientKey['publicJwk'];
  close(): Promise<void>;
}

/** What the service reads and writes, and nothing else. */
const SCOPE = [
  'system/Patient.rs',
  'system/ImagingStudy.rs',
  'system/Procedure.rs',
  'system/Endpoint.r',
  ...['RiskAssessment', 'Observation', 'Media', 'DocumentReference', 'Device', 'Provenance'].map(
    (type) => `system/${type}.crus`,
  ),
  'system/Binary.cru',
].join(' ');

/** undefined where no client is configured. Throws ConfigurationError. */
export async function composeEhrAccess({ ehr, ehrClient }: Config): Promise<EhrAccess | undefined> {
  if (ehr === undefined || ehrClient === undefined) return undefined;
  const { clientId, privateKeyFile, tokenUrl, scope = SCOPE } = ehrClient;
  const key = await readClientKey(privateKeyFile);
  // A way out of its own: nobody else can reach the authorization server, and this one reaches nothing else.
  const baseUrl = tokenUrl ?? new URL(ehr.baseUrl).origin;
  const egress = new Egress([{ name: 'ehr-authorization', baseUrl }]);
  const credential = new BackendServices({
    clientId,
    key,
    scope,
    fhirBase: ehr.baseUrl,
    tokenUrl,
    fetch: (...call) => egress.fetch(...call),
  });
  return { credential, publicKey: key.publicJwk, close: () => egress.close() };
}
