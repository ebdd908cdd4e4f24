/** The store and the queue on a real database, with the hospital in memory. */
import { Writable } from 'node:stream';
import { openDatabase } from '../../api/jobs/database.ts';
import type { Database } from '../../api/jobs/database.ts';
import { StoredOperationSwitch } from '../../api/jobs/operation-switch.ts';
import { AssessmentQueue } from '../../api/jobs/queue.ts';
import type { RunLimits } from '../../api/jobs/run-assessment.ts';
import { AssessmentStore } from '../../api/jobs/store.ts';
import type { Assessment } from '../../api/assessment/assessment.ts';
import { hasEnded, parseStudyReference } from '../../api/assessment/assessment.ts';
import { identify } from '../../api/assessment/ports.ts';
import { requestAssessment } from '../../api/assessment/request-assessment.ts';
import type { RequestedAssessment, RequestKind } from '../../api/assessment/request-assessment.ts';
import { createLogger } from '../../api/log.ts';
import type { Logger } from '../../api/log.ts';
import type { DatabaseConfig } from './databases.ts';
import { InMemoryHospital, MODEL } from './in-memory-hospital.ts';

/** Short enough for a test, in the proportions of the real ones. */
export const SHORT_LIMITS: RunLimits = {
  assessmentTimeoutMs: 20_000,
  instanceWaitMs: 60_000,
  lookAgainMs: [100, 200],
  retryMs: [100, 200],
};

export interface QueueService {
  readonly database: Database;
  readonly store: AssessmentStore;
  readonly queue: AssessmentQueue;
  readonly operation: StoredOperationSwitch;
  readonly hospital: InMemoryHospital;
  readonly log: Logger;
  /** Every line logged so far. */
  readonly logged: string[];
  request(
    study: string,
    options?: { kind?: RequestKind; force?: boolean; queueLimit?: number },
  ): Promise<RequestedAssessment>;
  close(): Promise<void>;
}

export async function startQueueService(
  config: DatabaseConfig,
  options: { limits?: Partial<RunLimits>; start?: boolean; hospital?: InMemoryHospital } = {},
): Promise<QueueService> {
  const hospital = options.hospital ?? new InMemoryHospital();
  const logged: string[] = [];
  const destination = new Writable({
    write(line: Buffer, _encoding, done) {
      logged.push(line.toString());
      done();
    },
  });
  const log = createLogger({ level: 'debug', destination });
  const database = await openDatabase(config);
  const store = await AssessmentStore.open(database);
  const operation = await StoredOperationSwitch.open(database, log);
  const queue = await AssessmentQueue.open(database, {
    store,
    log,
    operation,
    limits: { ...SHORT_LIMITS, ...options.limits },
    assess: hospital.assess,
    describeModel: () => identify(MODEL),
  });
  if (options.start !== false) await queue.start();
  return {
    database,
    store,
    queue,
    operation,
    hospital,
    log,
    logged,
    request: (study, { force = false, kind = force ? 'forced' : 'asked', queueLimit = 1_000 } = {}) =>
      requestAssessment(
        parseStudyReference(study),
        kind,
        {
          planStudy: hospital.planStudy,
          describeModel: () => MODEL,
          records: store,
          work: queue,
          queueLimit,
          writes: () => operation.current().mode !== 'shadow',
        },
        AbortSignal.timeout(10_000),
      ),
    async close() {
      await queue.stop();
      operation.close();
      await database.close();
    },
  };
}

/** Polls until the assessment is as wished; fails with what it was last. */
export async function until(
  store: AssessmentStore,
  id: string,
  wished: (assessment: Assessment) => boolean,
  timeoutMs = 20_000,
): Promise<Assessment> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const assessment = await store.get(id);
    if (assessment !== null && wished(assessment)) return assessment;
    if (Date.now() > deadline) throw new Error(`Waited in vain; the assessment is ${JSON.stringify(assessment)}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

export const untilEnded = (store: AssessmentStore, id: string, timeoutMs?: number): Promise<Assessment> =>
  until(store, id, hasEnded, timeoutMs);
