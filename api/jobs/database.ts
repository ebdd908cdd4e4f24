/** Where assessments and jobs are kept: PostgreSQL, or the same PostgreSQL embedded (PGlite) when none is named. */
import { openPglite } from './pglite-database.ts';
import { openPostgresql } from './postgresql-database.ts';

export interface QueryResult {
  // Rows are typed where they are read (assessment-row.ts); pg-boss reads its own.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly rows: any[];
}

/** One database for the assessments and for pg-boss. Errors carry the SQLSTATE as `code`. */
export interface Database {
  readonly kind: 'postgresql' | 'pglite';
  /** One statement with `$1` parameters; without `values`, several statements are allowed (rows of all, in order). */
  executeSql(text: string, values?: unknown[]): Promise<QueryResult>;
  /** Calls back at most once, when the database is lost for good and the process should end. */
  onLost(listener: (error: Error) => void): void;
  close(): Promise<void>;
}

/**
 * Opens the database of `databaseUrl` (PostgreSQL 14 or newer), or PGlite in `dataDir`/queue under a lock on `dataDir`.
 * PGlite keeps what was acknowledged through a killed process, not through a power failure (it never calls fsync).
 * Throws ConfigurationError when it cannot be used: unreachable, too old, or the folder is in use by another process.
 */
export function openDatabase(config: {
  readonly databaseUrl?: string;
  readonly dataDir: string;
  /** How long to wait for the folder's lock, ms: longer than a lock outlives a killed process. */
  readonly lockWaitMs?: number;
}): Promise<Database> {
  return config.databaseUrl === undefined
    ? openPglite(config.dataDir, config.lockWaitMs)
    : openPostgresql(config.databaseUrl);
}
