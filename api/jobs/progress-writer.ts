import { CancelledError, TransientError } from '../errors.ts';
import type { AssessmentProgress } from '../assessment/assess-study.ts';
import { ContentTakenError } from './store.ts';
import type { AssessmentStore, Run } from './store.ts';

/** Steps within a stage are written at most this often, ms; a new stage or content key at once. */
const THROTTLE_MS = 250;

/**
 * Writes the progress of one run, in order. `write` never rejects, so that the story may call it without waiting. Where the
 * row says that the run is over (cancelled, begun anew) or its content belongs to another assessment, or where the database
 * fails, `ended` aborts with the CancelledError, ContentTakenError or DatabaseAwayError as its reason.
 */
export class ProgressWriter {
  readonly #run: Run;
  readonly #store: AssessmentStore;
  readonly #end = new AbortController();
  #stage: string | undefined;
  #writtenAt = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(run: Run, store: AssessmentStore) {
    this.#run = run;
    this.#store = store;
  }

  get ended(): AbortSignal {
    return this.#end.signal;
  }

  /** Whether the chart may hold parts of the result. */
  get hasBegunToWrite(): boolean {
    return this.#stage === 'writing-back';
  }

  write(update: AssessmentProgress): Promise<void> {
    const step = update.stage === this.#stage && update.contentKey === undefined;
    if (this.ended.aborted || (step && performance.now() - this.#writtenAt < THROTTLE_MS)) return Promise.resolve();
    this.#stage = update.stage;
    this.#writtenAt = performance.now();
    this.#last = this.#last.then(() => this.#advance(update));
    return this.#last;
  }

  /** Resolves when everything asked for is written. */
  flush(): Promise<void> {
    return this.#last;
  }

  async #advance(update: AssessmentProgress): Promise<void> {
    if (this.ended.aborted) return;
    try {
      if ((await this.#store.advance(this.#run, update)) === null) this.#end.abort(new CancelledError());
    } catch (error) {
      this.#end.abort(error instanceof ContentTakenError ? error : new DatabaseAwayError(error));
    }
  }
}

/** The work itself may be fine; it is begun again when the database is back. */
class DatabaseAwayError extends TransientError {
  constructor(cause: unknown) {
    super('queue-database-away', "The queue's database could not keep the progress.", {}, { cause });
  }
}
