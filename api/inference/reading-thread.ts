/**
 * One reading worker from its start to its end. The reading it is at and the deadline of it belong to the worker, so that one that
 * is ending cannot touch the work of the next.
 */
import { Worker } from 'node:worker_threads';
import type { SeriesInput, SeriesReading } from '../assessment/ports.ts';
import { CancelledError, ConfigurationError, HemocastError, TransientError } from '../errors.ts';
import { RefusalError } from '../prediction/refusals.ts';
import type { PassedOver } from './providers.ts';
import type { FromWorker, ReadingWorkerData, ToWorker } from './reading-protocol.ts';

/** How long a worker that was told to end may take before it is ended, ms. */
const END_MS = 2_000;

type Ready = Extract<FromWorker, { kind: 'ready' }>;

interface Task {
  readonly id: number;
  readonly onStage: (stage: string, fraction: number) => void;
  readonly resolve: (reading: SeriesReading) => void;
  readonly reject: (error: Error) => void;
  /** Takes deadline and listeners away, and lets the next one in. */
  readonly finish: () => void;
}

export class ReadingThread {
  readonly executionProvider: string;
  readonly passedOver: readonly PassedOver[];
  /** Resolves when the thread, and with it the network's process, is gone. */
  readonly gone: Promise<void>;
  readonly #worker: Worker;
  readonly #onLost: () => void;
  #task: Task | undefined;
  #idle: Promise<void> = Promise.resolve();
  #lastId = 0;
  #lost = false;

  private constructor(worker: Worker, gone: Promise<void>, ready: Ready, onLost: () => void) {
    this.#worker = worker;
    this.#onLost = onLost;
    this.gone = gone;
    this.executionProvider = ready.executionProvider;
    this.passedOver = ready.passedOver;
    worker.on('message', (message: FromWorker) => this.#hear(message));
    worker.on('error', (error) => this.#lose(lostBecause(`The reading worker ended: ${error.message}`)));
    void gone.then(() => this.#lose(lostBecause('The reading worker ended.')));
  }

  /**
   * Starts a worker; `closing` ends it, also on its way.
   *
   * @param onLost called once, when it has crashed or missed a deadline: nothing more can be asked of it
   * @throws ConfigurationError when no provider reproduces the network's golden vector
   */
  static async start(workerData: ReadingWorkerData, closing: AbortSignal, onLost: () => void): Promise<ReadingThread> {
    const worker = new Worker(new URL('./reading-worker.ts', import.meta.url), { workerData });
    const gone = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
    const stop = (): void => void end(worker, gone);
    closing.addEventListener('abort', stop, { once: true });
    try {
      const first = await new Promise<FromWorker>((resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', reject);
        void gone.then(() => reject(new Error('The reading worker ended.')));
      });
      if (first.kind === 'ready') return new ReadingThread(worker, gone, first, onLost);
      throw new Error(first.kind === 'unusable' ? first.message : `The reading worker began with "${first.kind}".`);
    } catch (error) {
      await end(worker, gone);
      throw new ConfigurationError((error as Error).message);
    } finally {
      closing.removeEventListener('abort', stop);
    }
  }

  /** Resolves when it has done with what it was last given, wanted or not. */
  idle(): Promise<void> {
    return this.#idle;
  }

  /**
   * One at a time, after `idle()`. A cancelled one is let go of at once and read to its end; the deadline holds for it, too.
   * Rejects with CancelledError, RefusalError, TransientError('reader-lost') or HemocastError('reading-timeout', 'reading-failed').
   */
  read(
    input: SeriesInput,
    signal: AbortSignal,
    deadlineMs: number,
    onStage: (stage: string, fraction: number) => void,
  ): Promise<SeriesReading> {
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId;
      const abort = (): void => reject(new CancelledError());
      signal.addEventListener('abort', abort, { once: true });
      const timer = setTimeout(() => this.#lose(tookLonger(deadlineMs)), deadlineMs);
      this.#idle = new Promise((done) => {
        const finish = (): void => {
          this.#task = undefined;
          clearTimeout(timer);
          signal.removeEventListener('abort', abort);
          done();
        };
        const tell: Task['onStage'] = (stage, fraction) => signal.aborted || onStage(stage, fraction);
        this.#task = { id, onStage: tell, resolve, reject, finish };
      });
      const buffers = new Set(input.frames.map((frame) => frame.storedValues.buffer as ArrayBuffer));
      this.#worker.postMessage({ kind: 'read', id, input } satisfies ToWorker, [...buffers]);
    });
  }

  /** Resolves when it is gone. */
  end(): Promise<void> {
    return end(this.#worker, this.gone);
  }

  #hear(message: FromWorker): void {
    const task = this.#task;
    if (message.kind === 'ready' || message.kind === 'unusable' || message.id !== task?.id) return;
    if (message.kind === 'stage') return task.onStage(message.stage, message.fraction);
    task.finish();
    switch (message.kind) {
      case 'reading':
        return task.resolve(message.reading);
      case 'refused':
        return task.reject(new RefusalError(message.code, message.message, message.details));
      case 'failed':
        return task.reject(
          new HemocastError('reading-failed', 'Reading the scan failed.', {
            status: 500,
            issueType: 'exception',
            cause: message.message,
          }),
        );
    }
  }

  #lose(error: Error): void {
    if (this.#lost) return;
    this.#lost = true;
    const task = this.#task;
    task?.finish();
    task?.reject(error);
    void this.end();
    this.#onLost();
  }
}

/** Told first, so that the network's process ends with it; a thread that does not listen is ended. Resolves when it is gone. */
async function end(worker: Worker, gone: Promise<void>): Promise<void> {
  worker.postMessage({ kind: 'end' } satisfies ToWorker);
  const timer = setTimeout(() => void worker.terminate(), END_MS);
  await gone;
  clearTimeout(timer);
}

function lostBecause(reason: string): TransientError {
  return new TransientError('reader-lost', reason);
}

function tookLonger(deadlineMs: number): HemocastError {
  return new HemocastError('reading-timeout', `Reading the scan took longer than ${deadlineMs} ms.`, {
    status: 500,
    issueType: 'exception',
    details: { deadlineMs },
  });
}
