import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parseStudyReference } from '../../api/assessment/assessment.ts';
import type { Assessment } from '../../api/assessment/assessment.ts';
import { StoredJtis } from '../../api/jobs/jti-store.ts';
import { AssessmentStore, ContentTakenError } from '../../api/jobs/store.ts';
import { describeOnEachDatabase } from '../support/databases.ts';
import { completed, MODEL } from '../support/in-memory-hospital.ts';
import { startQueueService } from '../support/queue-service.ts';
import type { QueueService } from '../support/queue-service.ts';

describeOnEachDatabase('The store of assessments', (config) => {
  let service: QueueService;
  beforeAll(async () => {
    service = await startQueueService(config(), { start: false }); // nobody works: the tests are the workers
  });
  afterAll(() => service.close());

  const active = async (study: string): Promise<Assessment> => {
    const { assessment } = await service.request(study);
    const begun = await service.store.begin(assessment, MODEL);
    return begun!;
  };

  it('knows how long an assessment usually takes once its images are there, and says nothing before the first', async () => {
    const { store, hospital } = service;
    expect(await store.usualMs()).toBeNull();
    for (const readingMs of [900, 2_900, 30_000]) {
      const assessment = await active(hospital.addStudy());
      const timings = { 'choosing-series': 40, retrieving: 60, network: readingMs - 100, 'reading-scan': readingMs };
      await store.finish(assessment, { ...completed(assessment), timings });
    }
    expect(await store.usualMs()).toBe(3_000);
  });

  it('never completes a cancelled assessment', async () => {
    const { store, hospital } = service;
    const assessment = await active(hospital.addStudy());
    expect(await store.cancel(assessment.id, assessment.attempt + 1)).toBeNull(); // of an attempt that is not this one
    await store.cancel(assessment.id);
    expect(await store.finish(assessment, completed(assessment))).toBeNull();
    expect(await store.begin(assessment, MODEL)).toBeNull();
    expect(await store.advance(assessment, { stage: 'retrieving', progress: 0.3 })).toBeNull();
    expect(await store.get(assessment.id)).toMatchObject({ status: 'cancelled', prediction: null });
  });

  it('lets one of cancel and finish win', async () => {
    const { store, hospital } = service;
    for (let round = 0; round < 10; round++) {
      const assessment = await active(hospital.addStudy());
      const [cancelled, finished] = await Promise.all([
        store.cancel(assessment.id),
        store.finish(assessment, completed(assessment)),
      ]);
      expect([cancelled, finished].filter((won) => won !== null)).toHaveLength(1);
    }
  });

  it('does not let the work of an earlier attempt write into a later one', async () => {
    const { store, hospital } = service;
    const study = hospital.addStudy();
    const first = await active(study);
    await store.finish(first, { kind: 'failed', error: { code: 'ehr-rejected', message: 'Rejected.' } });
    const second = await active(study);
    expect(second).toMatchObject({ id: first.id, attempt: 2 });
    expect(await store.finish(first, completed(first))).toBeNull();
    expect(await store.get(first.id)).toMatchObject({ status: 'active', attempt: 2 });
  });

  it('reopens an ended assessment once, however many ask', async () => {
    const { store, hospital } = service;
    const first = await active(hospital.addStudy());
    const ended = await store.finish(first, { kind: 'failed', error: { code: 'ehr-rejected', message: 'Rejected.' } });
    const { study } = await hospital.planStudy(first.study, AbortSignal.timeout(1_000));
    const plan = { study, contentKey: first.contentKey, supersedes: null, model: first.model };
    const reopened = await Promise.all(Array.from({ length: 6 }, () => store.reopen(ended!, plan)));
    expect(reopened.filter((assessment) => assessment !== null)).toHaveLength(1);
    expect(await store.get(first.id)).toMatchObject({ status: 'created', attempt: 2 });
  });

  it('never lets progress go back', async () => {
    const { store, hospital } = service;
    const assessment = await active(hospital.addStudy());
    await store.advance(assessment, { stage: 'reading-scan', progress: 0.6 });
    expect(await store.advance(assessment, { stage: 'reading-scan', progress: 0.4 })).toMatchObject({ progress: 0.6 });
  });

  it('gives a content to one assessment only', async () => {
    const { store, hospital } = service;
    const holder = await active(hospital.addStudy());
    const late = await active(hospital.addStudy({ content: null }));
    const update = { stage: 'retrieving', progress: 0.1, contentKey: holder.contentKey! } as const;
    await expect(store.advance(late, update)).rejects.toBeInstanceOf(ContentTakenError);
    expect(await store.get(late.id)).toMatchObject({ status: 'active', contentKey: null });
  });

  it('lists the newest first, page by page, each once, also while new ones come', async () => {
    const { store, hospital } = service;
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) {
      ids.unshift((await service.request(hospital.addStudy({ patient: 'paged' }))).assessment.id);
    }
    const query = { patientReference: 'Patient/paged', limit: 2 };
    const first = await store.list(query);
    await service.request(hospital.addStudy({ patient: 'paged' }));
    const second = await store.list({ ...query, cursor: first.next! });
    const third = await store.list({ ...query, cursor: second.next! });
    expect([first, second, third].map(({ items }) => items.map(({ id }) => id))).toEqual([
      ids.slice(0, 2),
      ids.slice(2, 4),
      ids.slice(4),
    ]);
    expect(third.next).toBeNull();
  });

  it('lists by study', async () => {
    const { store, hospital } = service;
    const study = hospital.addStudy();
    const { assessment } = await service.request(study);
    const page = await store.list({ imagingStudy: parseStudyReference(study), limit: 20 });
    expect(page.items.map(({ id }) => id)).toEqual([assessment.id]);
  });

  it('refuses a cursor that is none of its own', async () => {
    await expect(service.store.list({ limit: 5, cursor: "1' OR 1=1" })).rejects.toMatchObject({
      code: 'cursor-invalid',
    });
  });

  it('tells watchers every change, and nobody after they left', async () => {
    const { store, hospital } = service;
    const assessment = await active(hospital.addStudy());
    const seen: string[] = [];
    const unwatch = store.watch(assessment.id, ({ status, progress }) => seen.push(`${status} ${progress}`));
    await store.advance(assessment, { stage: 'retrieving', progress: 0.25 });
    unwatch();
    await store.cancel(assessment.id);
    expect(seen).toEqual(['active 0.25']);
    expect(store.watchers).toBe(0);
  });

  it('knows of a patient what the last change left, however often it was asked before', async () => {
    const { store, hospital } = service;
    const assessment = await active(hospital.addStudy());
    const query = { patientReference: assessment.patientReference!, limit: 20 };
    const known = async () => (await store.list(query)).items.find(({ id }) => id === assessment.id);
    expect(await known()).toMatchObject({ status: 'active' });
    const cancelling = store.cancel(assessment.id);
    void store.list(query); // asked while the change is under way
    await cancelling;
    expect(await known()).toMatchObject({ status: 'cancelled' });
    const again = await active(`ImagingStudy/${assessment.study.id}`);
    expect(await known()).toMatchObject({ status: 'active', attempt: again.attempt });
  });

  it('takes a token once, also when it is shown many times at the same moment', async () => {
    const jtis = new StoredJtis(service.database);
    const soon = new Date(Date.now() + 60_000);
    const claims = await Promise.all(['a', 'b', 'a', 'c', 'b', 'a'].map((key) => jtis.claim(key, soon)));
    expect(claims).toEqual([true, true, false, true, false, false]);
    expect(await new StoredJtis(service.database).claim('b', soon)).toBe(false); // another process
  });

  describe('its tables', () => {
    it('are left as they are when they are made again', async () => {
      const { assessment } = await service.request(service.hospital.addStudy());
      const again = await AssessmentStore.open(service.database);
      expect(await again.get(assessment.id)).toMatchObject({ id: assessment.id });
    });

    it('of a newer version are not touched', async () => {
      await service.database.executeSql('INSERT INTO hemocast.schema_version (version) VALUES (999)');
      await expect(AssessmentStore.open(service.database)).rejects.toMatchObject({
        code: 'configuration-invalid',
        message: expect.stringContaining('newer hemocast'),
      });
      await service.database.executeSql('DELETE FROM hemocast.schema_version WHERE version = 999');
    });
  });
});
