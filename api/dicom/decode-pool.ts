/**
 * Decodes DICOM objects from outside in worker threads, so that neither a hostile object nor a large one can stall or
 * crash the service: each decode has a time limit, each worker a heap limit, and a worker that hangs or dies is replaced.
 */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { CancelledError, TransientError } from '../errors.ts';
import type { Frame } from '../imaging/volume.ts';
import { RefusalError } from '../prediction/refusals.ts';
import type { DecodeAnswer, DecodeRequest } from './decode-worker.ts';
import { malformed } from './malformed.ts';
import { PARSE_LIMITS } from './safe-parse.ts';

export interface DecodePoolOptions {
  /** Worker threads; default: the number of cores, at most 2. They start with the first decode. */
  readonly workers?: number;
  /** Largest object, in bytes, as received and after inflating; default 32 MiB. */
  readonly maxBytes?: number;
  /** Longest decode of one object, in ms; default 30 s, where a CT slice takes about 50 ms. */
  readonly timeoutMs?: number;
}

interface Job {
  readonly bytes: Uint8Array;
  readonly resolve: (frame: Frame) => void;
  readonly reject: (error: Error) => void;
}

interface Slot {
  readonly worker: Worker;
  ready: boolean;
  job?: Job;
  timer?: NodeJS.Timeout;
}

const HEAP_LIMIT_MB = 256;

export class DecodePool {
  readonly #size: number;
  readonly #maxBytes: number;
  readonly #timeoutMs: number;
  readonly #slots = new Set<Slot>();
  readonly #waiting: Job[] = [];
  #closed = false;

  constructor(options: DecodePoolOptions = {}) {
    this.#size = options.workers ?? Math.min(2, availableParallelism());
    this.#maxBytes = options.maxBytes ?? PARSE_LIMITS.maxBytes;
    this.#timeoutMs = options.timeoutMs ?? 30_000;
  }

  /**
   * Decodes one object. The caller keeps `bytes`: they are copied once, then moved to the worker; the stored values are
   * moved back.
   *
   * @param bytes a DICOM object with one frame and one sample per pixel
   * @throws RefusalError `dicom-malformed` (also: needs more memory than a worker has), `transfer-syntax-unsupported`,
   *   `sop-class-not-supported`, `photometric-interpretation-unsupported`
   * @throws TransientError `decode-timeout`, `decode-worker-failed`
   * @throws CancelledError when `signal` aborts or the pool is closed
   */
  decode(bytes: Uint8Array, signal?: AbortSignal): Promise<Frame> {
    if (this.#closed) return Promise.reject(new CancelledError('The decoder is closed.'));
    if (signal?.aborted) return Promise.reject(new CancelledError());
    return new Promise<Frame>((resolve, reject) => {
      const job: Job = { bytes, resolve, reject };
      const onAbort = (): void => {
        const place = this.#waiting.indexOf(job);
        if (place >= 0) this.#waiting.splice(place, 1);
        // A decode under way is left to end by itself: its answer finds nobody waiting.
        reject(new CancelledError());
      };
      if (signal !== undefined) {
        signal.addEventListener('abort', onAbort, { once: true });
        const forget = (): void => signal.removeEventListener('abort', onAbort);
        Object.assign(job, {
          resolve: (frame: Frame) => (forget(), resolve(frame)),
          reject: (error: Error) => (forget(), reject(error)),
        });
      }
      this.#waiting.push(job);
      this.#dispatch();
    });
  }

  /** Ends the workers. Whatever is still waiting is rejected with CancelledError. */
  async close(): Promise<void> {
    this.#closed = true;
    const closed = new CancelledError('The decoder is closed.');
    for (const job of this.#waiting.splice(0)) job.reject(closed);
    const slots = [...this.#slots];
    await Promise.all(slots.map((slot) => this.#retire(slot, closed)));
  }

  #dispatch(): void {
    const idle = [...this.#slots].filter((slot) => slot.ready && slot.job === undefined);
    for (const slot of idle) {
      const job = this.#waiting.shift();
      if (job === undefined) return;
      this.#begin(slot, job);
    }
    const starting = [...this.#slots].filter((slot) => !slot.ready).length;
    for (let needed = this.#waiting.length - starting; needed > 0 && this.#slots.size < this.#size; needed -= 1) {
      this.#start();
    }
  }

  #start(): void {
    const worker = new Worker(new URL('./decode-worker.ts', import.meta.url), {
      name: 'dicom-decode',
      env: {},
      execArgv: [],
      // Their console is never read: what a codec prints could quote the object.
      stdout: true,
      stderr: true,
      resourceLimits: { maxOldGenerationSizeMb: HEAP_LIMIT_MB },
    });
    worker.stdout.resume();
    worker.stderr.resume();
    const slot: Slot = { worker, ready: false };
    this.#slots.add(slot);
    worker.on('message', (answer: DecodeAnswer) => this.#onAnswer(slot, answer));
    worker.on('error', (error) => void this.#retire(slot, workerFailure(error)));
    worker.on('exit', () => void this.#retire(slot, workerFailure()));
  }

  #begin(slot: Slot, job: Job): void {
    slot.job = job;
    slot.worker.ref();
    slot.timer = setTimeout(() => void this.#retire(slot, timeout(this.#timeoutMs)), this.#timeoutMs);
    const bytes = new Uint8Array(job.bytes); // a copy in memory of its own, that can be moved
    const limits = { ...PARSE_LIMITS, maxBytes: this.#maxBytes, maxInflatedBytes: this.#maxBytes };
    slot.worker.postMessage({ bytes, limits } satisfies DecodeRequest, [bytes.buffer]);
  }

  #onAnswer(slot: Slot, answer: DecodeAnswer): void {
    const { job } = slot;
    clearTimeout(slot.timer);
    slot.job = undefined;
    slot.ready = true;
    slot.worker.unref(); // an idle pool does not keep the process alive
    if (answer.kind === 'frame') job?.resolve(answer.frame);
    if (answer.kind === 'refusal') {
      job?.reject(new RefusalError(answer.refusal.code, answer.refusal.message, answer.refusal.details));
    }
    if (answer.kind === 'fault') job?.reject(workerFailure(undefined, answer.name));
    this.#dispatch();
  }

  /** Ends one worker, for whatever reason; its job gets `reason`, the waiting ones a new worker. Repeating it does nothing. */
  async #retire(slot: Slot, reason: Error): Promise<void> {
    if (!this.#slots.delete(slot)) return;
    clearTimeout(slot.timer);
    // A worker that never came up fails the first in line: starting it again and again would hide the reason.
    const job = slot.job ?? (slot.ready ? undefined : this.#waiting.shift());
    job?.reject(reason);
    if (!this.#closed) this.#dispatch();
    await slot.worker.terminate();
  }
}

function timeout(limitMs: number): TransientError {
  return new TransientError('decode-timeout', `An image could not be decoded within ${limitMs / 1000} s.`, { limitMs });
}

function workerFailure(error?: Error, name?: string): Error {
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ERR_WORKER_OUT_OF_MEMORY') {
    return malformed(`The object needs more than ${HEAP_LIMIT_MB} MB of memory to be read.`, {
      limitMb: HEAP_LIMIT_MB,
    });
  }
  return new TransientError('decode-worker-failed', 'A decoder thread failed; the image can be tried again.', {
    cause: name ?? error?.name ?? 'exit',
  });
}
