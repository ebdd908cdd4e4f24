import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Story } from '../support/in-memory-hospital.ts';
import { completed } from '../support/in-memory-hospital.ts';
import { startTestApp } from '../support/app.ts';
import type { TestApp } from '../support/app.ts';
import { until, untilEnded } from '../support/queue-service.ts';

interface Shown {
  readonly status: string;
  readonly stage: string | null;
  readonly progress: number;
  readonly paused: boolean;
}

describe('GET /v1/assessments/{id}/events', () => {
  let service: TestApp;
  let server: Server;
  let origin = '';
  /** The story waits here for the test. */
  let go: () => void;
  let story: Story;

  beforeAll(async () => {
    service = await startTestApp();
    server = createServer(service.app);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await service.close();
  });
  beforeEach(() => {
    const released = new Promise<void>((resolve) => (go = resolve));
    story = async (assessment, _signal, onProgress) => {
      await onProgress({ stage: 'choosing-series', progress: 0.02 });
      await released;
      await onProgress({ stage: 'retrieving', progress: 0.1 });
      await onProgress({ stage: 'reading-scan', progress: 0.55 + 0.3 * 0.9 });
      await onProgress({ stage: 'writing-back', progress: 0.9 });
      return completed(assessment);
    };
  });

  const follow = async (id: string, signal?: AbortSignal): Promise<AsyncGenerator<Shown>> => {
    const response = await fetch(`${origin}/v1/assessments/${id}/events`, { signal });
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    return readEvents(response);
  };

  it('shows the assessment at once, then every change, and ends with the final one', async () => {
    const { assessment } = await service.request(service.hospital.addStudy({ story }));
    await until(service.store, assessment.id, ({ stage }) => stage === 'choosing-series');
    const events = await follow(assessment.id);
    expect((await events.next()).value).toMatchObject({ status: 'active', stage: 'choosing-series', progress: 0.02 });
    go();
    const rest: Shown[] = [];
    for await (const shown of events) rest.push(shown);
    expect(rest.map(({ status, stage, progress }) => [status, stage, progress])).toEqual([
      ['active', 'retrieving', 0.1],
      ['active', 'reading-scan', 0.82],
      ['active', 'writing-back', 0.9],
      ['completed', null, 1],
    ]);
    expect(service.store.watchers).toBe(0);
  });

  it('of an assessment that has ended is one event and the end', async () => {
    const { assessment } = await service.request(service.hospital.addStudy());
    await untilEnded(service.store, assessment.id);
    const shown: Shown[] = [];
    for await (const event of await follow(assessment.id)) shown.push(event);
    expect(shown).toEqual([expect.objectContaining({ status: 'completed' })]);
  });

  it('shows changes that another process made', async () => {
    const { assessment } = await service.request(service.hospital.addStudy({ story }));
    await until(service.store, assessment.id, ({ stage }) => stage === 'choosing-series');
    const events = await follow(assessment.id);
    await events.next();
    await service.database.executeSql(
      `UPDATE hemocast.assessments SET status = 'cancelled', stage = NULL, updated_at = now() WHERE id = $1`,
      [assessment.id],
    );
    expect((await events.next()).value).toMatchObject({ status: 'cancelled' });
    expect((await events.next()).done).toBe(true);
    go();
  });

  it('shows that the service was paused, and that it runs again', async () => {
    await service.operation.set('paused', null);
    const { assessment } = await service.request(service.hospital.addStudy());
    const events = await follow(assessment.id);
    expect((await events.next()).value).toMatchObject({ status: 'created', paused: true });
    await service.operation.set('running', null);
    const rest: Shown[] = [];
    for await (const shown of events) rest.push(shown);
    expect(rest.every(({ paused }) => !paused)).toBe(true);
    expect(rest.at(-1)?.status).toBe('completed');
  });

  it('leaves nothing behind when the caller hangs up', async () => {
    const { assessment } = await service.request(service.hospital.addStudy({ story }));
    await until(service.store, assessment.id, ({ stage }) => stage === 'choosing-series');
    const callers = Array.from({ length: 5 }, () => new AbortController());
    for (const { signal } of callers) await (await follow(assessment.id, signal)).next();
    expect(service.store.watchers).toBe(5);
    for (const caller of callers) caller.abort();
    while (service.store.watchers > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    go();
    await untilEnded(service.store, assessment.id);
  });

  it('of an assessment that does not exist is a 404', async () => {
    const response = await fetch(`${origin}/v1/assessments/0b0f1b1e-6a5a-4d7e-9d2e-3f1c2b4a5d6e/events`);
    expect([response.status, await response.json()]).toEqual([
      404,
      expect.objectContaining({ code: 'assessment-not-found' }),
    ]);
  });
});

/** The `assessment` events of a text/event-stream body; comments are skipped. */
async function* readEvents(response: Response): AsyncGenerator<Shown> {
  let buffer = '';
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    buffer += chunk;
    for (let end = buffer.indexOf('\n\n'); end >= 0; end = buffer.indexOf('\n\n')) {
      const [event, data] = buffer.slice(0, end).split('\n');
      buffer = buffer.slice(end + 2);
      if (event === 'event: assessment') yield JSON.parse(data.slice('data: '.length));
    }
  }
}
