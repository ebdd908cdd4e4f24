import { setTimeout as pause } from 'node:timers/promises';
import { PgBoss } from 'pg-boss';
import type { Job } from 'pg-boss';
import { CancelledError } from '../errors.ts';
import { PausedError } from '../assessment/operation.ts';
import type { Assessment } from '../assessment/assessment.ts';
import type { AssessmentWork } from '../assessment/assessment-records.ts';
import type { SystemHealth } from '../assessment/ports.ts';
import type { Logger } from '../log.ts';
import type { Database } from './database.ts';
import { runAssessment, ShutdownError } from './run-assessment.ts';
import type { RunParts } from './run-assessment.ts';
import type { Run } from './store.ts';

/** What pg-boss keeps; everything else is in the row of the assessment. */
interface AssessJob {
  readonly assessmentId: string;
  readonly attempt: number;
}

const QUEUE = 'assess';
/** A worker that has not been heard of for so long is dead, s (the least that pg-boss takes). */
const HEARTBEAT_S = 10;
const SUPERVISE_S = 5;
/** An open assessment that has not changed for so long is checked for having a job, ms. */
const RECONCILE_MS = 15_000;
const HEALTH_TIMEOUT_MS = 2_000;
const INSTALL_ATTEMPTS = 4;

/**
 * The durable queue. The row of an assessment is the truth; a job only says when a worker takes it up, and is made again from
 * the row where it is missing: after a killed process, or when a send failed after the row was written.
 */
export class AssessmentQueue implements AssessmentWork {
  readonly #database: Database;
  readonly #boss: PgBoss;
  readonly #parts: RunParts;
  readonly #concurrency: number;
  readonly #running = new Map<string, AbortController>();
  #workerId: string | undefined;
  #reconciling: NodeJS.Timeout | undefined;
  #stopListening: (() => void) | undefined;

  private constructor(database: Database, boss: PgBoss, parts: RunParts, concurrency: number) {
    this.#database = database;
    this.#boss = boss;
    this.#parts = parts;
    this.#concurrency = concurrency;
  }

  /** Makes pg-boss's tables and the queue. Accepts work from here on; `start` begins it. */
  static async open(
    database: Database,
    parts: RunParts,
    options: { /** Assessments worked on at a time; the network has one thread. */ readonly concurrency?: number } = {},
  ): Promise<AssessmentQueue> {
    const boss = await startPgBoss(database, parts.log);
    await boss.createQueue(QUEUE, {
      policy: 'stately', // one waiting and one active job per assessment and attempt (singletonKey)
      heartbeatSeconds: HEARTBEAT_S,
      expireInSeconds: Math.ceil(parts.limits.assessmentTimeoutMs / 1000) + 60,
      retryLimit: 2, // of faults of the queue itself; those of the work are counted in the row (run-assessment.ts)
      retryDelay: 1,
      deleteAfterSeconds: 3_600,
    });
    return new AssessmentQueue(database, boss, parts, options.concurrency ?? 1);
  }

  /** Takes up what an earlier process left behind, then works. */
  async start(): Promise<void> {
    // The lock on the folder says that no other process lives: whatever its jobs claim to be doing, nobody is.
    if (this.#database.kind === 'pglite') await this.#boss.deleteAllJobs(QUEUE);
    await this.#reconcile(0);
    this.#stopListening = this.#parts.operation.onChange(({ mode }) => {
      if (mode === 'running') return;
      // Also when it goes dark: what is under way was begun to be written.
      for (const controller of this.#running.values()) controller.abort(new PausedError(`The service is ${mode}.`));
    });
    this.#workerId = await this.#boss.work<AssessJob>(
      QUEUE,
      { pollingIntervalSeconds: 0.5, localConcurrency: this.#concurrency, batchSize: 1 },
      async ([job]) => this.#work(job),
    );
    this.#reconciling = setInterval(() => {
      this.#reconcile(RECONCILE_MS).catch((error: unknown) =>
        this.#parts.log.error('queue could not be checked', { system: 'queue' }, error),
      );
    }, RECONCILE_MS);
    this.#reconciling.unref();
  }

  async submit(assessment: Assessment): Promise<void> {
    await this.#send(assessment, 0);
    if (this.#workerId !== undefined) this.#boss.notifyWorker(this.#workerId);
  }

  async cancel(id: string): Promise<Assessment | null> {
    const cancelled = await this.#parts.store.cancel(id);
    if (cancelled === null) {
      const current = await this.#parts.store.get(id);
      return current?.status === 'cancelled' ? current : null;
    }
    this.#running.get(id)?.abort(new CancelledError());
    // Where another process works on it, its next heartbeat finds the job gone.
    const jobs = await this.#boss.findJobs(QUEUE, { key: singletonKey(cancelled) });
    const live = jobs.filter(({ state }) => LIVE.has(state)).map((job) => job.id);
    if (live.length > 0) await this.#boss.cancel(QUEUE, live);
    return cancelled;
  }

  async health(signal: AbortSignal): Promise<SystemHealth> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(HEALTH_TIMEOUT_MS)]);
    const late = new Promise<never>((_, reject) =>
      limit.addEventListener('abort', () => reject(limit.reason), { once: true }),
    );
    try {
      await Promise.race([this.#database.executeSql('SELECT 1 AS one'), late]);
      return this.#workerId === undefined ? { ok: false, reason: 'The queue has not started yet.' } : { ok: true };
    } catch {
      return { ok: false, reason: `The queue's database (${this.#database.kind}) does not answer.` };
    }
  }

  /** Stops taking up work, hands running work back to the queue, and waits for it. The database stays open. */
  async stop(): Promise<void> {
    this.#stopListening?.();
    clearInterval(this.#reconciling);
    this.#reconciling = undefined;
    const stopped = this.#workerId === undefined ? undefined : this.#boss.offWork(QUEUE, { wait: true });
    this.#workerId = undefined;
    for (const controller of this.#running.values()) controller.abort(new ShutdownError('The service is stopping.'));
    await stopped;
    await this.#boss.stop({ graceful: true, close: false, timeout: 10_000 });
  }

  async #work(job: Job<AssessJob>): Promise<void> {
    const run: Run = { id: job.data.assessmentId, attempt: job.data.attempt };
    const controller = new AbortController();
    this.#running.set(run.id, controller);
    const began = performance.now();
    const fields = { assessmentId: run.id, attempt: run.attempt, jobId: job.id };
    this.#parts.log.debug('assessment is taken up', fields);
    try {
      const next = await runAssessment(run, this.#parts, AbortSignal.any([controller.signal, job.signal]));
      if (next !== null) await this.#send(run, next.afterMs);
      const durationMs = Math.round(performance.now() - began);
      this.#parts.log.debug('assessment is put down', { ...fields, durationMs, delayMs: next?.afterMs });
    } finally {
      if (this.#running.get(run.id) === controller) this.#running.delete(run.id);
    }
  }

  /** Sends what is open, has not changed for `unchangedMs` and has no job. */
  async #reconcile(unchangedMs: number): Promise<void> {
    for (const assessment of await this.#parts.store.listOpen(unchangedMs)) {
      const jobs = await this.#boss.findJobs(QUEUE, { key: singletonKey(assessment) });
      if (jobs.some(({ state }) => LIVE.has(state))) continue;
      this.#parts.log.info('assessment is taken up again', {
        assessmentId: assessment.id,
        attempt: assessment.attempt,
      });
      await this.#send(assessment, 0);
    }
  }

  async #send(run: Run, afterMs: number): Promise<void> {
    const data: AssessJob = { assessmentId: run.id, attempt: run.attempt };
    await this.#boss.send(QUEUE, data, { singletonKey: singletonKey(run), startAfter: afterMs / 1000 });
  }
}

/** Two services that start at once on an empty database install pg-boss at once; the one that lost finds it installed. */
async function startPgBoss(database: Database, log: Logger): Promise<PgBoss> {
  for (let attempt = 1; ; attempt++) {
    const boss = new PgBoss({
      db: { executeSql: (text, values) => database.executeSql(text, values) },
      backend: database.kind === 'pglite' ? 'pglite' : 'postgres',
      schedule: false,
      registerInstance: false,
      monitorVacuum: false,
      reindex: database.kind === 'postgresql',
      superviseIntervalSeconds: SUPERVISE_S,
      monitorIntervalSeconds: SUPERVISE_S,
      maintenanceIntervalSeconds: 3_600,
    });
    boss.on('error', (error) => log.error('queue error', { system: 'queue' }, error));
    try {
      return await boss.start();
    } catch (error) {
      await boss.stop({ graceful: false, close: false }).catch(() => undefined);
      if (attempt === INSTALL_ATTEMPTS) throw error;
      await pause(500 * attempt);
    }
  }
}

const LIVE: ReadonlySet<string> = new Set(['created', 'retry', 'active']);

function singletonKey(run: Run): string {
  return `${run.id}/${run.attempt}`;
}
