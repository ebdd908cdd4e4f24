import type { Database } from './database.ts';

/** Expired entries are dropped once in so many writes. */
const WRITES_PER_PURGE = 1_000;

interface Claim {
  readonly key: string;
  readonly expiresAt: Date;
  resolve(isNew: boolean): void;
  reject(error: unknown): void;
}

/**
 * Tokens that were used, in the queue's database: a replay is told also after a restart and in another process. Claims that
 * arrive while one write is under way share the next, so a busy hour costs no more round trips than a quiet one.
 */
export class StoredJtis {
  readonly #database: Database;
  #waiting: Claim[] = [];
  #writing = false;
  #writes = 0;

  /** The tables are those of AssessmentStore.open. */
  constructor(database: Database) {
    this.#database = database;
  }

  /** Whether `key` was not claimed before; it is now, until `expiresAt`. */
  claim(key: string, expiresAt: Date): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ key, expiresAt, resolve, reject });
      if (!this.#writing) void this.#writeAll();
    });
  }

  async #writeAll(): Promise<void> {
    this.#writing = true;
    while (this.#waiting.length > 0) {
      const claims = this.#waiting;
      this.#waiting = [];
      try {
        const isNew = await this.#write(claims);
        for (const { key, resolve } of claims) resolve(isNew.delete(key)); // the same key twice: the second is a replay
      } catch (error) {
        for (const { reject } of claims) reject(error);
      }
    }
    this.#writing = false;
  }

  async #write(claims: readonly Claim[]): Promise<Set<string>> {
    if (this.#writes++ % WRITES_PER_PURGE === 0) {
      await this.#database.executeSql('DELETE FROM hemocast.used_tokens WHERE expires_at < now()');
    }
    const { rows } = await this.#database.executeSql(
      `INSERT INTO hemocast.used_tokens (key, expires_at) SELECT * FROM unnest($1::text[], $2::timestamptz[])
       ON CONFLICT DO NOTHING RETURNING key`,
      [claims.map(({ key }) => key), claims.map(({ expiresAt }) => expiresAt.toISOString())],
    );
    return new Set(rows.map(({ key }) => key as string));
  }
}
