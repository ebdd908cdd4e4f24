/** The real app on the real queue and PGlite, with the hospital in memory. */
import { rm } from 'node:fs/promises';
import type { Express } from 'express';
import { StudyIncompleteError } from '../../api/assessment/assessment.ts';
import { createApp } from '../../api/http/app.ts';
import type { Services } from '../../api/http/app.ts';
import { makeDataDir } from './embedded-data-dir.ts';
import { startQueueService } from './queue-service.ts';
import type { QueueService } from './queue-service.ts';

const EMPTY_PLAN = { complete: false, instancesPresent: 0, chosen: [], refusal: null, flags: [] };

export interface TestApp extends QueueService {
  readonly app: Express;
  /** Answers that broke openapi.yaml. */
  readonly breaches: Error[];
  /** A second app on the same queue, changed in places. */
  variant(changes: Partial<Services>): Express;
}

export async function startTestApp(options: Parameters<typeof startQueueService>[1] = {}): Promise<TestApp> {
  const dataDir = await makeDataDir();
  const service = await startQueueService({ dataDir }, options);
  const breaches: Error[] = [];
  const { hospital, store, queue, log } = service;
  const services: Services = {
    ehr: hospital.ehr,
    pacs: hospital.pacs,
    reader: hospital.reader,
    planStudy: hospital.planStudy,
    records: store,
    work: queue,
    operation: service.operation,
    onChartChange: () => undefined,
    queueLimit: 1_000,
    authentication: {},
    // The hospital in memory holds no pixels: its plan is all that these suites see of the route.
    initialCt: {
      planStudy: async (reference, signal) => ({ ...EMPTY_PLAN, ...(await hospital.planStudy(reference, signal)) }),
      source: { read: (plan) => Promise.reject(new StudyIncompleteError(0, plan.study.numberOfInstances)) },
    },
    log,
    onContractBreach: (error) => void breaches.push(error),
  };
  return {
    ...service,
    app: createApp(services),
    breaches,
    variant: (changes) => createApp({ ...services, ...changes }),
    async close() {
      await service.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
