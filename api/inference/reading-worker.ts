/** Entry of the reading worker: everything that would stall the service's event loop happens here or, the network, in its process. */
import { parentPort, workerData } from 'node:worker_threads';
import type { SeriesInput } from '../assessment/ports.ts';
import { computeInBackground } from '../priority.ts';
import { RefusalError } from '../prediction/refusals.ts';
import { loadBundle } from './bundle.ts';
import { NetworkProcess } from './network-process.ts';
import { readSeries } from './read-series.ts';
import type { FromWorker, ReadingWorkerData, ToWorker } from './reading-protocol.ts';

computeInBackground();
const port = parentPort!;
const post = (message: FromWorker, transfer: ArrayBuffer[] = []): void => port.postMessage(message, transfer);
const { bundleDirectory, choice } = workerData as ReadingWorkerData;

try {
  const ending = new AbortController();
  port.on('message', (message: ToWorker) => {
    if (message.kind === 'end') ending.abort();
    else void read(message.id, message.input);
  });
  const bundle = loadBundle(bundleDirectory);
  const { network, passedOver } = await NetworkProcess.start(bundleDirectory, choice, process.env, ending.signal);
  network.onEnd(() => process.exit()); // this thread: the service starts both anew
  ending.signal.addEventListener('abort', () => network.kill());
  post({ kind: 'ready', executionProvider: network.executionProvider, passedOver });

  async function read(id: number, input: SeriesInput): Promise<void> {
    try {
      const reading = await readSeries(input, bundle, network, (stage, fraction) =>
        post({ kind: 'stage', id, stage, fraction }),
      );
      const { comparisonPng, followUpDicom } = reading.images;
      const { attention, difference } = reading.maps;
      const bytes = [comparisonPng, followUpDicom, attention.gzip, difference.gzip];
      post(
        { kind: 'reading', id, reading },
        bytes.map(({ buffer }) => buffer as ArrayBuffer),
      );
    } catch (error) {
      if (error instanceof RefusalError) {
        post({ kind: 'refused', id, code: error.code, message: error.message, details: error.details });
      } else {
        post({ kind: 'failed', id, message: error instanceof Error ? (error.stack ?? error.message) : String(error) });
      }
    }
  }
} catch (error) {
  post({ kind: 'unusable', message: error instanceof Error ? error.message : String(error) });
  port.unref();
}
