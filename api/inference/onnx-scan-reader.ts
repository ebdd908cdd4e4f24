/**
 * The ScanReader port on a worker thread and the network's process behind it: one reading at a time, a deadline each, both made
 * anew after a crash or a hang. A cancelled reading is read to its end and thrown away: that is sooner than a fresh start.
 */
import type { ModelDescription, ModelDocuments, ScanReader, SeriesInput, SeriesReading } from '../assessment/ports.ts';
import { CancelledError, TransientError } from '../errors.ts';
import { loadBundle } from './bundle.ts';
import type { ProviderChoice } from './providers.ts';
import { ReadingThread } from './reading-thread.ts';

export interface OnnxScanReaderOptions extends ProviderChoice {
  /** Folder of the model bundle. */
  readonly modelBundle: string;
  /** Longest time for one reading before worker and network are ended and replaced, ms. */
  readonly readingTimeoutMs: number;
}

/** Between losing a worker and starting the next one, ms: none after a reading that succeeded, then doubling. */
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;

export class OnnxScanReader implements ScanReader {
  readonly #options: OnnxScanReaderOptions;
  readonly #description: ModelDescription;
  readonly #documents: ModelDocuments;
  readonly #closing = new AbortController();
  #thread: ReadingThread | undefined;
  #starting: Promise<ReadingThread> | undefined;
  /** The worker before, until it is gone: two networks at a time may not fit into a GPU's memory. */
  #gone: Promise<void> = Promise.resolve();
  #unusable: string | undefined;
  #pauseMs = 0;
  #again: NodeJS.Timeout | undefined;
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(options: OnnxScanReaderOptions) {
    this.#options = options;
    ({ description: this.#description, documents: this.#documents } = loadBundle(options.modelBundle));
  }

  /** Loads the bundle and starts the worker; throws ConfigurationError when no provider reproduces the network's golden vector. */
  static async start(options: OnnxScanReaderOptions): Promise<OnnxScanReader> {
    const reader = new OnnxScanReader(options);
    try {
      await reader.#ready();
    } catch (error) {
      await reader.close();
      throw error;
    }
    return reader;
  }

  describe(): ModelDescription {
    return this.#description;
  }

  documents(): ModelDocuments {
    return this.#documents;
  }

  health(): ReturnType<ScanReader['health']> {
    const reason = this.#thread ? undefined : (this.#unusable ?? 'The reading worker is being restarted.');
    return {
      ok: reason === undefined,
      reason,
      executionProvider: this.#thread?.executionProvider ?? null,
      passedOver: this.#thread?.passedOver ?? [],
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
    this.#closing.abort();
    clearTimeout(this.#again);
    await this.#thread?.end();
    await this.#starting?.catch(() => undefined);
    await this.#gone;
  }

  async #readNow(
    input: SeriesInput,
    signal: AbortSignal,
    onStage: (stage: string, fraction: number) => void,
  ): Promise<SeriesReading> {
    const assertWanted = (): void => {
      if (signal.aborted || this.#closing.signal.aborted) throw new CancelledError();
    };
    await this.#thread?.idle();
    assertWanted();
    const thread = await this.#ready().catch((error: Error) => {
      assertWanted();
      throw new TransientError('reader-lost', `The network could not be started again. ${error.message}`);
    });
    assertWanted();
    const reading = await thread.read(input, signal, this.#options.readingTimeoutMs, onStage);
    this.#pauseMs = 0;
    return reading;
  }

  #ready(): Promise<ReadingThread> {
    if (this.#thread) return Promise.resolve(this.#thread);
    clearTimeout(this.#again);
    this.#starting ??= this.#start().finally(() => (this.#starting = undefined));
    return this.#starting;
  }

  async #start(): Promise<ReadingThread> {
    const { modelBundle: bundleDirectory, provider, softwareAdapter } = this.#options;
    const workerData = { bundleDirectory, choice: { provider, softwareAdapter } };
    await this.#gone;
    if (this.#closing.signal.aborted) throw new CancelledError();
    try {
      const thread = await ReadingThread.start(workerData, this.#closing.signal, () => {
        this.#thread = undefined;
        this.#gone = thread.gone;
        this.#replaceSoon();
      });
      this.#unusable = undefined;
      this.#thread = thread;
      return thread;
    } catch (error) {
      this.#unusable = (error as Error).message;
      this.#replaceSoon();
      throw error;
    }
  }

  /** Also without a reading that waits for it: a service that is not ready is sent none. */
  #replaceSoon(): void {
    if (this.#closing.signal.aborted) return;
    this.#again = setTimeout(() => void this.#ready().catch(() => undefined), this.#pauseMs);
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, Math.max(FIRST_PAUSE_MS, 2 * this.#pauseMs));
  }
}
