/** A process that does nothing but measure how late its own event loop runs: what the machine alone costs. Ends on a line of input. */
import { monitorEventLoopDelay } from 'node:perf_hooks';

const delay = monitorEventLoopDelay({ resolution: 10 });
delay.enable();
process.stdout.write('measuring\n');
process.stdin.once('data', () => {
  process.stdout.write(`${delay.max / 1e6}\n`);
  process.exit(0);
});
