/** Worker thread entry of DecodePool: decodes one object per message and answers with the frame or the refusal. */
import { parentPort } from 'node:worker_threads';
import type { Frame } from '../imaging/volume.ts';
import { computeInBackground } from '../priority.ts';
import { RefusalError, type Refusal } from '../prediction/refusals.ts';
import { decodeInstance } from './decode.ts';
import type { ParseLimits } from './safe-parse.ts';

export interface DecodeRequest {
  readonly bytes: Uint8Array;
  readonly limits: ParseLimits;
}

/** `ready` comes once, before the first request is taken. A fault is anything that is not a refusal. */
export type DecodeAnswer =
  | { readonly kind: 'ready' }
  | { readonly kind: 'frame'; readonly frame: Frame }
  | { readonly kind: 'refusal'; readonly refusal: Refusal }
  | { readonly kind: 'fault'; readonly name: string };

async function answer({ bytes, limits }: DecodeRequest): Promise<DecodeAnswer> {
  try {
    return { kind: 'frame', frame: await decodeInstance(bytes, limits) };
  } catch (error) {
    if (error instanceof RefusalError) return { kind: 'refusal', refusal: error.toRefusal() };
    return { kind: 'fault', name: error instanceof Error ? error.name : typeof error };
  }
}

computeInBackground();
const port = parentPort;
if (port === null) throw new Error('decode-worker.ts is started by DecodePool as a worker thread.');
port.on('message', (request: DecodeRequest) => {
  void answer(request).then((reply) => {
    const transfer = reply.kind === 'frame' ? [reply.frame.storedValues.buffer as ArrayBuffer] : [];
    port.postMessage(reply, transfer);
  });
});
port.postMessage({ kind: 'ready' } satisfies DecodeAnswer);
