import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeOnEachDatabase } from '../support/databases.ts';
import { fileOf, readChart, writeToChart } from '../support/chart-folder.ts';
import { InMemoryHospital } from '../support/in-memory-hospital.ts';
import { repositoryRoot } from '../support/components.ts';
import { startQueueService, untilEnded } from '../support/queue-service.ts';

interface Said {
  readonly ready?: boolean;
  readonly began?: string;
  readonly wrote?: string;
  readonly acknowledged?: string;
}

describeOnEachDatabase('Acknowledged assessments of a process killed with SIGKILL', (config) => {
  let chart = '';
  beforeAll(async () => {
    chart = await mkdtemp(join(tmpdir(), 'hemocast-chart-'));
  });
  afterAll(() => rm(chart, { recursive: true, force: true }));

  /** Runs a process until `enough` of what it said, lets it go on for `furtherMs`, and kills it. Returns what was acknowledged. */
  async function runAndKill(count: number, enough: (said: Said[]) => boolean, furtherMs: number): Promise<string[]> {
    const child = spawn(
      process.execPath,
      [join(repositoryRoot, 'test/support/queue-child.ts'), JSON.stringify({ ...config(), chart, count })],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const ended = new Promise((resolve) => child.once('exit', resolve));
    const said: Said[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      said.push(JSON.parse(line));
      if (enough(said)) break;
    }
    await pause(furtherMs);
    child.kill('SIGKILL');
    await ended;
    return said.flatMap(({ acknowledged }) => acknowledged ?? []);
  }

  it('finish after a restart, each with exactly one RiskAssessment', async () => {
    const acknowledged = [
      ...(await runAndKill(4, (said) => said.some(({ began }) => began), 60)), // in the middle of reading
      ...(await runAndKill(3, (said) => said.some(({ wrote }) => wrote), 0)), // after the write-back, before the end is kept
      ...(await runAndKill(3, (said) => said.filter(({ acknowledged }) => acknowledged).length === 3, 0)), // right after the answer
    ];
    expect(acknowledged.length).toBeGreaterThanOrEqual(4);

    const hospital = Object.assign(new InMemoryHospital(), { assess: writeToChart(chart) });
    const service = await startQueueService(config(), { hospital });
    try {
      // Also those whose acknowledgement was cut off on its way out.
      const { items } = await service.store.list({ limit: 100 });
      expect(items.map(({ id }) => id)).toEqual(expect.arrayContaining(acknowledged));
      const ended = [];
      for (const { id } of items) ended.push(await untilEnded(service.store, id, 45_000));
      expect(ended.map(({ status, attempt }) => `${status} ${attempt}`)).toEqual(ended.map(() => 'completed 1'));

      const { files, writes } = await readChart(chart);
      expect(files.sort()).toEqual(ended.map(fileOf).sort());
      expect(writes).toBeGreaterThan(files.length); // the kills did interrupt work: some was written twice, and is there once
    } finally {
      await service.close();
    }
  }, 180_000);
});

describeOnEachDatabase('An assessment that ends the process every time', (config) => {
  it('fails after a few restarts instead of going on for ever', async () => {
    const service = await startQueueService(config(), { start: false, limits: { mostInterruptions: 3 } });
    const { assessment } = await service.request(service.hospital.addStudy());
    const { model } = assessment;
    for (let run = 0; run < 3; run++) await service.store.begin(assessment, model); // three runs that never came to an end
    await service.queue.start();
    expect(await untilEnded(service.store, assessment.id)).toMatchObject({
      status: 'failed',
      error: { code: 'interrupted-repeatedly' },
    });
    await service.close();
  });
});
