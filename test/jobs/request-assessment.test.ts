import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Assessment } from '../../api/assessment/assessment.ts';
import { UpstreamError } from '../../api/errors.ts';
import { RefusalError } from '../../api/prediction/refusals.ts';
import { describeOnEachDatabase } from '../support/databases.ts';
import { completed, contentKeyOf } from '../support/in-memory-hospital.ts';
import { startQueueService, until, untilEnded } from '../support/queue-service.ts';
import type { QueueService } from '../support/queue-service.ts';

describeOnEachDatabase('A request for an assessment', (config) => {
  let service: QueueService;
  beforeAll(async () => {
    service = await startQueueService(config());
  });
  afterAll(() => service.close());

  const complete = async (study: string, options?: { force?: boolean }): Promise<Assessment> =>
    untilEnded(service.store, (await service.request(study, options)).assessment.id);

  it('returns the assessment that the same content already has', async () => {
    const study = service.hospital.addStudy();
    const first = await complete(study);
    const again = await service.request(study);
    expect(again).toMatchObject({ begun: false, assessment: { id: first.id, status: 'completed' } });
    expect(service.hospital.runs.get(first.study.id)).toBe(1);
  });

  it('makes a new assessment of a study that has grown', async () => {
    const study = service.hospital.addStudy({ content: 'thirty slices' });
    const first = await complete(study);
    service.hospital.setContent(study, 'thirty-six slices');
    const { assessment, begun } = await service.request(study);
    expect(begun).toBe(true);
    expect(assessment).toMatchObject({ revision: 1, supersedes: null });
    expect(assessment.id).not.toBe(first.id);
  });

  it('makes one assessment of many requests at once', async () => {
    const study = service.hospital.addStudy();
    const requested = await Promise.all(Array.from({ length: 12 }, () => service.request(study)));
    expect(new Set(requested.map(({ assessment }) => assessment.id)).size).toBe(1);
    expect(requested.filter(({ begun }) => begun)).toHaveLength(1);
    await untilEnded(service.store, requested[0].assessment.id);
    expect(service.hospital.runs.get(requested[0].assessment.study.id)).toBe(1);
  });

  it('makes one revision of many forced requests at once', async () => {
    const study = service.hospital.addStudy();
    const first = await complete(study);
    let go: () => void = () => undefined;
    const released = new Promise<void>((resolve) => (go = resolve));
    service.hospital.setStory(study, (assessment) => released.then(() => completed(assessment)));
    const requested = await Promise.all(Array.from({ length: 8 }, () => service.request(study, { force: true })));
    go(); // a request after this one has completed would rightly make the next revision
    const ids = new Set(requested.filter(({ begun }) => begun).map(({ assessment }) => assessment.id));
    expect(ids.size).toBe(1);
    const [id] = ids;
    expect(await untilEnded(service.store, id)).toMatchObject({
      status: 'completed',
      revision: 2,
      supersedes: first.id,
    });
  });

  it('supersedes the latest completed revision when forced, and returns the newest afterwards', async () => {
    const study = service.hospital.addStudy();
    const first = await complete(study);
    const second = await complete(study, { force: true });
    const third = await complete(study, { force: true });
    expect([first, second, third].map(({ revision, supersedes }) => [revision, supersedes])).toEqual([
      [1, null],
      [2, first.id],
      [3, second.id],
    ]);
    expect(second.resources?.riskAssessment).not.toBe(first.resources?.riskAssessment);
    expect((await service.request(study)).assessment.id).toBe(third.id);
  });

  it.each([
    ['failed', () => new UpstreamError('ehr-rejected', 'The EHR rejected the RiskAssessment.')],
    ['refused', () => new RefusalError('not-a-head', 'No skull was found.')],
  ] as const)('tries again after %s, as the next attempt of the same assessment', async (status, fault) => {
    let broken = true;
    const story = async (assessment: Assessment): Promise<ReturnType<typeof completed>> => {
      if (broken) throw fault();
      return completed(assessment);
    };
    const study = service.hospital.addStudy({ story });
    const first = await complete(study);
    expect(first.status).toBe(status);
    broken = false;
    const again = await service.request(study);
    expect(again).toMatchObject({
      begun: true,
      assessment: { id: first.id, status: 'created', attempt: 2, refusal: null, error: null },
    });
    expect(await untilEnded(service.store, first.id)).toMatchObject({ status: 'completed', attempt: 2 });
  });

  it('tries again after it was cancelled', async () => {
    const study = service.hospital.addStudy({
      story: (_a, signal) => new Promise((_, no) => signal.addEventListener('abort', no)),
    });
    const { assessment } = await service.request(study);
    await until(service.store, assessment.id, ({ status }) => status === 'active');
    await service.queue.cancel(assessment.id);
    service.hospital.setStory(study, async (again) => completed(again));
    expect((await service.request(study)).assessment).toMatchObject({ id: assessment.id, attempt: 2 });
    expect(await untilEnded(service.store, assessment.id)).toMatchObject({ status: 'completed' });
  });

  it('that nobody made, but a change of the chart, repeats neither a refusal nor what someone cancelled', async () => {
    const refused = service.hospital.addStudy({
      story: async () => {
        throw new RefusalError('not-a-head', 'No skull was found.');
      },
    });
    const first = await complete(refused);
    expect(await service.request(refused, { kind: 'automatic' })).toMatchObject({
      begun: false,
      assessment: { id: first.id, status: 'refused', attempt: 1 },
    });
    const cancelled = service.hospital.addStudy({
      story: (_a, signal) => new Promise((_, no) => signal.addEventListener('abort', no)),
    });
    const { assessment } = await service.request(cancelled);
    await until(service.store, assessment.id, ({ status }) => status === 'active');
    await service.queue.cancel(assessment.id);
    expect(await service.request(cancelled, { kind: 'automatic' })).toMatchObject({
      begun: false,
      assessment: { status: 'cancelled' },
    });
  });

  it('that nobody made tries a failure a few times, not for ever', async () => {
    const study = service.hospital.addStudy({
      story: async () => {
        throw new UpstreamError('ehr-rejected', 'The EHR rejected the RiskAssessment.');
      },
    });
    const begun: boolean[] = [];
    for (let change = 0; change < 5; change++) {
      const requested = await service.request(study, { kind: 'automatic' });
      begun.push(requested.begun);
      await untilEnded(service.store, requested.assessment.id);
    }
    expect(begun).toEqual([true, true, true, false, false]);
    expect((await service.request(study)).begun).toBe(true);
  });

  it('keeps a completed revision when a forced one failed, and forces that one anew', async () => {
    const study = service.hospital.addStudy();
    const first = await complete(study);
    service.hospital.setStory(study, async () => {
      throw new UpstreamError('ehr-rejected', 'The EHR rejected the RiskAssessment.');
    });
    const second = await complete(study, { force: true });
    expect(second).toMatchObject({ status: 'failed', revision: 2 });
    expect((await service.request(study)).assessment.id).toBe(first.id);
    service.hospital.setStory(study, async (assessment) => completed(assessment));
    expect((await service.request(study, { force: true })).assessment).toMatchObject({ id: second.id, attempt: 2 });
    expect(await untilEnded(service.store, second.id)).toMatchObject({ status: 'completed', supersedes: first.id });
  });

  it('returns the waiting assessment of a study whose instances are still arriving', async () => {
    const study = service.hospital.addStudy({
      content: null,
      story: (_a, signal) => new Promise((_, no) => signal.addEventListener('abort', no)),
    });
    const first = await service.request(study);
    const again = await service.request(study);
    expect(again).toMatchObject({ begun: false, assessment: { id: first.assessment.id, contentKey: null } });
    await service.queue.cancel(first.assessment.id);
    service.hospital.setContent(study, 'arrived');
    const arrived = await service.request(study);
    expect(arrived).toMatchObject({ begun: true, assessment: { contentKey: contentKeyOf('arrived') } });
    await service.queue.cancel(arrived.assessment.id);
  });

  it('is turned away when too many are open, unless its content is assessed already', async () => {
    const done = service.hospital.addStudy();
    await complete(done);
    await expect(service.request(service.hospital.addStudy(), { queueLimit: 0 })).rejects.toMatchObject({
      code: 'queue-full',
      status: 429,
    });
    expect(await service.request(done, { queueLimit: 0 })).toMatchObject({ begun: false });
  });
});
