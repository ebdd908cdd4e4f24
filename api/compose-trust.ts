/** Whom the service trusts, put together: the trust registry, the sandbox's own authorization server, and the API token. */
import type { AuthorizerParts } from './authorization/authorizer.ts';
import { BearerJwtVerifier } from './authorization/bearer-jwt.ts';
import { Introspector } from './authorization/introspection.ts';
import { EMPTY_REGISTRY, readTrustRegistry } from './authorization/trust-registry.ts';
import type { SmartRegistration, TrustRegistry } from './authorization/trust-registry.ts';
import type { Config } from './config.ts';
import type { Egress, EgressSystem } from './egress/egress.ts';
import { ConfigurationError } from './errors.ts';
import type { SmartAppOptions } from './http/smart-app.ts';

export interface Trust {
  readonly registry: TrustRegistry;
  /** Key sets and introspection endpoints: what egress has to know. */
  readonly systems: readonly EgressSystem[];
  authentication(egress: Egress): AuthorizerParts;
  /** What the SMART app is told and allowed. */
  readonly app: Pick<SmartAppOptions, 'issuers' | 'frameAncestors' | 'connectOrigins'>;
}

export interface TrustParts {
  /** The EHR in use; its users are the ones whose tokens are asked about. */
  readonly ehr: { readonly baseUrl: string; readonly sandbox: boolean };
  /** The sandbox's credential for its own introspection endpoint. */
  readonly sandboxIntrospection?: string;
  /** Where clients on this machine reach the service. */
  readonly url: string;
}

/** Throws ConfigurationError. */
export function composeTrust(config: Config, { ehr, sandboxIntrospection, url }: TrustParts): Trust {
  const read = config.trustFile === undefined ? EMPTY_REGISTRY : readTrustRegistry(config.trustFile);
  const ownEhr = ehr.sandbox ? sandboxEntry(url, ehr.baseUrl, sandboxIntrospection) : undefined;
  const registry = ownEhr === undefined ? read : { ...read, smart: [...read.smart, ownEhr] };
  const elsewhere = registry.smart.findIndex(({ iss }) => bare(iss) !== bare(ehr.baseUrl));
  if (elsewhere >= 0) {
    throw new ConfigurationError(
      `TRUST_FILE is not usable: /smart/${elsewhere}/iss is not the EHR in use (EHR_FHIR_URL); one service serves one EHR.`,
    );
  }
  const isHospital = config.ehr !== undefined || config.pacs !== undefined;
  if (isHospital && config.apiToken === undefined && registry.issuers.length === 0) {
    throw new ConfigurationError(
      'The configuration is not usable: API_TOKEN, or issuers in TRUST_FILE, are required as soon as EHR_FHIR_URL or PACS_DICOMWEB_URL names a hospital’s system.',
    );
  }
  const smart = registry.smart.at(0);
  return {
    registry,
    systems: [
      ...registry.issuers.flatMap(({ jwksUrl }) =>
        jwksUrl === undefined ? [] : [{ name: 'issuer-keys', baseUrl: jwksUrl }],
      ),
      ...registry.smart.map(({ introspectionUrl, authorization }) => ({
        name: 'ehr-introspection',
        baseUrl: introspectionUrl,
        authorization,
      })),
    ],
    authentication: (egress) => ({
      apiToken: config.apiToken,
      notificationToken: config.notificationToken,
      requiresToken: isHospital || config.apiToken !== undefined || registry.issuers.length > 0,
      jwts: new BearerJwtVerifier(registry.issuers, (...call) => egress.fetch(...call)),
      users:
        smart &&
        new Introspector({
          url: smart.introspectionUrl,
          clientId: smart.clientId,
          fetch: (...call) => egress.fetch(...call),
        }),
    }),
    app: {
      issuers: registry.smart.map(({ iss, clientId }) => ({ iss, clientId })),
      frameAncestors: ehr.sandbox ? ["'self'"] : registry.smart.flatMap(({ frameAncestors }) => frameAncestors),
      connectOrigins: ehr.sandbox
        ? []
        : [...new Set(registry.smart.flatMap(({ iss, connectOrigins }) => [new URL(iss).origin, ...connectOrigins]))],
    },
  };
}

function sandboxEntry(url: string, iss: string, authorization: string | undefined): SmartRegistration {
  return {
    iss,
    clientId: 'hemocast-app',
    introspectionUrl: `${url}/sandbox/auth/token/introspection`,
    authorization,
    frameAncestors: [],
    connectOrigins: [],
  };
}

function bare(url: string): string {
  return url.replace(/\/+$/, '');
}
