/** The chart watch on the real database: what it has to look at again outlives the process. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { ChartWatch } from '../../api/assessment/chart-watch.ts';
import type { Eligibility } from '../../api/assessment/eligibility.ts';
import type { ChartChanges, StudyReference } from '../../api/assessment/ports.ts';
import { describeOnEachDatabase } from '../support/databases.ts';
import { BASIS } from '../support/in-memory-hospital.ts';
import { startQueueService, untilEnded } from '../support/queue-service.ts';
import type { QueueService } from '../support/queue-service.ts';

describeOnEachDatabase('A study that was still arriving when the service stopped', (config) => {
  let service: QueueService;
  beforeAll(async () => {
    service = await startQueueService(config());
  });
  afterAll(() => service.close());

  const assessed: string[] = [];
  const watch = (changes: Partial<ChartChanges>, eligibility: Eligibility): ChartWatch =>
    new ChartWatch({
      ehr: {
        findChanges: async (since: string) => ({ studies: [], patients: [], until: since, ...changes }),
        listStudies: async () => [],
        readStudy: async (reference: StudyReference, signal: AbortSignal) => ({
          ...(await service.hospital.planStudy(reference, signal)).study,
          thrombectomy: { reference: 'Procedure/t', endedAt: BASIS.thrombectomy!.endedAt! },
        }),
        withdraw: () => Promise.reject(new Error('nothing is taken back here')),
        supersede: () => Promise.reject(new Error('nothing is superseded here')),
      },
      pacs: { listInstances: async () => [] },
      records: service.store,
      operation: service.operation,
      trigger: {
        judge: async () => eligibility,
        assess: async ({ id }: StudyReference) => {
          const { assessment } = await service.request(`ImagingStudy/${id}`, { kind: 'automatic' });
          assessed.push((await untilEnded(service.store, assessment.id)).status);
          return true;
        },
      },
      intervalMs: 60_000,
      onFault: (error) => {
        throw error;
      },
    });

  it('is assessed by the next process when its images are there', async () => {
    const signal = new AbortController().signal;
    const [, id] = service.hospital.addStudy().split('/');
    await watch({}, 'not-eligible').look(signal);
    await watch({ studies: [{ resourceType: 'ImagingStudy', id }] }, 'still-arriving').look(signal);
    const { hospital } = service;
    await service.close();

    service = await startQueueService(config(), { hospital });
    await watch({}, 'eligible').look(signal);
    expect(assessed).toEqual(['completed']);
    await watch({}, 'eligible').look(signal);
    expect(assessed).toEqual(['completed']);
  });
});
