/**
 * Deciding on a launch. The sandbox takes its clinician to be signed in: an EHR launch is decided without a click, a standalone
 * launch with one, which chooses the patient.
 */
import type { Patient } from '@medplum/fhirtypes';
import { Router, urlencoded, type Request, type Response } from 'express';
import { errors, type Provider } from 'oidc-provider';
import type { SandboxRepository } from '../fhir/repository.ts';
import type { LaunchContext, LaunchContexts } from './launch-contexts.ts';
import { pagePolicy, pickerPage, problemPage, type PatientChoice } from './pages.ts';
import { CLINICIAN } from './provider.ts';
import { parseScope } from './scopes.ts';

type Interaction = Awaited<ReturnType<Provider['interactionDetails']>>;

export interface InteractionParts {
  readonly provider: () => Promise<Provider>;
  readonly contexts: LaunchContexts;
  readonly repository: SandboxRepository;
}

export function interactionRoutes({ provider: providerOf, contexts, repository }: InteractionParts): Router {
  const router = Router();

  const details = async (request: Request, response: Response): Promise<[Provider, Interaction] | undefined> => {
    response.set({
      'Content-Security-Policy': pagePolicy,
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
    });
    const provider = await providerOf();
    try {
      const interaction = await provider.interactionDetails(request, response);
      if (interaction.uid === request.params.uid) return [provider, interaction];
    } catch (error) {
      if (!(error instanceof errors.SessionNotFound)) throw error;
    }
    response.status(400).type('html').send(problemPage('expired', 'This launch has expired or was already answered.'));
    return undefined;
  };

  const finish = async (
    request: Request,
    response: Response,
    [provider, interaction]: [Provider, Interaction],
    context: LaunchContext | undefined,
  ): Promise<void> => {
    const grantId = await grant(provider, interaction);
    if (context !== undefined) contexts.bind(grantId, context);
    const result = { login: { accountId: CLINICIAN }, consent: { grantId } };
    await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  };

  router.get('/interaction/:uid', async (request, response) => {
    const found = await details(request, response);
    if (found === undefined) return;
    const [provider, { params, uid }] = found;
    const scopes = scopesOf(found[1]);
    if (scopes.includes('launch')) {
      const context = typeof params.launch === 'string' ? contexts.redeem(params.launch) : undefined;
      if (context !== undefined) return finish(request, response, found, context);
      const error = { error: 'invalid_request', error_description: 'launch is unknown, used or older than 5 minutes' };
      return provider.interactionFinished(request, response, error, { mergeWithLastSubmission: false });
    }
    if (!needsPatient(scopes)) return finish(request, response, found, undefined);
    const client = await provider.Client.find(String(params.client_id));
    const page = pickerPage(
      client?.clientName ?? 'An app',
      await choices(repository),
      `/sandbox/auth/interaction/${uid}`,
    );
    response.type('html').send(page);
  });

  router.post('/interaction/:uid', urlencoded({ extended: false, limit: '4kb' }), async (request, response) => {
    const found = await details(request, response);
    if (found === undefined) return;
    const { patient } = (request.body ?? {}) as { patient?: unknown };
    if (typeof patient !== 'string' || !repository.exists('Patient', patient)) {
      response.status(400).type('html').send(problemPage('unknown', 'There is no such patient.'));
      return;
    }
    await finish(request, response, found, { patient, needPatientBanner: true });
  });

  return router;
}

/** What is granted: of the scopes asked for, those of the app; a system scope is not for someone who is signed in. */
async function grant(provider: Provider, interaction: Interaction): Promise<string> {
  const granted = new provider.Grant({ accountId: CLINICIAN, clientId: String(interaction.params.client_id) });
  granted.addOIDCScope(
    scopesOf(interaction)
      .filter((scope) => parseScope(scope)?.level !== 'system')
      .join(' '),
  );
  return granted.save();
}

function scopesOf({ params }: Interaction): string[] {
  return typeof params.scope === 'string' ? params.scope.split(' ') : [];
}

function needsPatient(scopes: readonly string[]): boolean {
  return scopes.includes('launch/patient') || scopes.some((scope) => parseScope(scope)?.level === 'patient');
}

async function choices(repository: SandboxRepository): Promise<PatientChoice[]> {
  const patients = await repository.searchResources<Patient>({ resourceType: 'Patient', count: 200 });
  return patients.map(({ id, name, gender, birthDate }) => {
    const [{ family, given = [] } = {}] = name ?? [];
    return {
      id,
      name: [family, given.join(' ')].filter((part) => part).join(', ') || 'Name not stated',
      facts: [gender, birthDate === undefined ? undefined : `born ${birthDate}`].filter((fact) => fact).join(', '),
    };
  });
}
