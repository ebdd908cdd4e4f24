/** How long the service kept everyone waiting at most, by processor time and by the clock, the latter beside that of an idle process
 * that was measured at the same time on the same machine. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { ServiceProcess } from './service-process.ts';

export interface Stall {
  /** Most processor time the service's thread used in one turn of the event loop, ms. */
  readonly turnMs: number;
  /** Longest stall of the service's event loop, ms. */
  readonly serviceMs: number;
  /** Longest stall of an idle process meanwhile, ms. */
  readonly idleMs: number;
}

/** Runs `work` and measures meanwhile. The service's figure is that of /metrics, which each scrape sets back. */
export async function measureStall(service: ServiceProcess, work: () => Promise<unknown>): Promise<Stall> {
  const idle = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'idle-process.ts')],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  await once(idle.stdout, 'data');
  await scrape(service);
  await work();
  const { turnMs, serviceMs } = await scrape(service);
  idle.stdin.write('\n');
  const [answer] = (await once(idle.stdout, 'data')) as [Buffer];
  return { turnMs, serviceMs, idleMs: Number(answer.toString()) };
}

async function scrape(service: ServiceProcess): Promise<Pick<Stall, 'turnMs' | 'serviceMs'>> {
  const text = await (await service.fetch('/metrics')).text();
  const readMs = (name: string): number => 1000 * Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)![1]);
  return { turnMs: readMs('hemocast_longest_turn_seconds'), serviceMs: readMs('nodejs_eventloop_lag_max_seconds') };
}
