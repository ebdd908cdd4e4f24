import type { Operation, OperationMode, OperationSwitch } from '../assessment/operation.ts';
import type { Logger } from '../log.ts';
import type { Database } from './database.ts';

/** How soon a change made by another process is seen, ms: a pause must act within a second. */
const LOOK_MS = 500;

/** The switch in the queue's database: it outlives the process and is one for all processes on that database. */
export class StoredOperationSwitch implements OperationSwitch {
  readonly #database: Database;
  readonly #log: Logger;
  readonly #listeners = new Set<(operation: Operation) => void>();
  #operation: Operation;
  #looking: NodeJS.Timeout | undefined;

  private constructor(database: Database, log: Logger, operation: Operation) {
    this.#database = database;
    this.#log = log;
    this.#operation = operation;
  }

  /** The tables are those of AssessmentStore.open. */
  static async open(database: Database, log: Logger): Promise<StoredOperationSwitch> {
    const opened = new StoredOperationSwitch(database, log, await read(database));
    // The embedded database belongs to this process alone.
    if (database.kind === 'postgresql') opened.#looking = setInterval(() => void opened.#look(), LOOK_MS).unref();
    return opened;
  }

  current(): Operation {
    return this.#operation;
  }

  async set(mode: OperationMode, reason: string | null): Promise<Operation> {
    await this.#database.executeSql(
      `INSERT INTO hemocast.operation (mode, reason) VALUES ($1, $2)
       ON CONFLICT (only_one) DO UPDATE SET mode = excluded.mode, reason = excluded.reason, changed_at = now()`,
      [mode, reason],
    );
    this.#take(await read(this.#database));
    return this.#operation;
  }

  onChange(listener: (operation: Operation) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  close(): void {
    clearInterval(this.#looking);
  }

  async #look(): Promise<void> {
    try {
      this.#take(await read(this.#database));
    } catch (error) {
      this.#log.warn('the operation mode could not be read', { system: 'queue' }, error);
    }
  }

  #take(operation: Operation): void {
    const changed = operation.mode !== this.#operation.mode;
    this.#operation = operation;
    if (!changed) return;
    this.#log.warn('operation mode changed', { status: operation.mode });
    for (const listener of this.#listeners) listener(operation);
  }
}

async function read(database: Database): Promise<Operation> {
  const { rows } = await database.executeSql('SELECT mode, reason, changed_at FROM hemocast.operation');
  if (rows.length === 0) return { mode: 'running', changedAt: null, reason: null };
  const [{ mode, reason, changed_at: changedAt }] = rows as [
    { mode: OperationMode; reason: string | null; changed_at: Date },
  ];
  return { mode, reason, changedAt: changedAt.toISOString() };
}
