import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { writeToChart, readChart } from '../support/chart-folder.ts';
import { describeWith } from '../support/components.ts';
import { startPostgresql } from '../support/databases.ts';
import type { PostgresqlServer } from '../support/databases.ts';
import { InMemoryHospital } from '../support/in-memory-hospital.ts';
import type { Story } from '../support/in-memory-hospital.ts';
import { startQueueService, until, untilEnded } from '../support/queue-service.ts';
import type { QueueService } from '../support/queue-service.ts';

describeWith('PostgreSQL', 'Several services on one PostgreSQL', () => {
  let server: PostgresqlServer;
  let chart = '';
  let services: QueueService[] = [];
  beforeAll(async () => {
    server = await startPostgresql();
    chart = await mkdtemp(join(tmpdir(), 'hemocast-chart-'));
    const config = { databaseUrl: server.databaseUrl, dataDir: chart };
    const hospital = Object.assign(new InMemoryHospital(), { assess: writeToChart(chart) });
    // At once, on an empty database: both make the tables.
    services = await Promise.all([startQueueService(config, { hospital }), startQueueService(config, { hospital })]);
  });
  afterAll(async () => {
    await Promise.all(services.map((service) => service.close()));
    await server.stop();
    await rm(chart, { recursive: true, force: true });
  });

  it('share the work, each assessment done once', async () => {
    const [one, other] = services;
    const requested = await Promise.all(
      Array.from({ length: 8 }, (_, i) => (i % 2 === 0 ? one : other).request(one.hospital.addStudy())),
    );
    for (const { assessment } of requested) {
      expect(await untilEnded(one.store, assessment.id)).toMatchObject({ status: 'completed', attempt: 1 });
    }
    expect(await readChart(chart)).toMatchObject({ files: { length: 8 }, writes: 8 });
  });

  it('make one assessment of requests that reach both at once', async () => {
    const [one, other] = services;
    const study = one.hospital.addStudy();
    const requested = await Promise.all(
      Array.from({ length: 10 }, (_, i) => (i % 2 === 0 ? one : other).request(study)),
    );
    expect(new Set(requested.map(({ assessment }) => assessment.id)).size).toBe(1);
    await untilEnded(one.store, requested[0].assessment.id);
  });

  it('are paused all together, within a second', async () => {
    const [one, other] = services;
    const modes = () => [one.operation.current().mode, other.operation.current().mode];
    for (const mode of ['paused', 'running'] as const) {
      await one.operation.set(mode, null);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      expect(modes()).toEqual([mode, mode]);
    }
  });

  it('stop the work on an assessment that is cancelled at another one', async () => {
    await Promise.all(services.map((service) => service.close()));
    const config = { databaseUrl: server.databaseUrl, dataDir: chart };
    const [working, asking] = [await startQueueService(config), await startQueueService(config, { start: false })];
    services = [working, asking];
    let stop: (reason: unknown) => void;
    const stopped = new Promise<unknown>((resolve) => (stop = resolve));
    const story: Story = (_assessment, signal) =>
      new Promise((_, reject) =>
        signal.addEventListener('abort', () => {
          stop(signal.reason);
          reject(signal.reason);
        }),
      );
    const { assessment } = await working.request(working.hospital.addStudy({ story }));
    await until(working.store, assessment.id, ({ status }) => status === 'active');
    await asking.queue.cancel(assessment.id);
    await stopped; // the heartbeat finds the job gone
    expect(await working.store.get(assessment.id)).toMatchObject({ status: 'cancelled', resources: null });
    const next = await working.request(working.hospital.addStudy());
    expect(await untilEnded(working.store, next.assessment.id)).toMatchObject({ status: 'completed' });
  });
});
