/**
 * Entry of the network's process: `<bundle folder> <execution provider>`. Proves the network with the bundle's golden vector, then
 * answers one image at a time. It holds nothing but the bundle and one image on the model grid, and ends with its parent.
 */
import { RefusalError } from '../prediction/refusals.ts';
import { loadBundle } from './bundle.ts';
import type { FromNetwork, ToNetwork } from './network-protocol.ts';
import { OnnxModel } from './onnx-model.ts';
import type { Provider } from './providers.ts';

const [bundleDirectory, provider] = process.argv.slice(2);
const send = (message: FromNetwork): void => void process.send!(message);

// A signal to the whole group is the parent's to answer: it may still want what is being computed.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.on('disconnect', () => process.exit());

try {
  const model = await OnnxModel.open(loadBundle(bundleDirectory), provider as Provider);
  process.on('message', async ({ image }: ToNetwork) => {
    try {
      send({ kind: 'output', output: await model.run(image) });
    } catch (error) {
      if (error instanceof RefusalError) {
        send({ kind: 'refused', code: error.code, message: error.message, details: error.details });
      } else {
        send({ kind: 'failed', message: error instanceof Error ? error.message : String(error) });
      }
    }
  });
  send({ kind: 'ready' });
} catch (error) {
  send({ kind: 'unusable', message: error instanceof Error ? error.message : String(error) });
}
