/** The switch of an administrator: paused, in shadow, running; what is asked for meanwhile is kept. */
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import { StoredOperationSwitch } from '../../api/jobs/operation-switch.ts';
import { describeOnEachDatabase } from '../support/databases.ts';
import { completed } from '../support/in-memory-hospital.ts';
import type { Story } from '../support/in-memory-hospital.ts';
import { startQueueService, until, untilEnded } from '../support/queue-service.ts';
import type { QueueService } from '../support/queue-service.ts';

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describeOnEachDatabase('The switch', (config) => {
  let service: QueueService;
  beforeAll(async () => {
    service = await startQueueService(config());
  });
  afterEach(() => service.operation.set('running', null));
  afterAll(() => service.close());

  it('stands on running until someone changes it', () => {
    expect(service.operation.current()).toEqual({ mode: 'running', changedAt: null, reason: null });
  });

  it('outlives the process that changed it, with its reason', async () => {
    await service.operation.set('paused', 'Upgrade of the PACS');
    const other = await StoredOperationSwitch.open(service.database, service.log);
    expect(other.current()).toMatchObject({ mode: 'paused', reason: 'Upgrade of the PACS' });
    other.close();
  });

  it('while paused keeps requests and begins none; they are done when it runs again', async () => {
    await service.operation.set('paused', null);
    const { assessment, begun } = await service.request(service.hospital.addStudy());
    expect(begun).toBe(true);
    await pause(1_500);
    expect(service.hospital.runs.get(assessment.study.id) ?? 0).toBe(0);
    expect((await service.store.get(assessment.id))?.status).toBe('created');
    await service.operation.set('running', null);
    expect((await untilEnded(service.store, assessment.id)).status).toBe('completed');
  });

  it('stops work under way within a second, and it is done later without counting as a fault', async () => {
    let stoppedAt = 0;
    const story: Story = async (assessment, signal, onProgress) => {
      if (stoppedAt > 0) return completed(assessment);
      await onProgress({ stage: 'writing-back', progress: 0.9 });
      await new Promise((_, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
      ).catch((reason: unknown) => {
        stoppedAt = performance.now();
        throw reason;
      });
      throw new Error('not reached');
    };
    const { assessment } = await service.request(service.hospital.addStudy({ story }));
    await until(service.store, assessment.id, ({ stage }) => stage === 'writing-back');
    const pausedAt = performance.now();
    await service.operation.set('paused', null);
    while (stoppedAt === 0) await pause(10);
    expect(stoppedAt - pausedAt).toBeLessThan(1_000);
    await service.operation.set('running', null);
    const ended = await untilEnded(service.store, assessment.id);
    expect(ended).toMatchObject({ status: 'completed', attempt: 1 });
    expect((await service.store.get(ended.id))?.retries).toBe(0);
  });

  it('in shadow keeps the result; asked for again when it runs, the assessment is made anew and written', async () => {
    const story: Story = async (assessment) => {
      const outcome = completed(assessment);
      const writes = service.operation.current().mode === 'running';
      return outcome.kind === 'completed' && !writes ? { ...outcome, resources: null } : outcome;
    };
    const study = service.hospital.addStudy({ story });
    await service.operation.set('shadow', null);
    const first = await service.request(study);
    const kept = await untilEnded(service.store, first.assessment.id);
    expect(kept).toMatchObject({ status: 'completed', resources: null });
    expect(kept.prediction).not.toBeNull();
    expect((await service.request(study)).begun).toBe(false);

    await service.operation.set('running', null);
    const second = await service.request(study);
    expect(second).toMatchObject({ begun: true, assessment: { revision: 2 } });
    const written = await untilEnded(service.store, second.assessment.id);
    expect(written.resources).not.toBeNull();
    expect((await service.request(study)).assessment.id).toBe(written.id);
  });
});
