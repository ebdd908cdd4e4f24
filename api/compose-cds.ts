/** The CDS Hooks door with everything behind it: records, charts, tokens, feedback. */
import { BackgroundRequests } from './assessment/background-requests.ts';
import type { OperationSwitch } from './assessment/operation.ts';
import { requestAssessment } from './assessment/request-assessment.ts';
import type { RequestParts } from './assessment/request-assessment.ts';
import { CdsClientVerifier } from './authorization/cds-client.ts';
import type { CdsClientRegistration } from './authorization/cds-client.ts';
import { BeginFaults } from './cds/begin-faults.ts';
import type { Egress, EgressSystem } from './egress/egress.ts';
import { searchChart } from './ehr/chart-search.ts';
import { findEligibleStudy } from './ehr/eligible-study.ts';
import { UpstreamError } from './errors.ts';
import { CdsMetrics } from './http/cds-metrics.ts';
import type { CdsParts } from './http/cds-hooks.ts';
import type { Database } from './jobs/database.ts';
import { FeedbackStore } from './jobs/feedback-store.ts';
import { StoredJtis } from './jobs/jti-store.ts';
import type { Logger } from './log.ts';

/** Longest time a request that no one waits for may take to read chart and PACS listing, ms. */
const PLAN_TIMEOUT_MS = 30_000;

export interface CdsComposition {
  readonly database: Database;
  readonly egress: Egress;
  readonly requestParts: RequestParts;
  readonly operation: OperationSwitch;
  readonly log: Logger;
  readonly publicUrl: string;
  readonly ehr: { readonly baseUrl: string; readonly sandbox: boolean };
  /** The trust registry's `cdsClients`; their systems must be known to egress (cdsSystems). */
  readonly clients: readonly CdsClientRegistration[];
}

export function composeCds(parts: CdsComposition): CdsParts {
  const { database, egress, requestParts, operation, log, publicUrl, ehr, clients } = parts;
  const ownFhirServers = spellings(ehr, publicUrl);
  const faults = new BeginFaults();
  const background = new BackgroundRequests(
    (study) =>
      faults.watch(study, () =>
        requestAssessment(study, 'automatic', requestParts, AbortSignal.timeout(PLAN_TIMEOUT_MS)),
      ),
    (error) => log.warn('a study named by a hook could not be requested', { system: 'ehr' }, error),
  );
  const feedback = new FeedbackStore(database);
  return {
    hooks: {
      records: requestParts.records,
      searchChart(search, { fhirServer, accessToken, isOwnEhr }, signal) {
        const baseUrl = isOwnEhr ? ehr.baseUrl : fhirServer;
        if (baseUrl === undefined || (!isOwnEhr && accessToken === undefined)) {
          throw new UpstreamError('ehr-access-missing', 'The call lends no access to its EHR.');
        }
        return searchChart(search, { baseUrl, accessToken }, egress, signal);
      },
      findEligibleStudy,
      requestInBackground: (study) => background.add(study),
      beginFault: (study) => faults.of(study),
      mode: () => operation.current().mode,
      publicUrl: () => publicUrl,
      disclaimer: () => requestParts.describeModel().disclaimer,
      now: () => new Date(),
      windowEnds: !ehr.sandbox,
    },
    feedback,
    metrics: new CdsMetrics(feedback),
    verifier: new CdsClientVerifier({
      clients,
      jtis: new StoredJtis(database),
      fetch: (url, init, limits) => egress.fetch(url, init, limits),
      onRefusal: (code) => log.info('a CDS client was refused', { code }),
    }),
    localClient: ehr.sandbox ? { iss: 'local', fhirServers: ownFhirServers } : undefined,
    ownFhirServers,
  };
}

/** What egress must know of the clients: key sets and FHIR servers, none with a credential of ours. `known` bases keep theirs. */
export function cdsSystems(clients: readonly CdsClientRegistration[], known: readonly EgressSystem[]): EgressSystem[] {
  const bare = (url: string): string => url.replace(/\/+$/, '');
  const bases = new Set(known.map(({ baseUrl }) => bare(baseUrl)));
  return clients
    .flatMap(({ fhirServers, jwksUrl }) => [
      ...fhirServers.map((baseUrl) => ({ name: 'cds-client', baseUrl: bare(baseUrl) })),
      ...(jwksUrl === undefined ? [] : [{ name: 'cds-client-keys', baseUrl: jwksUrl }]),
    ])
    .filter(({ baseUrl }) => !bases.has(bare(baseUrl)));
}

/** How our own EHR may be named: by its base; the sandbox also by the names under which browsers reach it. */
function spellings({ baseUrl, sandbox }: CdsComposition['ehr'], publicUrl: string): readonly string[] {
  const names = [baseUrl];
  if (sandbox) names.push(`${publicUrl}/sandbox/fhir`, baseUrl.replace('//127.0.0.1:', '//localhost:'));
  return [...new Set(names.map((name) => name.replace(/\/+$/, '')))];
}
