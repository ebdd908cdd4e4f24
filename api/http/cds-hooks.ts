/**
 * /cds-services: discovery, the hooks and their feedback (CDS Hooks 2.0.1). A contract of its own, not that of openapi.yaml, so
 * this door stands before the validator of the other one.
 */
import express, { Router } from 'express';
import type { Request, RequestHandler } from 'express';
import type { CdsClientRegistration, CdsClientVerifier } from '../authorization/cds-client.ts';
import { answerHook, PrefetchMissingError } from '../cds/answer-hook.ts';
import type { HookParts } from '../cds/answer-hook.ts';
import type { Card } from '../cds/card.ts';
import { readFeedback } from '../cds/feedback.ts';
import type { FeedbackRecords } from '../cds/feedback.ts';
import { readHookCall } from '../cds/hook-call.ts';
import type { HookCall } from '../cds/hook-call.ts';
import { hooksOf, SERVICES } from '../cds/services.ts';
import { InvalidRequestError, NotFoundError } from '../errors.ts';
import { isLocalCall, UnauthorizedError } from './authenticate.ts';
import type { CdsMetrics } from './cds-metrics.ts';

export interface CdsParts {
  readonly hooks: HookParts;
  readonly feedback: FeedbackRecords;
  readonly metrics: CdsMetrics;
  readonly verifier: Pick<CdsClientVerifier, 'verify'>;
  /** Who calls without a token on this machine (the sandbox's own pages); undefined = every call needs a token. */
  readonly localClient?: CdsClientRegistration;
  /** Every spelling of the base of the EHR whose charts our records are about; the first is the one that is dialled. */
  readonly ownFhirServers: readonly string[];
}

/** Draft orders and prefetched bundles. */
const BODY_LIMIT = '2mb';

const PATHS = ['/cds-services', '/cds-services/:id', '/cds-services/:id/feedback'] as const;

type ServiceRequest = Request<{ id: string }>;

export function cdsRoutes(parts: CdsParts): Router {
  const router = Router();
  router.use('/cds-services', allowOrigins);
  PATHS.forEach((path) => router.options(path, (_request, response) => void response.status(204).end()));
  // Only /feedback and the hooks speak of patients; what is published is for everyone, but a token is verified all the same.
  router.get('/cds-services', async (request, response) => {
    if (request.get('authorization') !== undefined) await findClient(request, parts);
    const disclaimer = parts.hooks.disclaimer();
    const services = SERVICES.map((service) => ({
      ...service,
      usageRequirements: `${disclaimer} ${service.usageRequirements}`,
    }));
    response.json({ services });
  });

  const readBody = [requireJson, express.json({ limit: BODY_LIMIT, type: ['application/json'], inflate: false })];
  const admit: RequestHandler = async (request, response, next) => {
    response.locals.client = await findClient(request, parts);
    next();
  };
  router.post('/cds-services/:id', admit, readBody, async (request: ServiceRequest, response: express.Response) => {
    const hooks = hooksOf(request.params.id);
    if (hooks.length === 0) throw new NotFoundError('cds-service-not-found', 'There is no such CDS service here.');
    const call = readHookCall(request.body, hooks);
    const { fhirServer, isOwnEhr } = findEhr(call, response.locals.client as CdsClientRegistration, parts);
    response.json({ cards: await answer({ ...call, fhirServer }, isOwnEhr, parts) });
  });
  router.post(
    '/cds-services/:id/feedback',
    admit,
    readBody,
    async (request: ServiceRequest, response: express.Response) => {
      const { id } = request.params;
      if (hooksOf(id).length === 0)
        throw new NotFoundError('cds-service-not-found', 'There is no such CDS service here.');
      const { iss } = response.locals.client as CdsClientRegistration;
      await parts.feedback.add(id, iss, readFeedback(request.body));
      response.status(200).end(); // no body: an empty object is prohibited ("Use of JSON")
    },
  );
  return router;
}

async function answer(call: HookCall, isOwnEhr: boolean, { hooks, metrics }: CdsParts): Promise<readonly Card[]> {
  const { hook } = call;
  const stop = metrics.seconds.startTimer({ hook });
  try {
    const { cards, state } = await answerHook(call, isOwnEhr, hooks);
    metrics.answers.inc({ hook, state, cards: cards.length });
    return cards;
  } catch (error) {
    metrics.answers.inc({ hook, state: error instanceof PrefetchMissingError ? 'unknown' : 'error', cards: 0 });
    throw error;
  } finally {
    stop();
  }
}

/**
 * Any page may call ("Cross-Origin Resource Sharing"): what opens this door is a token in a header, which no browser adds by
 * itself. Cookies are not used here and credentials are not allowed.
 */
const allowOrigins: RequestHandler = (_request, response, next) => {
  response.set({
    'Access-Control-Allow-Origin': '*',
    'Access-Control-Allow-Methods': 'GET, POST, OPTIONS',
    'Access-Control-Allow-Headers': 'Authorization, Content-Type',
    'Access-Control-Max-Age': '600',
  });
  next();
};

const requireJson: RequestHandler = (request, _response, next) => {
  next(request.is('application/json') ? undefined : Object.assign(new Error('not JSON'), { status: 415 }));
};

/** Throws UnauthorizedError, the same for every fault. */
async function findClient(request: Request, parts: CdsParts): Promise<CdsClientRegistration> {
  const authorization = request.get('authorization');
  const path = request.originalUrl.split('?')[0];
  const client =
    authorization === undefined
      ? mayCallWithoutToken(request)
        ? parts.localClient
        : undefined
      : await parts.verifier.verify(authorization, `${parts.hooks.publicUrl()}${path}`);
  if (client === undefined || client === null) throw new UnauthorizedError();
  return client;
}

/** From this machine, and not by a page of another site that the user has open beside. */
function mayCallWithoutToken(request: Request): boolean {
  const origin = request.get('origin');
  const ownOrigin = `http://${request.get('host')}`;
  return isLocalCall(request) && (origin === undefined || origin === ownOrigin);
}

/**
 * Which EHR the call is about. Ids mean something in one EHR only: our records are looked up for our own EHR alone. A client
 * that does not name its FHIR server is taken to mean the one it is registered with.
 */
function findEhr(
  { fhirServer }: Pick<HookCall, 'fhirServer'>,
  { fhirServers }: CdsClientRegistration,
  { ownFhirServers }: CdsParts,
): { readonly fhirServer: string | undefined; readonly isOwnEhr: boolean } {
  const isOwn = (base: string): boolean => ownFhirServers.includes(base.replace(/\/+$/, ''));
  if (fhirServer === undefined) {
    const isOwnEhr = fhirServers.length > 0 && fhirServers.every(isOwn);
    return { fhirServer: isOwnEhr ? ownFhirServers[0] : undefined, isOwnEhr };
  }
  const registered = fhirServers.find((base) => base.replace(/\/+$/, '') === fhirServer);
  if (registered === undefined) {
    throw new InvalidRequestError(
      'fhir-server-not-registered',
      'The fhirServer is not one that this client is registered with; the administrator of this service can add it.',
    );
  }
  const isOwnEhr = isOwn(fhirServer);
  return { fhirServer: isOwnEhr ? ownFhirServers[0] : registered.replace(/\/+$/, ''), isOwnEhr };
}
