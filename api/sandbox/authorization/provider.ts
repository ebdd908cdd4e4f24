/**
 * The sandbox's OAuth 2.0 and OpenID Connect server: oidc-provider, told what SMART App Launch 2.2 asks of an EHR. Its keys,
 * sessions and tokens live as long as the process.
 */
import { randomBytes } from 'node:crypto';
import { exportJWK, generateKeyPair } from 'jose';
import type { JWK } from 'jose';
import { errors, interactionPolicy, Provider } from 'oidc-provider';
import type { ClientMetadata, Configuration, KoaContextWithOIDC } from 'oidc-provider';
import type { LaunchContexts } from './launch-contexts.ts';
import { memoryAdapter } from './memory-adapter.ts';
import { problemPage } from './pages.ts';
import { isWithin, knownScopes } from './scopes.ts';

/** The clinician whom the sandbox takes to be signed in. */
export const CLINICIAN = 'Practitioner/sandbox-clinician';
export const APP_CLIENT_ID = 'hemocast-app';
/** Who may ask what a token is good for. */
export const INTROSPECTION_CLIENT_ID = 'hemocast-service';

const ACCESS_TOKEN_LIFETIME_S = 3_600;

/** A registered client of SMART Backend Services: its public keys and the most it may be granted. */
export interface BackendClient {
  readonly clientId: string;
  readonly keys: readonly JWK[];
  /** "system/RiskAssessment.cruds" ... */
  readonly scopes: readonly string[];
}

export interface ProviderOptions {
  /** Origin of the service ("http://127.0.0.1:8080"). */
  readonly origin: string;
  readonly contexts: LaunchContexts;
  readonly introspectionSecret: string;
  readonly backendClients: readonly BackendClient[];
  readonly onError?: (error: unknown) => void;
}

export async function createProvider(options: ProviderOptions): Promise<Provider> {
  const { origin, contexts, backendClients, onError } = options;
  const fhirBase = `${origin}/sandbox/fhir`;
  const provider = new Provider(`${origin}/sandbox/auth`, {
    adapter: memoryAdapter(clientsOf(options)),
    jwks: { keys: [await signingKey()] as never },
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    scopes: knownScopes(),
    // Everything about the user that a scope opens is in the id token.
    claims: { openid: ['sub'], fhirUser: ['fhirUser'] },
    conformIdTokenClaims: false,
    findAccount: (_ctx, accountId) => ({
      accountId,
      claims: () => ({ sub: accountId, fhirUser: `${fhirBase}/${CLINICIAN}` }),
    }),
    pkce: { required: () => true },
    responseTypes: ['code'],
    clientAuthMethods: ['none', 'client_secret_basic', 'private_key_jwt'],
    enabledJWA: { clientAuthSigningAlgValues: ['RS384', 'ES384'] },
    extraParams: {
      launch: null,
      // SMART App Launch 2.2: `aud` keeps a genuine token from being sent to a counterfeit FHIR server.
      aud: (_ctx: KoaContextWithOIDC, value: unknown) => {
        if (value !== fhirBase) throw new errors.InvalidRequest(`aud must be ${fhirBase}`);
      },
    },
    interactions: { policy: launchPolicy(), url: (_ctx, { uid }) => `/sandbox/auth/interaction/${uid}` },
    // Each launch is a grant of its own: two tabs with two patients share a session but never a context.
    loadExistingGrant: async (ctx) => {
      const grantId = ctx.oidc.result?.consent?.grantId;
      return grantId === undefined ? undefined : ctx.oidc.provider.Grant.find(grantId);
    },
    expiresWithSession: () => false,
    extraTokenClaims: (_ctx, token) => {
      if (token.kind === 'ClientCredentials') {
        assertGranted(token.scope, backendClients.find(({ clientId }) => clientId === token.clientId)?.scopes);
        return undefined;
      }
      const context = contexts.of(token.grantId);
      return { ...(context && tokenParameters(context)), fhirUser: `${fhirBase}/${CLINICIAN}` };
    },
    features: {
      devInteractions: { enabled: false },
      userinfo: { enabled: true },
      clientCredentials: { enabled: true },
      introspection: {
        enabled: true,
        allowedPolicy: (_ctx, client) => client.clientId === INTROSPECTION_CLIENT_ID,
      },
      revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId },
      rpInitiatedLogout: { enabled: false },
      resourceIndicators: { enabled: false },
      pushedAuthorizationRequests: { enabled: false },
      dPoP: { enabled: false },
    },
    routes: { authorization: '/authorize' },
    ttl: {
      AccessToken: ACCESS_TOKEN_LIFETIME_S,
      ClientCredentials: 300, // SMART Backend Services: at most 5 minutes recommended
      AuthorizationCode: 60,
      IdToken: ACCESS_TOKEN_LIFETIME_S,
      Interaction: 600,
      Grant: ACCESS_TOKEN_LIFETIME_S + 300,
      Session: 28_800,
    },
    renderError: (ctx, { error, error_description: description }) => {
      ctx.type = 'html';
      ctx.body = problemPage(error, description);
    },
  } satisfies Configuration);
  provider.use(addLaunchContext(contexts, `${fhirBase}/${CLINICIAN}`));
  provider.on('server_error', (_ctx, error) => onError?.(error));
  return provider;
}

/** Token response parameters of a launch, named as SMART names them. */
function tokenParameters(context: ReturnType<LaunchContexts['of']> & object): Record<string, unknown> {
  const { patient, imagingStudy, intent } = context;
  return {
    patient,
    ...(intent !== undefined && { intent }),
    ...(imagingStudy !== undefined && { fhirContext: [{ reference: `ImagingStudy/${imagingStudy}` }] }),
  };
}

function addLaunchContext(contexts: LaunchContexts, fhirUser: string): Parameters<Provider['use']>[0] {
  return async (ctx, next) => {
    await next();
    const { oidc, body } = ctx as KoaContextWithOIDC & { body?: { access_token?: string } };
    if (oidc?.route !== 'token' || body?.access_token === undefined) return;
    const context = contexts.of(oidc.entities.Grant?.jti);
    if (context === undefined) return;
    const { needPatientBanner, appContext } = context;
    Object.assign(body, tokenParameters(context), {
      need_patient_banner: needPatientBanner,
      fhirUser,
      ...(appContext !== undefined && { appContext }),
    });
  };
}

/** Every authorization asks the sandbox once: who is signed in, which patient, and what of the asked-for scopes is granted. */
function launchPolicy(): interactionPolicy.Prompt[] {
  const { Check, Prompt } = interactionPolicy;
  const undecided = new Check('launch_undecided', 'the launch has not been decided on', (ctx) =>
    ctx.oidc.result?.consent === undefined ? Check.REQUEST_PROMPT : Check.NO_NEED_TO_PROMPT,
  );
  return [
    new Prompt({ name: 'login', requestable: true }),
    new Prompt({ name: 'consent', requestable: true }, undecided),
  ];
}

function assertGranted(scope: string | undefined, allowed: readonly string[] = []): void {
  const wanted = scope?.split(' ') ?? [];
  if (wanted.length === 0 || !wanted.every((each) => isWithin(each, allowed))) {
    throw new errors.InvalidScope('this client is not registered for the scope', scope ?? '');
  }
}

function clientsOf({ origin, introspectionSecret, backendClients }: ProviderOptions): ClientMetadata[] {
  const withoutRedirect = { redirect_uris: [], response_types: [] } satisfies Partial<ClientMetadata>;
  return [
    {
      client_id: APP_CLIENT_ID,
      client_name: 'hemocast',
      redirect_uris: [`${origin}/app/index.html`],
      response_types: ['code'],
      grant_types: ['authorization_code'],
      token_endpoint_auth_method: 'none',
    },
    {
      client_id: INTROSPECTION_CLIENT_ID,
      client_secret: introspectionSecret,
      grant_types: [],
      token_endpoint_auth_method: 'client_secret_basic',
      ...withoutRedirect,
    },
    ...backendClients.map(({ clientId, keys }): ClientMetadata => ({
      client_id: clientId,
      grant_types: ['client_credentials'],
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys: [...keys] as never },
      ...withoutRedirect,
    })),
  ];
}

/** OpenID Connect Core 1.0 asks every provider for RS256. */
async function signingKey(): Promise<JWK> {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  return { ...(await exportJWK(privateKey)), alg: 'RS256', use: 'sig', kid: randomBytes(8).toString('hex') };
}
