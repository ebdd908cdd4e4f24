/** The sandbox's authorization server as one thing: its doors, and what a token that it gave is good for. */
import { randomBytes } from 'node:crypto';
import { json, Router, type Request, type Response } from 'express';
import type { Provider } from 'oidc-provider';
import type { SandboxRepository } from '../fhir/repository.ts';
import type { TokenAccess } from '../fhir/access.ts';
import { interactionRoutes } from './interaction.ts';
import { LaunchContexts, type LaunchContext } from './launch-contexts.ts';
import { createProvider, INTROSPECTION_CLIENT_ID, type BackendClient } from './provider.ts';

export interface AuthorizationServer {
  /** To be mounted at /sandbox/auth. */
  readonly router: Router;
  /** POST {"patient": "<id>", ...} -> {"launch": "<opaque>"}; for pages of the EHR itself. */
  readonly beginLaunch: (request: Request, response: Response) => void;
  /** Value of the Authorization header (RFC 7662) with which hemocast may ask about tokens. */
  readonly introspectionCredential: string;
  /** What the token opens, or undefined when this server did not give it or it has ended. */
  lookUp(token: string): Promise<TokenAccess | undefined>;
}

export interface AuthorizationServerOptions {
  /** Asked when first needed, once the service listens. */
  readonly origin: () => string;
  readonly repository: SandboxRepository;
  readonly backendClients?: readonly BackendClient[];
  readonly onError?: (error: unknown) => void;
}

export function createAuthorizationServer(options: AuthorizationServerOptions): AuthorizationServer {
  const { origin, repository, backendClients = [], onError } = options;
  const contexts = new LaunchContexts();
  const introspectionSecret = randomBytes(32).toString('base64url');
  let provider: Promise<Provider> | undefined;
  const providerOf = (): Promise<Provider> =>
    (provider ??= createProvider({ origin: origin(), contexts, introspectionSecret, backendClients, onError }));

  const router = Router();
  router.use(interactionRoutes({ provider: providerOf, contexts, repository }));
  router.use(async (request, response) => {
    await (await providerOf()).callback()(request, response);
  });

  const launchBody = json({ limit: '8kb', type: 'application/json' });
  return {
    router,
    introspectionCredential: `Basic ${Buffer.from(`${INTROSPECTION_CLIENT_ID}:${introspectionSecret}`).toString('base64')}`,
    beginLaunch: (request, response) =>
      launchBody(request, response, (error?: unknown) => {
        const context = error === undefined ? readLaunch(request.body, repository) : undefined;
        if (context === undefined) {
          response
            .status(400)
            .json({ error: 'Send {"patient": "<id of a Patient>", "imagingStudy"?, "intent"?, "appContext"?}.' });
        } else {
          response.set('Cache-Control', 'no-store').json({ launch: contexts.begin(context) });
        }
      }),
    async lookUp(token) {
      const { AccessToken, ClientCredentials } = await providerOf();
      const found = (await AccessToken.find(token)) ?? (await ClientCredentials.find(token));
      if (found === undefined || !found.isValid) return undefined;
      const patient = found.extra?.patient;
      return {
        scopes: found.scope?.split(' ') ?? [],
        ...(typeof patient === 'string' && { patient: `Patient/${patient}` }),
      };
    },
  };
}

function readLaunch(body: unknown, repository: SandboxRepository): LaunchContext | undefined {
  const {
    patient,
    imagingStudy,
    intent,
    appContext,
    needPatientBanner = true,
  } = (body ?? {}) as Record<string, unknown>;
  const isText = (value: unknown): value is string | undefined => value === undefined || typeof value === 'string';
  if (typeof patient !== 'string' || !repository.exists('Patient', patient)) return undefined;
  if (!isText(imagingStudy) || !isText(intent) || !isText(appContext)) return undefined;
  if (imagingStudy !== undefined && !repository.exists('ImagingStudy', imagingStudy)) return undefined;
  if (typeof needPatientBanner !== 'boolean') return undefined;
  return { patient, imagingStudy, intent, appContext, needPatientBanner };
}
