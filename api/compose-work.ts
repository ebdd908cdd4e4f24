/** The work itself: from a request to a result in the chart, and the watch over what the results rest on. */
import { assessStudy } from './assessment/assess-study.ts';
import type { Assessment } from './assessment/assessment.ts';
import { ChartWatch } from './assessment/chart-watch.ts';
import { judgeEligibility } from './assessment/eligibility.ts';
import type { OperationSwitch } from './assessment/operation.ts';
import { planStudy } from './assessment/plan-study.ts';
import type { StudyPlan } from './assessment/plan-study.ts';
import type { Ehr, Pacs, ScanReader, StudyReference } from './assessment/ports.ts';
import { requestAssessment } from './assessment/request-assessment.ts';
import type { RequestParts } from './assessment/request-assessment.ts';
import type { Config } from './config.ts';
import type { Database } from './jobs/database.ts';
import { AssessmentQueue } from './jobs/queue.ts';
import type { AssessmentStore } from './jobs/store.ts';
import type { Logger } from './log.ts';

export interface WorkParts {
  readonly database: Database;
  readonly store: AssessmentStore;
  readonly ehr: Ehr;
  readonly pacs: Pacs;
  readonly reader: ScanReader;
  readonly operation: OperationSwitch;
  readonly log: Logger;
}

export interface Work {
  /** What a request needs: the same for the REST door, the hooks and the watch. */
  readonly request: Omit<RequestParts, 'planStudy'> & {
    planStudy(reference: StudyReference, signal: AbortSignal): Promise<StudyPlan>;
  };
  readonly queue: AssessmentQueue;
  readonly watch: ChartWatch;
}

/** Nothing is begun yet: `queue.start()` and `watch.start()` do. */
export async function composeWork(config: Config, parts: WorkParts): Promise<Work> {
  const { database, store, ehr, pacs, reader, operation, log } = parts;
  const writes = (): boolean => operation.current().mode !== 'shadow';
  const { assumedPrevalence, riskBandBounds, storeGeneratedImage } = config;
  const queue = await AssessmentQueue.open(database, {
    store,
    log,
    operation,
    limits: { assessmentTimeoutMs: config.assessmentTimeoutMs, instanceWaitMs: config.instanceWaitMs },
    assess: async (assessment, signal, onProgress) => {
      const policy = { assumedPrevalence, riskBandBounds, storeGeneratedImage, writes: writes() };
      const supersededRiskAssessment = await findSuperseded(assessment, store);
      return assessStudy(assessment, { ehr, pacs, reader, policy, supersededRiskAssessment }, signal, onProgress);
    },
    describeModel: () => {
      const { name, version, sha256 } = reader.describe();
      return { name, version, sha256 };
    },
  });
  const request: Work['request'] = {
    planStudy: (reference, signal) =>
      planStudy(reference, { ehr, pacs, modelSha256: reader.describe().sha256 }, signal),
    describeModel: () => reader.describe(),
    records: store,
    work: queue,
    writes,
    queueLimit: config.queueLimit,
  };
  const watch = new ChartWatch({
    ehr,
    records: store,
    operation,
    trigger: config.autoAssess
      ? {
          judge: (reference, signal) => judgeEligibility(reference, { ehr, planStudy: request.planStudy }, signal),
          assess: async (reference, signal) => void (await requestAssessment(reference, false, request, signal)),
        }
      : undefined,
    intervalMs: config.chartWatchMs,
    onFault: (error) => log.warn('the chart could not be followed', { system: 'ehr' }, error),
  });
  return { request, queue, watch };
}

/** The latest revision before this one that was written; those of shadow operation were not. */
async function findSuperseded(assessment: Assessment, store: AssessmentStore): Promise<string | undefined> {
  let before: Assessment | null = assessment;
  while (before !== null && before.supersedes !== null) {
    before = await store.get(before.supersedes);
    if (before?.resources) return before.resources.riskAssessment;
  }
  return undefined;
}
