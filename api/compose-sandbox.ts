/** The sandbox's patients and data, and the two of them that a newcomer finds assessed. */
import { resolve } from 'node:path';
import { parseStudyReference } from './assessment/assessment.ts';
import type { Assessment } from './assessment/assessment.ts';
import type { AssessmentRecords } from './assessment/assessment-records.ts';
import { requestAssessment } from './assessment/request-assessment.ts';
import type { RequestParts } from './assessment/request-assessment.ts';
import type { Config } from './config.ts';
import type { Logger } from './log.ts';
import { createSandbox } from './sandbox/sandbox.ts';
import type { Sandbox } from './sandbox/sandbox.ts';

/** One high, one low risk. */
const ASSESSED_AT_START = ['lindqvist-maja-ct', 'rivera-ana-ct'];

export function openSandbox(config: Config, url: string, log: Logger): Promise<Sandbox> {
  return createSandbox({
    dataDir: config.dataDir,
    patientsDir: resolve(import.meta.dirname, 'sandbox/patients'),
    baseUrl: () => url,
    onError: (error) => log.error('sandbox request failed', { system: 'sandbox' }, error),
  });
}

/** Through the same door as everyone's; what has been assessed at an earlier start is found and not done again. */
export async function assessAtStart(parts: RequestParts, log: Logger): Promise<void> {
  for (const id of ASSESSED_AT_START) {
    try {
      const reference = parseStudyReference(`ImagingStudy/${id}`);
      const { assessment } = await requestAssessment(reference, 'automatic', parts, AbortSignal.timeout(30_000));
      if (!(await untilEnded(assessment, parts.records))) {
        log.info('a sandbox patient is still being assessed', { system: 'sandbox', assessmentId: assessment.id });
      }
    } catch (error) {
      log.warn('a sandbox patient could not be assessed at start', { system: 'sandbox' }, error);
    }
  }
}

/** Of each patient; what is not ready by then is made while the service runs. */
const LONGEST_WAIT_MS = 60_000;

/** False where it has not ended in time. */
function untilEnded(assessment: Assessment, records: AssessmentRecords): Promise<boolean> {
  return new Promise((resolvePromise, reject) => {
    const deadline = setTimeout(() => finish(false), LONGEST_WAIT_MS);
    const look = (state: Assessment | null): void => {
      if (state === null || !['created', 'active'].includes(state.status)) finish(true);
    };
    const stop = records.watch(assessment.id, look);
    const finish = (inTime: boolean): void => {
      clearTimeout(deadline);
      stop();
      resolvePromise(inTime);
    };
    records.get(assessment.id).then(look, reject);
  });
}
