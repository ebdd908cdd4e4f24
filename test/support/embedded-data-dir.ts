/** Data folders for the embedded database. Making one takes seconds of a processor, copying one takes none: suites get copies. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repositoryRoot } from './components.ts';
import { startQueueService } from './queue-service.ts';

/** A folder of its own with an empty queue in it. The caller removes it. */
export async function makeDataDir(): Promise<string> {
  const template = await findTemplate();
  const dataDir = await mkdtemp(join(tmpdir(), 'hemocast-data-'));
  await cp(template, dataDir, { recursive: true });
  return dataDir;
}

/** Kept between runs, for as long as neither the dependencies nor the tables change. */
async function findTemplate(): Promise<string> {
  const madeFrom = ['package-lock.json', 'api/jobs/schema.ts', 'api/jobs/queue.ts', 'api/jobs/pglite-worker.ts'];
  const key = createHash('sha256');
  for (const file of madeFrom) key.update(readFileSync(join(repositoryRoot, file)));
  const cache = join(repositoryRoot, 'node_modules/.cache/hemocast');
  const template = join(cache, `queue-${key.digest('hex').slice(0, 16)}`);
  if (existsSync(template)) return template;

  await mkdir(cache, { recursive: true });
  const unfinished = await mkdtemp(join(cache, 'unfinished-'));
  const service = await startQueueService({ dataDir: unfinished }, { start: false });
  await service.close();
  try {
    await rename(unfinished, template);
  } catch {
    await rm(unfinished, { recursive: true, force: true }); // another test process was faster
  }
  return template;
}
