import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { ConfigurationError, HemocastError } from '../errors.ts';
import type { Database, QueryResult } from './database.ts';
import { lockDirectory } from './directory-lock.ts';

export interface PgliteWorkerData {
  readonly folder: string;
  /** Make the cluster and end: what that needs (about 1 GB at its peak) goes back with the thread. */
  readonly initializeOnly: boolean;
}

/** Without `text`: close. */
export interface PgliteRequest {
  readonly id: number;
  readonly text?: string;
  readonly values?: unknown[];
}

/** `id` 0 is the worker's own word that it is ready. */
export interface PgliteAnswer {
  readonly id: number;
  readonly rows?: unknown[];
  readonly error?: { readonly message: string; readonly code?: string; readonly constraint?: string };
}

/** Opens (and makes, the first time) the embedded database in `dataDir`/queue. Throws ConfigurationError. */
export async function openPglite(dataDir: string, lockWaitMs?: number): Promise<Database> {
  let lost: (error: Error) => void = () => undefined;
  const unlock = await lockDirectory(dataDir, (error) => lost(error), lockWaitMs);
  const folder = join(dataDir, 'queue');
  try {
    if (!existsSync(folder)) await makeCluster(folder);
    const thread = await PgliteThread.start({ folder, initializeOnly: false });
    lost = (error) => thread.lose(new DatabaseLostError('Another process took over the data folder.', error));
    return {
      kind: 'pglite',
      executeSql: (text, values) => thread.call(text, values),
      onLost: (listener) => thread.onLost(listener),
      async close() {
        await thread.close();
        await unlock().catch(() => undefined);
      },
    };
  } catch (error) {
    await unlock().catch(() => undefined);
    throw new ConfigurationError(
      `The embedded database in ${folder} cannot be opened. Restore the folder from a backup, or move it away to begin anew.`,
      { cause: (error as Error).message.slice(0, 200) },
    );
  }
}

/** Makes an empty cluster beside its place and moves it there: a process killed meanwhile leaves nothing half made. */
async function makeCluster(folder: string): Promise<void> {
  const unfinished = `${folder}.unfinished`;
  await rm(unfinished, { recursive: true, force: true });
  const thread = await PgliteThread.start({ folder: unfinished, initializeOnly: true });
  await thread.terminate();
  await rename(unfinished, folder);
}

/** The database went away while in use; the process cannot go on. */
export class DatabaseLostError extends HemocastError {
  constructor(message: string, cause?: unknown) {
    super('database-lost', message, { status: 503, issueType: 'exception', cause });
  }
}

/** The main thread's side of pglite-worker.ts. */
class PgliteThread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, { resolve(result: QueryResult): void; reject(error: Error): void }>();
  readonly #listeners: ((error: Error) => void)[] = [];
  #lastId = 0;
  #ended: Error | undefined;

  private constructor(data: PgliteWorkerData) {
    this.#worker = new Worker(new URL('./pglite-worker.ts', import.meta.url), { workerData: data, execArgv: [] });
    this.#worker.on('message', (answer: PgliteAnswer) => this.#settle(answer));
    this.#worker.on('error', (error) => this.lose(new DatabaseLostError('The embedded database failed.', error)));
    this.#worker.on('exit', () => this.lose(new DatabaseLostError('The embedded database ended.')));
  }

  /** Starts a worker and waits for its word that it is ready. */
  static async start(data: PgliteWorkerData): Promise<PgliteThread> {
    const thread = new PgliteThread(data);
    await new Promise<QueryResult>((resolve, reject) => thread.#waiting.set(0, { resolve, reject }));
    return thread;
  }

  call(text?: string, values?: unknown[]): Promise<QueryResult> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId;
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, text, values } satisfies PgliteRequest);
    });
  }

  onLost(listener: (error: Error) => void): void {
    this.#listeners.push(listener);
  }

  /** Fails everything in flight and everything after; tells the listeners once. */
  lose(error: Error): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    void this.#worker.terminate();
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    for (const listener of this.#listeners) listener(error);
  }

  async close(): Promise<void> {
    if (this.#ended !== undefined) return;
    const closed = this.call();
    this.#ended = new DatabaseLostError('The embedded database is closed.');
    await closed;
    await this.#worker.terminate();
  }

  async terminate(): Promise<void> {
    this.#ended = new DatabaseLostError('The embedded database is closed.');
    await this.#worker.terminate();
  }

  #settle({ id, rows, error }: PgliteAnswer): void {
    const caller = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) caller?.resolve({ rows: rows ?? [] });
    else caller?.reject(Object.assign(new Error(error.message), { code: error.code, constraint: error.constraint }));
  }
}
