/** One call's limits: how many bytes may come, how long it may take, how long it may stand still. */
import { CancelledError, HemocastError, TransientError, UpstreamError } from '../errors.ts';
import { toEgressError } from './network-errors.ts';

export interface EgressLimits {
  /** Bytes of the decompressed body, at most. */
  readonly maxBytes: number;
  /** From the call to the last byte of the body, ms. */
  readonly totalMs: number;
  /** Longest wait for the answer to begin (calls without a body) and for each next piece of it, ms. */
  readonly idleMs: number;
}

export const DEFAULT_LIMITS: EgressLimits = { maxBytes: 64 * 2 ** 20, totalMs: 30_000, idleMs: 10_000 };

export class BoundedCall {
  readonly #system: string;
  readonly #limits: EgressLimits;
  readonly #callerSignal: AbortSignal | undefined;
  readonly #controller = new AbortController();
  readonly #totalTimer: NodeJS.Timeout;
  #idleTimer: NodeJS.Timeout | undefined;

  constructor(system: string, limits: EgressLimits, callerSignal?: AbortSignal | null) {
    this.#system = system;
    this.#limits = limits;
    this.#callerSignal = callerSignal ?? undefined;
    this.#totalTimer = setTimeout(() => this.#expire('total', limits.totalMs), limits.totalMs).unref();
    if (this.#callerSignal?.aborted) this.#cancel();
    else this.#callerSignal?.addEventListener('abort', this.#cancel, { once: true });
  }

  /** Aborts with a HemocastError as its reason: TransientError on a deadline, CancelledError when the caller gave up. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  startWaiting(): void {
    clearTimeout(this.#idleTimer);
    this.#idleTimer = setTimeout(() => this.#expire('idle', this.#limits.idleMs), this.#limits.idleMs).unref();
  }

  stopWaiting(): void {
    clearTimeout(this.#idleTimer);
  }

  /** Ends all watching. Must be called once, whatever the outcome. */
  end(): void {
    clearTimeout(this.#totalTimer);
    clearTimeout(this.#idleTimer);
    this.#callerSignal?.removeEventListener('abort', this.#cancel);
  }

  /** The error the caller gets for what the engine threw: the reason of our own abort comes first. */
  explain(error: unknown): unknown {
    return this.signal.aborted ? this.signal.reason : toEgressError(error, this.#system);
  }

  /**
   * The body, counted as it is read. Counting follows decompression, and nothing is read ahead, so a compressed bomb costs
   * no more than `maxBytes`. Waiting is timed only while the reader is waiting: a slow reader is not a slow system.
   */
  bound(source: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
    const reader = source.getReader();
    let received = 0;
    const pull = async (controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> => {
      this.startWaiting();
      try {
        const { done, value } = await reader.read();
        this.stopWaiting();
        if (done) {
          this.end();
          controller.close();
          return;
        }
        received += value.byteLength;
        if (received > this.#limits.maxBytes) throw this.tooLarge();
        controller.enqueue(value);
      } catch (error) {
        const explained = this.explain(error);
        this.end();
        this.#controller.abort(explained);
        controller.error(explained);
      }
    };
    const cancel = async (): Promise<void> => {
      this.end();
      await reader.cancel().catch(() => undefined);
    };
    return new ReadableStream<Uint8Array>({ pull, cancel }, { highWaterMark: 0 });
  }

  /** Refuses by the announced length before anything is read. */
  checkAnnouncedLength(headers: Headers): void {
    if (Number(headers.get('content-length') ?? 0) > this.#limits.maxBytes) throw this.tooLarge();
  }

  tooLarge(): UpstreamError {
    return new UpstreamError('response-too-large', `The answer of ${this.#system} is larger than this call may be.`, {
      system: this.#system,
      maxBytes: this.#limits.maxBytes,
    });
  }

  readonly #cancel = (): void => {
    const reason: unknown = this.#callerSignal?.reason;
    if (reason instanceof HemocastError) this.#controller.abort(reason);
    else if (isTimeout(reason)) this.#expire('caller', null);
    else this.#controller.abort(new CancelledError('The call was cancelled by its caller.'));
  };

  #expire(deadline: 'total' | 'idle' | 'caller', limitMs: number | null): void {
    const message = `${this.#system} did not answer in time.`;
    this.#controller.abort(
      new TransientError('upstream-timeout', message, { system: this.#system, deadline, limitMs }),
    );
  }
}

/** AbortSignal.timeout() aborts with a DOMException named TimeoutError. */
function isTimeout(reason: unknown): boolean {
  return typeof reason === 'object' && reason !== null && (reason as { name?: unknown }).name === 'TimeoutError';
}
