import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Bundle, Patient } from '@medplum/fhirtypes';
import { Journal } from '../../api/sandbox/fhir/journal.ts';
import { callFhir, startFhir } from './support/fhir-client.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sandbox-durability-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const journalFile = (): string => join(folder, 'journal.ndjson');
const patient = (id: string): Patient => ({ resourceType: 'Patient', id, gender: 'male' });

async function startProcess(): Promise<{ base: string; kill(): Promise<void> }> {
  const script = join(import.meta.dirname, 'support/fhir-process.ts');
  const child = spawn(process.execPath, [script, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const [line] = (await Promise.race([
    once(child.stdout, 'data'),
    exited.then(() => Promise.reject(new Error('The FHIR server did not start.'))),
  ])) as [Buffer];
  return {
    base: line.toString().trim(),
    kill: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

describe('The chart survives', () => {
  it('a kill -9: every acknowledged write is there, whole transactions only', async () => {
    const acknowledged = new Set<string>();
    const raw = Buffer.from('pixels');
    for (let round = 0; round < 3; round += 1) {
      const { base, kill } = await startProcess();
      let running = true;
      const write = async (writer: number): Promise<void> => {
        for (let count = 0; running; count += 1) {
          const id = `r${round}-w${writer}-${count}`;
          const entry = ['a', 'b'].map((part) => ({
            resource: patient(`${id}-${part}`),
            request: { method: 'PUT' as const, url: `Patient/${id}-${part}` },
          }));
          try {
            const bundle: Bundle = { resourceType: 'Bundle', type: 'transaction', entry };
            const binary = await callFhir(`${base}/Binary/${id}`, 'PUT', raw, { 'content-type': 'image/png' });
            const { status } = await callFhir(base, 'POST', bundle);
            if (status === 200 && binary.status === 201) acknowledged.add(id);
          } catch {
            return; // The server is gone.
          }
        }
      };
      const writers = [0, 1, 2, 3].map(write);
      const enough = acknowledged.size + 10;
      while (acknowledged.size < enough) await new Promise((resolve) => setTimeout(resolve, 5));
      await kill();
      running = false;
      await Promise.all(writers);
    }
    expect(acknowledged.size).toBeGreaterThanOrEqual(30);

    const fhir = await startFhir(folder);
    const lost: string[] = [];
    for (const id of acknowledged) {
      for (const part of ['a', 'b']) {
        if ((await fhir.call('GET', `/Patient/${id}-${part}`)).status !== 200) lost.push(`${id}-${part}`);
      }
      if ((await fhir.call('GET', `/Binary/${id}`)).text !== 'pixels') lost.push(id);
    }
    const all = await fhir.search('Patient?_count=0');
    await fhir.close({ keep: true });
    expect(lost).toEqual([]);
    expect((all.total ?? 0) % 2).toBe(0);
  });

  it('a line that was torn off while it was written', async () => {
    const first = await startFhir(folder);
    await first.put(patient('whole'));
    await first.close({ keep: true });
    await appendFile(journalFile(), '[{"resourceType":"Patient","id":"torn","versi');
    const second = await startFhir(folder);
    expect((await second.call('GET', '/Patient/whole')).status).toBe(200);
    expect((await second.call('GET', '/Patient/torn')).status).toBe(404);
    await second.put(patient('after'));
    await second.close({ keep: true });
    const third = await startFhir(folder);
    expect((await third.search('Patient?_id=whole,after')).total).toBe(2);
    await third.close({ keep: true });
  });

  it('a restart with versions, deletions and contents as they were', async () => {
    const first = await startFhir(folder);
    await first.put(patient('p'));
    await first.put({ ...patient('p'), active: true });
    await first.put(patient('deleted'));
    await first.call('DELETE', '/Patient/deleted');
    await first.call('PUT', '/Binary/b', 'pixels', { 'content-type': 'image/png', 'x-security-context': 'Patient/p' });
    await first.close({ keep: true });
    const second = await startFhir(folder);
    const { headers, body } = await second.call<Patient>('GET', '/Patient/p');
    expect([headers.get('etag'), body.active]).toEqual(['W/"2"', true]);
    expect((await second.call('GET', '/Patient/p/_history/1')).status).toBe(200);
    expect((await second.call('GET', '/Patient/deleted')).status).toBe(410);
    expect((await second.call('GET', '/Binary/b')).text).toBe('pixels');
    await second.close({ keep: true });
  });
});

describe('The journal', () => {
  it('stops the start when a line in its middle is damaged, naming file and line', async () => {
    await writeFile(journalFile(), '[]\n{"broken\n[]\n');
    await expect(startFhir(folder)).rejects.toThrow(/journal\.ndjson: line 2 is damaged/);
  });

  it('shrinks at start once it holds far more lines than there are resources', async () => {
    const first = await startFhir(folder);
    const { repository } = first.server;
    for (let count = 0; count < 260; count += 1)
      await repository.updateResource({ ...patient('busy'), active: count % 2 === 0 });
    await first.close({ keep: true });
    const second = await startFhir(folder);
    expect((await readFile(journalFile(), 'utf8')).trim().split('\n')).toHaveLength(1);
    expect((await second.call('GET', '/Patient/busy')).headers.get('etag')).toBe('W/"260"');
    expect((await second.put(patient('busy'))).headers.get('etag')).toBe('W/"261"');
    await second.close({ keep: true });
    const third = await startFhir(folder);
    expect((await third.call('GET', '/Patient/busy')).headers.get('etag')).toBe('W/"261"');
    await third.close({ keep: true });
  });

  it('refuses to write where another process has written', async () => {
    const { journal } = await Journal.open<string>(journalFile());
    await journal.append('mine');
    await appendFile(journalFile(), '"theirs"\n');
    await expect(journal.append('mine again')).rejects.toThrow(/another process/);
    await journal.close();
  });

  it('drops contents that nothing refers to', async () => {
    const first = await startFhir(folder);
    await first.call('PUT', '/Binary/kept', 'kept', { 'content-type': 'image/png' });
    await first.close({ keep: true });
    await writeFile(join(folder, 'blobs', 'orphan.tmp'), 'left by a crash');
    const second = await startFhir(folder);
    expect(await readdir(join(folder, 'blobs'))).toHaveLength(1);
    expect((await second.call('GET', '/Binary/kept')).text).toBe('kept');
    await second.close({ keep: true });
  });
});
