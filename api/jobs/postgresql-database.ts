import pg from 'pg';
import { ConfigurationError } from '../errors.ts';
import type { Database, QueryResult } from './database.ts';

/** SKIP LOCKED, generated identities and everything else the SQL here uses. */
const OLDEST_VERSION = 140_000;

/** Opens a pool on a PostgreSQL server. Throws ConfigurationError, which names the trouble but never the URL (it holds a password). */
export async function openPostgresql(databaseUrl: string): Promise<Database> {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    application_name: 'hemocast',
    max: 8,
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
  });
  // An idle connection that breaks is dropped by the pool and replaced on the next query.
  pool.on('error', () => undefined);
  try {
    const { rows } = await pool.query('SHOW server_version_num');
    if (Number(rows[0].server_version_num) < OLDEST_VERSION) {
      throw new ConfigurationError('DATABASE_URL names a PostgreSQL server older than 14; use 14 or newer.');
    }
  } catch (error) {
    await pool.end();
    if (error instanceof ConfigurationError) throw error;
    const code = (error as { code?: string }).code ?? 'no answer';
    throw new ConfigurationError(
      `The database of DATABASE_URL cannot be used (${code}): check host, port, user and password.`,
    );
  }
  return {
    kind: 'postgresql',
    async executeSql(text, values): Promise<QueryResult> {
      // Several statements in one text give an array of results.
      const result = await pool.query(text, values);
      return Array.isArray(result)
        ? { rows: result.flatMap((one: pg.QueryResult) => one.rows) }
        : { rows: result.rows };
    },
    onLost: () => undefined,
    close: () => pool.end(),
  };
}
