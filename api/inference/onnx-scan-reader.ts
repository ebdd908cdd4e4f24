/**
 * The ScanReader port on a worker thread and the network's process behind it: one reading at a time, a deadline each, both made
 * anew after a crash or a hang. A cancelled reading is read to its end and thrown away: that is sooner than a fresh start.
 */
import { Worker } from 'node:worker_threads';
import type { ModelDescription, ModelDocuments, ScanReader, SeriesInput, SeriesReading } from '../assessment/ports.ts';
import { CancelledError, ConfigurationError, HemocastError, TransientError } from '../errors.ts';
import { RefusalError } from '../prediction/refusals.ts';
import { loadBundle } from './bundle.ts';
import type { PassedOver, ProviderChoice } from './providers.ts';
import type { FromWorker, ReadingWorkerData, ToWorker } from './reading-protocol.ts';

export interface OnnxScanReaderOptions extends ProviderChoice {
  /** Folder of the model bundle. */
  readonly modelBundle: string;
  /** Longest time for one reading before worker and network are ended and replaced, ms. */
  readonly readingTimeoutMs: number;
}

/** How long a worker that was told to end may take before it is ended, ms. */
const END_MS = 2_000;

interface Pending {
  readonly id: number;
  readonly onStage: (stage: string, fraction: number) => void;
  readonly resolve: (reading: SeriesReading) => void;
  readonly reject: (error: Error) => void;
}

export class OnnxScanReader implements ScanReader {
  readonly #options: OnnxScanReaderOptions;
  readonly #description: ModelDescription;
  readonly #documents: ModelDocuments;
  #worker: Worker | undefined;
  /** The last one started, also while it is not ready yet. */
  #latest: Worker | undefined;
  #starting: Promise<void> | undefined;
  #executionProvider: string | null = null;
  #passedOver: readonly PassedOver[] = [];
  #unusable: string | undefined;
  #pending: Pending | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  /** Resolves when the thread has done with what it was last given, wanted or not. */
  #idle: Promise<void> = Promise.resolve();
  #becomeIdle: () => void = () => undefined;
  #lastId = 0;
  #closed = false;

  private constructor(options: OnnxScanReaderOptions) {
    this.#options = options;
    ({ description: this.#description, documents: this.#documents } = loadBundle(options.modelBundle));
  }

  /** Loads the bundle and starts the worker; throws ConfigurationError when no provider reproduces the network's golden vector. */
  static async start(options: OnnxScanReaderOptions): Promise<OnnxScanReader> {
    const reader = new OnnxScanReader(options);
    await reader.#ensureWorker();
    return reader;
  }

  describe(): ModelDescription {
    return this.#description;
  }

  documents(): ModelDocuments {
    return this.#documents;
  }

  health(): ReturnType<ScanReader['health']> {
    const reason =
      this.#unusable ?? (this.#worker === undefined ? 'The reading worker is being restarted.' : undefined);
    return {
      ok: reason === undefined,
      reason,
      executionProvider: this.#executionProvider,
      passedOver: this.#passedOver,
    };
  }

  /** One reading at a time; a later call waits for the one before it. */
  read(
    input: SeriesInput,
    signal: AbortSignal,
    onStage: (stage: string, fraction: number) => void = () => undefined,
  ): Promise<SeriesReading> {
    const result = this.#queue.then(() => this.#readNow(input, signal, onStage));
    this.#queue = result.catch(() => undefined);
    return result;
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#latest !== undefined) await end(this.#latest);
  }

  async #readNow(
    input: SeriesInput,
    signal: AbortSignal,
    onStage: (stage: string, fraction: number) => void,
  ): Promise<SeriesReading> {
    await this.#idle;
    if (signal.aborted || this.#closed) throw new CancelledError();
    await this.#ensureWorker();
    const worker = this.#worker!;
    const id = ++this.#lastId;
    const deadlineMs = this.#options.readingTimeoutMs;
    return new Promise<SeriesReading>((resolve, reject) => {
      // The deadline holds for an abandoned reading, too.
      const timer = setTimeout(() => {
        const message = `Reading the scan took longer than ${deadlineMs} ms.`;
        const details = { deadlineMs };
        this.#settle(id, (pending) =>
          pending.reject(
            new HemocastError('reading-timeout', message, { status: 500, issueType: 'exception', details }),
          ),
        );
        if (this.#worker === worker) this.#worker = undefined;
        this.#becomeIdle();
        void end(worker);
        if (!this.#closed) void this.#ensureWorker().catch(() => undefined);
      }, deadlineMs);
      this.#idle = new Promise((done) => {
        this.#becomeIdle = () => {
          clearTimeout(timer);
          done();
        };
      });
      const abort = (): void => this.#settle(id, (pending) => pending.reject(new CancelledError()));
      signal.addEventListener('abort', abort, { once: true });
      const finish = (): void => signal.removeEventListener('abort', abort);
      this.#pending = {
        id,
        onStage,
        resolve: (reading) => (finish(), resolve(reading)),
        reject: (error) => (finish(), reject(error)),
      };
      const buffers = new Set(input.frames.map((frame) => frame.storedValues.buffer as ArrayBuffer));
      worker.postMessage({ kind: 'read', id, input } satisfies ToWorker, [...buffers]);
    });
  }

  #settle(id: number, how: (pending: Pending) => void): void {
    const pending = this.#pending;
    if (pending?.id !== id) return;
    this.#pending = undefined;
    how(pending);
  }

  #ensureWorker(): Promise<void> {
    if (this.#worker !== undefined) return Promise.resolve();
    this.#starting ??= this.#startWorker().finally(() => (this.#starting = undefined));
    return this.#starting;
  }

  #startWorker(): Promise<void> {
    const workerData: ReadingWorkerData = {
      bundleDirectory: this.#options.modelBundle,
      choice: { provider: this.#options.provider, softwareAdapter: this.#options.softwareAdapter },
    };
    const worker = new Worker(new URL('./reading-worker.ts', import.meta.url), { workerData });
    this.#latest = worker;
    return new Promise((resolve, reject) => {
      const lost = (reason: string): void => {
        if (this.#worker === worker) this.#worker = undefined;
        if (this.#latest === worker) this.#becomeIdle();
        const pending = this.#pending;
        if (pending) this.#settle(pending.id, ({ reject: fail }) => fail(new TransientError('reader-lost', reason)));
        reject(new ConfigurationError(reason));
      };
      worker.on('error', (error) => lost(`The reading worker ended: ${error.message}`));
      worker.on('exit', () => lost('The reading worker ended.'));
      worker.on('message', (message: FromWorker) => {
        if (['reading', 'refused', 'failed'].includes(message.kind)) this.#becomeIdle();
        switch (message.kind) {
          case 'ready':
            this.#worker = worker;
            this.#unusable = undefined;
            this.#executionProvider = message.executionProvider;
            this.#passedOver = message.passedOver;
            return resolve();
          case 'unusable':
            this.#unusable = message.message;
            void worker.terminate();
            return reject(new ConfigurationError(message.message));
          case 'stage':
            if (this.#pending?.id === message.id) this.#pending.onStage(message.stage, message.fraction);
            return;
          case 'reading':
            return this.#settle(message.id, ({ resolve: succeed }) => succeed(message.reading));
          case 'refused':
            return this.#settle(message.id, ({ reject: fail }) =>
              fail(new RefusalError(message.code, message.message, message.details)),
            );
          case 'failed':
            return this.#settle(message.id, ({ reject: fail }) =>
              fail(
                new HemocastError('reading-failed', 'Reading the scan failed.', {
                  status: 500,
                  issueType: 'exception',
                  cause: message.message,
                }),
              ),
            );
        }
      });
    });
  }
}

/** Told first, so that the network's process ends with it; a thread that does not listen is ended. Resolves when it is gone. */
async function end(worker: Worker): Promise<void> {
  if (worker.threadId === -1) return; // gone already
  const gone = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  worker.postMessage({ kind: 'end' } satisfies ToWorker);
  const timer = setTimeout(() => void worker.terminate(), END_MS);
  await gone;
  clearTimeout(timer);
}
