import type { Database } from './database.ts';

/**
 * Where an EHR that chooses ids itself has put the bytes of a picture (ehr/write-by-create.ts), kept through a killed process
 * so that the next run finds them instead of storing them twice. The tables are those of AssessmentStore.open.
 */
export class PictureLedger {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** "Binary/<id>" */
  async get(key: string): Promise<string | undefined> {
    const { rows } = await this.#database.executeSql('SELECT reference FROM hemocast.pictures WHERE key = $1', [key]);
    return rows[0]?.reference as string | undefined;
  }

  async set(key: string, reference: string): Promise<void> {
    await this.#database.executeSql(
      `INSERT INTO hemocast.pictures (key, reference) VALUES ($1, $2)
       ON CONFLICT (key) DO UPDATE SET reference = excluded.reference`,
      [key, reference],
    );
  }
}
