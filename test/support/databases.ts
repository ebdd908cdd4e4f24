/** The databases that the queue runs on: PGlite always, Debian's PostgreSQL where it is installed. */
import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe } from '@jest/globals';
import pg from 'pg';
import { describeWith, postgresqlBin } from './components.ts';
import { makeDataDir } from './embedded-data-dir.ts';

const run = promisify(execFile);

/** What `openDatabase` takes. */
export interface DatabaseConfig {
  readonly databaseUrl?: string;
  readonly dataDir: string;
}

/** Runs a suite on each database; `config()` names an empty one, the same throughout the suite. */
export function describeOnEachDatabase(name: string, suite: (config: () => DatabaseConfig) => void): void {
  describe(`${name}, on PGlite`, () => {
    let dataDir = '';
    beforeAll(async () => {
      dataDir = await makeDataDir();
    });
    afterAll(() => rm(dataDir, { recursive: true, force: true }));
    suite(() => ({ dataDir }));
  });

  describeWith('PostgreSQL', `${name}, on PostgreSQL`, () => {
    let server: PostgresqlServer;
    beforeAll(async () => {
      server = await startPostgresql();
    });
    afterAll(() => server.stop());
    suite(() => ({ databaseUrl: server.databaseUrl, dataDir: join(tmpdir(), 'hemocast-unused') }));
  });
}

export interface PostgresqlServer {
  readonly databaseUrl: string;
  stop(): Promise<void>;
}

/** A cluster of its own in a temporary folder, on a free loopback port. PostgreSQL refuses to run as root: then as `postgres`. */
export async function startPostgresql(): Promise<PostgresqlServer> {
  const bin = postgresqlBin();
  if (bin === undefined) throw new Error('PostgreSQL is not installed.');
  const folder = await mkdtemp(join(tmpdir(), 'hemocast-postgresql-'));
  const asRoot = process.getuid?.() === 0;
  const command = (program: string, args: string[]): [string, string[]] =>
    asRoot
      ? ['setpriv', ['--reuid=postgres', '--regid=postgres', '--clear-groups', join(bin, program), ...args]]
      : [join(bin, program), args];
  if (asRoot) {
    const [{ stdout: uid }, { stdout: gid }] = await Promise.all([
      run('id', ['-u', 'postgres']),
      run('id', ['-g', 'postgres']),
    ]);
    await chown(folder, Number(uid), Number(gid));
  }
  const data = join(folder, 'data');
  await run(...command('initdb', ['-D', data, '-U', 'hemocast', '-A', 'trust', '-E', 'UTF8', '--no-sync']), {
    cwd: folder,
  });
  const port = await freePort();
  const server = spawn(
    ...command('postgres', ['-D', data, '-p', String(port), '-h', '127.0.0.1', '-k', folder, '-F']),
    { cwd: folder, stdio: 'ignore' },
  );
  const databaseUrl = `postgresql://hemocast@127.0.0.1:${port}/postgres`;
  await untilAnswering(databaseUrl, server);
  return {
    databaseUrl,
    async stop() {
      const ended = new Promise((resolve) => server.once('exit', resolve));
      server.kill('SIGINT'); // fast shutdown
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function untilAnswering(databaseUrl: string, server: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 150; attempt++) {
    if (server.exitCode !== null) break;
    const client = new pg.Client({ connectionString: databaseUrl });
    try {
      await client.connect();
      await client.end();
      return;
    } catch {
      await client.end().catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
  throw new Error('The PostgreSQL server for the tests did not start.');
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
