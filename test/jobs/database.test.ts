import { mkdir, mkdtemp, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { openDatabase } from '../../api/jobs/database.ts';
import { describeOnEachDatabase } from '../support/databases.ts';

describeOnEachDatabase('The database', (config) => {
  it('runs several statements at once and carries on after one that fails', async () => {
    const database = await openDatabase(config());
    try {
      await expect(database.executeSql('BEGIN; SELECT 1 / 0; COMMIT')).rejects.toMatchObject({ code: '22012' });
      const { rows } = await database.executeSql('SELECT 1 AS one; SELECT 2 AS two');
      expect(rows).toEqual([{ one: 1 }, { two: 2 }]);
      expect((await database.executeSql('SELECT $1::int + 1 AS next', [41])).rows).toEqual([{ next: 42 }]);
    } finally {
      await database.close();
    }
  });
});

describe('The data folder of the embedded database', () => {
  let dataDir = '';
  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'hemocast-lock-'));
  });
  afterAll(() => rm(dataDir, { recursive: true, force: true }));

  it('is refused to a second opener, by name, and free again after a close', async () => {
    const first = await openDatabase({ dataDir });
    await first.executeSql('CREATE TABLE kept (value int); INSERT INTO kept VALUES (7)');
    await expect(openDatabase({ dataDir, lockWaitMs: 500 })).rejects.toMatchObject({
      code: 'configuration-invalid',
      message: expect.stringContaining(dataDir),
    });
    await first.close();
    const second = await openDatabase({ dataDir, lockWaitMs: 500 });
    expect((await second.executeSql('SELECT value FROM kept')).rows).toEqual([{ value: 7 }]);
    await second.close();
  });

  it('is taken over from a process that died without giving it back', async () => {
    const lock = join(dataDir, 'in-use.lock');
    await mkdir(lock);
    const longAgo = new Date(Date.now() - 60_000);
    await utimes(lock, longAgo, longAgo);
    const database = await openDatabase({ dataDir, lockWaitMs: 500 });
    await database.close();
  });

  it('that cannot be made is named', async () => {
    await expect(openDatabase({ dataDir: '/dev/null/data', lockWaitMs: 0 })).rejects.toMatchObject({
      code: 'configuration-invalid',
      message: expect.stringContaining('/dev/null/data'),
    });
  });
});

describe('A PostgreSQL server that cannot be reached', () => {
  it('is reported without the password of its URL', async () => {
    const opening = openDatabase({
      databaseUrl: 'postgresql://hemocast:canary-secret@127.0.0.1:1/x',
      dataDir: tmpdir(),
    });
    const error: Error = await opening.then(
      () => new Error('opened'),
      (reason: Error) => reason,
    );
    expect(error).toMatchObject({ code: 'configuration-invalid', message: expect.stringContaining('DATABASE_URL') });
    expect(JSON.stringify([error, error.message, error.stack])).not.toContain('canary-secret');
  });
});
