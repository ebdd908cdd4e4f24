/** The work itself: from a request to a result in the chart, and the watch over what the results rest on. */
import { assessStudy } from './assessment/assess-study.ts';
import { hasEnded } from './assessment/assessment.ts';
import type { Assessment } from './assessment/assessment.ts';
import { ChartWatch } from './assessment/chart-watch.ts';
import { judgeEligibility } from './assessment/eligibility.ts';
import type { OperationSwitch } from './assessment/operation.ts';
import { planStudy } from './assessment/plan-study.ts';
import type { StudyPlan } from './assessment/plan-study.ts';
import { identify } from './assessment/ports.ts';
import type {
  Admit,
  Ehr,
  Pacs,
  ScanReader,
  StudyRecord,
  StudyReference,
  WrittenResources,
} from './assessment/ports.ts';
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
    planStudy(reference: StudyReference, signal: AbortSignal, admit?: Admit): Promise<StudyPlan>;
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
      const parts = {
        ehr,
        pacs,
        reader,
        policy,
        findEarlier: (study: StudyRecord) => findEarlier(assessment, study, store),
      };
      return assessStudy(assessment, parts, signal, onProgress);
    },
    describeModel: () => identify(reader.describe()),
  });
  const request: Work['request'] = {
    planStudy: (reference, signal, admit) =>
      planStudy(reference, { ehr, pacs, modelSha256: reader.describe().sha256 }, signal, admit),
    describeModel: () => reader.describe(),
    records: store,
    work: queue,
    writes,
    queueLimit: config.queueLimit,
  };
  const watch = new ChartWatch({
    ehr,
    pacs,
    records: store,
    operation,
    trigger: config.autoAssess
      ? {
          judge: (reference, signal) => judgeEligibility(reference, { ehr, planStudy: request.planStudy }, signal),
          assess: async (reference, signal) => {
            const { assessment, begun } = await requestAssessment(reference, 'automatic', request, signal);
            return hasEnded(assessment) && !begun;
          },
        }
      : undefined,
    intervalMs: config.chartWatchMs,
    onFault: (error) => log.warn('the chart could not be followed', { system: 'ehr' }, error),
  });
  return { request, queue, watch };
}

/** What of ours stands in the chart for the study, newest first; results of shadow operation were never there. */
async function findEarlier(
  { id }: Pick<Assessment, 'id'>,
  { reference, patientReference }: StudyRecord,
  store: AssessmentStore,
): Promise<readonly WrittenResources[]> {
  const standing = await store.listStanding({ studies: [reference], patients: [] });
  return standing
    .filter((other) => other.id !== id && other.patientReference === patientReference)
    .flatMap(({ resources }) => resources ?? [])
    .reverse();
}
