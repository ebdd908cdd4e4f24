/**
 * PGlite in its own thread: a query runs to its end without yielding, and must not hold up the service.
 * Messages: `{ id, text, values }` in, `{ id, rows }` or `{ id, error }` out; see pglite-database.ts.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';
import type { PgliteAnswer, PgliteRequest, PgliteWorkerData } from './pglite-database.ts';

const { folder, initializeOnly } = workerData as PgliteWorkerData;
const port = parentPort!;

const database = new PGlite({
  dataDir: folder,
  // Both are read when the cluster is made. 16 MB instead of 128 MB of buffers: the queue is small, and memory is the service's.
  postgresqlconf: ['shared_buffers=16MB\n'],
});

try {
  await database.waitReady;
} catch (error) {
  port.postMessage({ id: 0, error: toPlainError(error) } satisfies PgliteAnswer);
  throw error;
}

if (initializeOnly) {
  await database.close();
  port.postMessage({ id: 0, rows: [] } satisfies PgliteAnswer);
} else {
  // One after the other: there is one session, and what follows a failed statement must not meet its open transaction.
  let last: Promise<unknown> = Promise.resolve();
  port.on('message', (request: PgliteRequest) => {
    last = last.then(() => answer(request));
  });
  port.postMessage({ id: 0, rows: [] } satisfies PgliteAnswer);
}

async function answer({ id, text, values }: PgliteRequest): Promise<void> {
  try {
    if (text === undefined) {
      await database.close();
      port.postMessage({ id, rows: [] } satisfies PgliteAnswer);
      port.close();
      return;
    }
    port.postMessage({ id, rows: await run(text, values) } satisfies PgliteAnswer);
  } catch (error) {
    await database.exec('ROLLBACK').catch(() => undefined);
    port.postMessage({ id, error: toPlainError(error) } satisfies PgliteAnswer);
  }
}

/** query() takes one statement with parameters, exec() several without (extended and simple protocol). */
async function run(text: string, values?: unknown[]): Promise<unknown[]> {
  if (values !== undefined && values.length > 0) return (await database.query(text, values)).rows;
  return (await database.exec(text)).flatMap((result) => result.rows);
}

/** Errors do not keep their own properties across threads; SQLSTATE and constraint name are what callers branch on. */
function toPlainError(error: unknown): { message: string; code?: string; constraint?: string } {
  const { message, code, constraint } = error as { message?: string; code?: string; constraint?: string };
  return { message: message ?? String(error), code, constraint };
}
