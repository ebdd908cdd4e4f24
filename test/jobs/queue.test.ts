import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import type { AssessmentOutcome } from '../../api/assessment/assess-study.ts';
import { StudyIncompleteError, WRITING_BEGINS_AT } from '../../api/assessment/assessment.ts';
import { CancelledError, TransientError, UpstreamError } from '../../api/errors.ts';
import { RefusalError } from '../../api/prediction/refusals.ts';
import { describeOnEachDatabase } from '../support/databases.ts';
import { completed, contentKeyOf, writtenResources } from '../support/in-memory-hospital.ts';
import type { Story } from '../support/in-memory-hospital.ts';
import { startQueueService, until, untilEnded } from '../support/queue-service.ts';
import type { QueueService } from '../support/queue-service.ts';

/** Works until it is told to stop. */
const endless: Story = (_assessment, signal, onProgress) =>
  new Promise((_, reject) => {
    void onProgress({ stage: 'retrieving', progress: 0.2 });
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });

describeOnEachDatabase('The queue', (config) => {
  let service: QueueService;
  beforeAll(async () => {
    service = await startQueueService(config());
  });
  afterAll(() => service.close());

  it('works on an assessment and keeps everything the reading gave', async () => {
    const { store, hospital } = service;
    const { assessment, begun } = await service.request(hospital.addStudy());
    expect(begun).toBe(true);
    expect(assessment).toMatchObject({ status: 'created', progress: 0, attempt: 1, revision: 1, prediction: null });
    const ended = await untilEnded(store, assessment.id);
    const { kind, maps, ...outcome } = completed(assessment) as AssessmentOutcome & { kind: 'completed' };
    expect(ended).toMatchObject({ ...outcome, status: kind, progress: 1, stage: null, refusal: null, error: null });
    expect((await store.getMaps(ended.id))?.attention.grid).toEqual(maps?.attention.grid);
  });

  it('keeps a refusal with its code, its measured value and no prediction', async () => {
    const story: Story = async () => {
      throw new RefusalError('slice-thickness-out-of-range', 'Slices are 10 mm thick.', {
        sliceThicknessMm: 10,
        limitMm: 8,
      });
    };
    const { assessment } = await service.request(service.hospital.addStudy({ story }));
    expect(await untilEnded(service.store, assessment.id)).toMatchObject({
      status: 'refused',
      prediction: null,
      resources: null,
      refusal: { code: 'slice-thickness-out-of-range', details: { sliceThicknessMm: 10, limitMm: 8 } },
    });
  });

  it('tries a transient fault again and completes when it has passed', async () => {
    let faults = 2;
    const story: Story = async (assessment) => {
      if (faults-- > 0) throw new TransientError('ehr-unreachable', 'The EHR does not answer.');
      return completed(assessment);
    };
    const study = service.hospital.addStudy({ story });
    const { assessment } = await service.request(study);
    expect(await untilEnded(service.store, assessment.id)).toMatchObject({ status: 'completed', attempt: 1 });
    expect(service.hospital.runs.get(assessment.study.id)).toBe(3);
  });

  it('begins again when its own database fails while progress is kept', async () => {
    const { hospital, store } = service;
    const study = hospital.addStudy();
    const advance = jest.spyOn(store, 'advance').mockRejectedValueOnce(new Error('connection terminated'));
    const { assessment } = await service.request(study);
    expect(await untilEnded(store, assessment.id)).toMatchObject({ status: 'completed', attempt: 1 });
    expect(hospital.runs.get(assessment.study.id)).toBe(2);
    advance.mockRestore();
  });

  it('fails with the code of a transient fault that does not pass', async () => {
    const story: Story = async () => {
      throw new TransientError('pacs-unreachable', 'The PACS does not answer.');
    };
    const { assessment } = await service.request(service.hospital.addStudy({ story }));
    expect(await untilEnded(service.store, assessment.id)).toMatchObject({
      status: 'failed',
      error: { code: 'pacs-unreachable', message: 'The PACS does not answer.' },
    });
    expect(service.hospital.runs.get(assessment.study.id)).toBe(3);
  });

  it('fails at once on a fault that will not get better by asking again', async () => {
    const story: Story = async () => {
      throw new UpstreamError('ehr-rejected', 'The EHR rejected the RiskAssessment (422).');
    };
    const { assessment } = await service.request(service.hospital.addStudy({ story }));
    expect(await untilEnded(service.store, assessment.id)).toMatchObject({
      status: 'failed',
      error: { code: 'ehr-rejected' },
    });
    expect(service.hospital.runs.get(assessment.study.id)).toBe(1);
  });

  it('shows nothing of an unknown fault but where to look', async () => {
    const story: Story = async () => {
      throw new TypeError('cannot read "Doe^John"');
    };
    const { assessment } = await service.request(service.hospital.addStudy({ story }));
    const ended = await untilEnded(service.store, assessment.id);
    expect(ended).toMatchObject({ status: 'failed', error: { code: 'internal-error' } });
    expect(JSON.stringify(ended)).not.toContain('Doe');
  });

  it('looks again at a study whose instances are still arriving, without holding up others', async () => {
    const { hospital, store } = service;
    let present = 30;
    const study = hospital.addStudy({
      content: null,
      story: async (assessment, _signal, onProgress) => {
        if (present < 36) throw new StudyIncompleteError(present, 36);
        await onProgress({ stage: 'retrieving', progress: 0.1, contentKey: contentKeyOf('all 36 arrived') });
        return completed(assessment);
      },
    });
    const { assessment } = await service.request(study);
    await until(store, assessment.id, ({ status, stage }) => status === 'active' && stage === 'waiting-for-instances');
    const other = await service.request(hospital.addStudy());
    expect(await untilEnded(store, other.assessment.id)).toMatchObject({ status: 'completed' });
    present = 36;
    expect(await untilEnded(store, assessment.id)).toMatchObject({
      status: 'completed',
      contentKey: contentKeyOf('all 36 arrived'),
    });
  });

  it('gives the late study the result of an assessment that already reads the same content', async () => {
    const { hospital, store } = service;
    const holder = await untilEnded(
      store,
      (await service.request(hospital.addStudy({ content: 'shared' }))).assessment.id,
    );
    const story: Story = async (_assessment, signal, onProgress) => {
      await onProgress({ stage: 'retrieving', progress: 0.1, contentKey: contentKeyOf('shared') });
      signal.throwIfAborted();
      throw new Error('The work went on although its content belongs to another assessment.');
    };
    const late = await service.request(hospital.addStudy({ content: null, story }));
    expect(await untilEnded(store, late.assessment.id)).toMatchObject({
      status: 'completed',
      prediction: holder.prediction,
      resources: writtenResources(holder),
    });
  });

  it('makes a late study anew where the result of its content was taken back', async () => {
    const { hospital, store } = service;
    const study = hospital.addStudy();
    const holder = await untilEnded(store, (await service.request(study)).assessment.id);
    await store.withdraw(holder.id, { code: 'procedure-withdrawn', message: 'x', at: new Date().toISOString() });
    const story: Story = async (assessment, _signal, onProgress) => {
      await onProgress({ stage: 'retrieving', progress: 0.1, contentKey: holder.contentKey ?? '' });
      return completed({ ...assessment, contentKey: holder.contentKey });
    };
    const late = await service.request(hospital.addStudy({ content: null, story }));
    expect(await untilEnded(store, late.assessment.id)).toMatchObject({
      status: 'completed',
      revision: 2,
      resources: writtenResources({ ...holder, revision: 2 }),
    });
  });

  it('does not cancel a result that is being written: the chart would hold what no record stands for', async () => {
    const { hospital, store, queue } = service;
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    const story: Story = async (assessment, _signal, onProgress) => {
      await onProgress({ stage: 'writing-back', progress: WRITING_BEGINS_AT });
      await onProgress({ stage: 'choosing-series', progress: 0.02 }); // another run of the same attempt
      await released;
      return completed(assessment);
    };
    const { assessment } = await service.request(hospital.addStudy({ story }));
    await until(
      store,
      assessment.id,
      ({ stage, progress }) => stage === 'choosing-series' && progress >= WRITING_BEGINS_AT,
    );
    expect(await queue.cancel(assessment.id)).toBeNull();
    release();
    expect((await untilEnded(store, assessment.id)).status).toBe('completed');
  });

  it('does not let the end of a cancelled run cancel the request that came after it', async () => {
    const { hospital, store, queue } = service;
    let oldRunEnded = false;
    const story: Story = async (assessment, signal, onProgress) => {
      if (assessment.attempt > 1) return completed(assessment);
      await endless(assessment, signal, onProgress).catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, 700)); // slow to notice
      oldRunEnded = true;
      throw new CancelledError();
    };
    const study = hospital.addStudy({ story });
    const { assessment } = await service.request(study);
    await until(store, assessment.id, ({ stage }) => stage === 'retrieving');
    await queue.cancel(assessment.id);
    const again = await service.request(study);
    expect(again).toMatchObject({ begun: true, assessment: { id: assessment.id, attempt: 2 } });
    expect(oldRunEnded).toBe(false);
    expect(await untilEnded(store, assessment.id)).toMatchObject({ status: 'completed', attempt: 2 });
    expect(oldRunEnded).toBe(true);
  });

  it('stops running work when the assessment is cancelled, and a cancelled one never completes', async () => {
    const { hospital, store, queue } = service;
    let reason: unknown;
    const story: Story = async (assessment, signal, onProgress) => {
      await endless(assessment, signal, onProgress).catch((error: unknown) => (reason = error));
      return completed(assessment); // work that does not notice
    };
    const study = hospital.addStudy({ story });
    const { assessment } = await service.request(study);
    await until(store, assessment.id, ({ stage }) => stage === 'retrieving');
    expect(await queue.cancel(assessment.id)).toMatchObject({ status: 'cancelled' });
    expect(await queue.cancel(assessment.id)).toMatchObject({ status: 'cancelled' });
    const other = await service.request(hospital.addStudy());
    await untilEnded(store, other.assessment.id); // the worker is free again
    expect(reason).toMatchObject({ name: 'CancelledError' });
    expect(await store.get(assessment.id)).toMatchObject({ status: 'cancelled', prediction: null, resources: null });
  });

  it('does not cancel what has ended', async () => {
    const { assessment } = await service.request(service.hospital.addStudy());
    await untilEnded(service.store, assessment.id);
    expect(await service.queue.cancel(assessment.id)).toBeNull();
    expect(await service.store.get(assessment.id)).toMatchObject({ status: 'completed' });
  });

  it('answers the health check', async () => {
    expect(await service.queue.health(AbortSignal.timeout(1_000))).toEqual({ ok: true });
  });
});

describeOnEachDatabase('The queue at its limits', (config) => {
  let service: QueueService;
  beforeAll(async () => {
    service = await startQueueService(config(), { limits: { assessmentTimeoutMs: 1_000, instanceWaitMs: 500 } });
  });
  afterAll(() => service.close());

  it('fails an assessment that takes too long', async () => {
    const { assessment } = await service.request(service.hospital.addStudy({ story: endless }));
    expect(await untilEnded(service.store, assessment.id)).toMatchObject({
      status: 'failed',
      error: { code: 'assessment-timeout' },
    });
  });

  it('carries a result through whose writing takes too long: the chart may hold a part of it', async () => {
    let runs = 0;
    const story: Story = async (assessment, signal, onProgress) => {
      await onProgress({ stage: 'writing-back', progress: WRITING_BEGINS_AT });
      if (++runs === 1) return endless(assessment, signal, async () => undefined);
      return completed(assessment);
    };
    const { assessment } = await service.request(service.hospital.addStudy({ story }));
    expect(await untilEnded(service.store, assessment.id)).toMatchObject({ status: 'completed', attempt: 1 });
    expect(runs).toBe(2);
  });

  it('refuses a study whose instances did not arrive in time, with the counts', async () => {
    const story: Story = async () => {
      throw new StudyIncompleteError(30, 36);
    };
    const { assessment } = await service.request(service.hospital.addStudy({ content: null, story }));
    expect(await untilEnded(service.store, assessment.id)).toMatchObject({
      status: 'refused',
      refusal: { code: 'study-incomplete', details: { present: 30, expected: 36 } },
    });
  });

  it('hands running work to the next process when it stops', async () => {
    const { hospital } = service;
    const study = hospital.addStudy({ story: endless });
    const { assessment } = await service.request(study);
    await until(service.store, assessment.id, ({ stage }) => stage === 'retrieving');
    await service.close();
    hospital.setStory(study, async (again) => completed(again));
    service = await startQueueService(config(), { hospital });
    expect(await untilEnded(service.store, assessment.id)).toMatchObject({ status: 'completed', attempt: 1 });
  });
});
