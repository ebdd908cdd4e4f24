/** Entry of the reading worker: everything that would stall the service's event loop happens here. */
import { parentPort, workerData } from 'node:worker_threads';
import { RefusalError } from '../prediction/refusals.ts';
import { loadBundle } from './bundle.ts';
import { OnnxModel } from './onnx-model.ts';
import { readSeries } from './read-series.ts';
import type { FromWorker, ReadingWorkerData, ToWorker } from './reading-protocol.ts';

const port = parentPort!;
const post = (message: FromWorker, transfer: ArrayBuffer[] = []): void => port.postMessage(message, transfer);
const { bundleDirectory, provider } = workerData as ReadingWorkerData;

try {
  const bundle = loadBundle(bundleDirectory);
  const model = await OnnxModel.open(bundle, provider);
  port.on('message', async ({ id, input }: ToWorker) => {
    try {
      const reading = await readSeries(input, bundle, model, (stage, fraction) =>
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
  });
  post({ kind: 'ready', executionProvider: model.executionProvider });
} catch (error) {
  post({ kind: 'unusable', message: error instanceof Error ? error.message : String(error) });
}
