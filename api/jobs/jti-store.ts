import type { Database } from './database.ts';

/** Expired entries are dropped once in so many claims. */
const CLAIMS_PER_PURGE = 1_000;

/** Tokens that were used, in the queue's database: a replay is told also after a restart and in another process. */
export class StoredJtis {
  readonly #database: Database;
  #claims = 0;

  /** The tables are those of AssessmentStore.open. */
  constructor(database: Database) {
    this.#database = database;
  }

  /** Whether `key` was not claimed before; it is now, until `expiresAt`. */
  async claim(key: string, expiresAt: Date): Promise<boolean> {
    if (this.#claims++ % CLAIMS_PER_PURGE === 0) {
      await this.#database.executeSql('DELETE FROM hemocast.used_tokens WHERE expires_at < now()');
    }
    const { rows } = await this.#database.executeSql(
      'INSERT INTO hemocast.used_tokens (key, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING key',
      [key, expiresAt.toISOString()],
    );
    return rows.length === 1;
  }
}
