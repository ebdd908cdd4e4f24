/** The VolumeAssembler port on worker threads: one at a time, each with a deadline, none left running between looks. */
import { Worker } from 'node:worker_threads';
import type { InitialCt, VolumeAssembler } from '../assessment/initial-ct.ts';
import { CancelledError, HemocastError, TransientError } from '../errors.ts';
import type { Frame } from '../imaging/volume.ts';
import { RefusalError } from '../prediction/refusals.ts';
import type { VolumeAnswer } from './volume-worker.ts';

/** Longest time for one series, ms; 300 slices take about 4 s. */
const DEADLINE_MS = 60_000;

export class WorkerVolumeAssembler implements VolumeAssembler {
  #queue: Promise<unknown> = Promise.resolve();

  /** The frames' stored values move to the thread: the caller cannot use them afterwards. */
  assemble(frames: readonly Frame[], signal: AbortSignal): Promise<InitialCt> {
    const result = this.#queue.then(() => assembleInThread(frames, signal));
    this.#queue = result.catch(() => undefined);
    return result;
  }
}

async function assembleInThread(frames: readonly Frame[], signal: AbortSignal): Promise<InitialCt> {
  if (signal.aborted) throw new CancelledError();
  const worker = new Worker(new URL('./volume-worker.ts', import.meta.url), { name: 'initial-ct', env: {} });
  const lost = (): TransientError =>
    new TransientError('volume-worker-lost', 'Assembling the slices was cut off; ask again.', {});
  let timer: NodeJS.Timeout | undefined;
  try {
    const answer = await new Promise<VolumeAnswer>((resolve, reject) => {
      timer = setTimeout(() => reject(lost()), DEADLINE_MS);
      worker.on('message', resolve);
      worker.on('error', () => reject(lost()));
      worker.on('exit', () => reject(lost()));
      const buffers = new Set(frames.map((frame) => frame.storedValues.buffer as ArrayBuffer));
      worker.postMessage(frames, [...buffers]);
    });
    if (answer.kind === 'volume') return answer.ct;
    if (answer.kind === 'refused') {
      throw new RefusalError(answer.refusal.code, answer.refusal.message, answer.refusal.details);
    }
    throw new HemocastError('volume-failed', 'Assembling the slices failed.', {
      status: 500,
      issueType: 'exception',
      cause: answer.message,
    });
  } finally {
    clearTimeout(timer);
    void worker.terminate();
  }
}
