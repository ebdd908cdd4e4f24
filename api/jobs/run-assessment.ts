/** One run of the work on one assessment: from taking it up to its end, or to the moment when it is taken up again. */
import { CancelledError, HemocastError, TransientError } from '../errors.ts';
import type { AssessmentOutcome, AssessmentProgress } from '../assessment/assess-study.ts';
import type { Assessment } from '../assessment/assessment.ts';
import { StudyIncompleteError } from '../assessment/assessment.ts';
import { PausedError } from '../assessment/operation.ts';
import type { OperationSwitch } from '../assessment/operation.ts';
import { RefusalError } from '../prediction/refusals.ts';
import type { Logger } from '../log.ts';
import type { KeptAssessment } from './assessment-row.ts';
import { ProgressWriter } from './progress-writer.ts';
import { ContentTakenError } from './store.ts';
import type { AssessmentEnd, AssessmentStore, Run } from './store.ts';

export interface RunParts {
  readonly store: AssessmentStore;
  readonly log: Logger;
  readonly limits: RunLimits;
  readonly operation: Pick<OperationSwitch, 'current' | 'onChange'>;
  /** The story (assess-study.ts) with its systems. `onProgress` never rejects; `signal` ends the work. */
  assess(
    assessment: Assessment,
    signal: AbortSignal,
    onProgress: (progress: AssessmentProgress) => Promise<void>,
  ): Promise<AssessmentOutcome>;
  describeModel(): Assessment['model'];
}

export interface RunLimits {
  /** Longest time of one run, ms. */
  readonly assessmentTimeoutMs: number;
  /** Longest wait for announced instances, from the first look that missed some, ms. */
  readonly instanceWaitMs: number;
  /** Pauses before a study is looked at again; the last one repeats. ms */
  readonly lookAgainMs?: readonly number[];
  /** Pauses before a transient fault is tried again; after the last one the assessment has failed. ms */
  readonly retryMs?: readonly number[];
  /** Runs in a row that may be cut short by the end of the process: work that kills it every time must not go on for ever. */
  readonly mostInterruptions?: number;
}

const LOOK_AGAIN_MS = [1_000, 2_000, 4_000, 8_000, 15_000];
const RETRY_MS = [2_000, 4_000, 8_000, 16_000, 30_000];
const MOST_INTERRUPTIONS = 10;
/** How often a paused assessment asks whether it may go on, ms. */
const PAUSED_MS = 1_000;
/** How long work may go on after it was told to end, ms. */
const GRACE_MS = 5_000;

/** The process ends: the run is taken up again by the next one. */
export class ShutdownError extends Error {
  override readonly name = 'ShutdownError';
}

/** When to take the assessment up again; null = not any more. */
export type NextRun = { readonly afterMs: number } | null;

/**
 * Runs the work to its end and writes that end. `stop` ends it early, by its reason: CancelledError, ShutdownError, or
 * anything else where another worker holds the job now. Rejects only when the database does.
 */
export async function runAssessment(run: Run, parts: RunParts, stop: AbortSignal): Promise<NextRun> {
  const { store, limits } = parts;
  if (parts.operation.current().mode === 'paused') return { afterMs: PAUSED_MS };
  const assessment = await store.begin(run, parts.describeModel());
  if (assessment === null) return null;
  if (assessment.interruptions > (limits.mostInterruptions ?? MOST_INTERRUPTIONS)) {
    const message = 'The service ended every time it worked on this assessment; look at its log before trying again.';
    return finish(run, parts, { kind: 'failed', error: { code: 'interrupted-repeatedly', message } });
  }

  const progress = new ProgressWriter(run, store);
  const deadline = AbortSignal.timeout(limits.assessmentTimeoutMs);
  const signal = AbortSignal.any([stop, progress.ended, deadline]);
  let outcome: AssessmentOutcome;
  try {
    outcome = await orAbandon(
      parts.assess(assessment, signal, (update) => progress.write(update)),
      signal,
    );
    await progress.flush();
    if (progress.ended.aborted) throw progress.ended.reason;
  } catch (error) {
    await progress.flush();
    if (progress.ended.aborted) return settle(progress.ended.reason, assessment, parts);
    if (stop.aborted) return settleStopped(stop.reason, run, parts);
    if (deadline.aborted) {
      const message = `The assessment took longer than ${limits.assessmentTimeoutMs / 1000} s.`;
      // What may be in the chart in part is carried through.
      if (progress.hasBegunToWrite) {
        return settle(new TransientError('assessment-timeout', message), assessment, parts);
      }
      return finish(run, parts, { kind: 'failed', error: { code: 'assessment-timeout', message } });
    }
    return settle(error, assessment, parts);
  }
  return finish(run, parts, outcome);
}

async function settleStopped(reason: unknown, run: Run, { store }: RunParts): Promise<NextRun> {
  if (!(reason instanceof ShutdownError || reason instanceof PausedError)) return null;
  const afterMs = reason instanceof PausedError ? PAUSED_MS : 0;
  return (await store.pause(run, 'shutdown')) === null ? null : { afterMs };
}

async function settle(error: unknown, assessment: KeptAssessment, parts: RunParts): Promise<NextRun> {
  const { store, log } = parts;
  if (error instanceof CancelledError) {
    await store.cancel(assessment.id, assessment.attempt);
    return null;
  }
  if (error instanceof ContentTakenError) return shareContent(error.contentKey, assessment, parts);
  if (error instanceof StudyIncompleteError) return lookAgain(error, assessment, parts);
  if (error instanceof RefusalError) {
    return finish(assessment, parts, { kind: 'refused', refusal: error.toRefusal(), flags: [], timings: {} });
  }
  if (error instanceof HemocastError) {
    const delay = (parts.limits.retryMs ?? RETRY_MS)[assessment.retries];
    if (error.transient && delay !== undefined) {
      const retryAfterMs = error instanceof TransientError ? (error.retryAfterMs ?? 0) : 0;
      const afterMs = Math.max(delay, Math.min(retryAfterMs, 60_000));
      log.warn('assessment is tried again', { assessmentId: assessment.id, code: error.code, delayMs: afterMs }, error);
      return (await store.pause(assessment, 'transient-fault')) === null ? null : { afterMs };
    }
    log.warn('assessment failed', { assessmentId: assessment.id, code: error.code }, error);
    return finish(assessment, parts, { kind: 'failed', error: { code: error.code, message: error.message } });
  }
  log.error('assessment failed', { assessmentId: assessment.id, code: 'internal-error' }, error);
  const message = `Something went wrong inside the service; its log names assessment ${assessment.id}.`;
  return finish(assessment, parts, { kind: 'failed', error: { code: 'internal-error', message } });
}

async function lookAgain(error: StudyIncompleteError, assessment: KeptAssessment, parts: RunParts): Promise<NextRun> {
  const { instanceWaitMs, lookAgainMs = LOOK_AGAIN_MS } = parts.limits;
  const waitedMs = assessment.waitingSince === null ? 0 : Date.now() - Date.parse(assessment.waitingSince);
  if (waitedMs >= instanceWaitMs) {
    const message = `Not every announced instance arrived within ${Math.round(instanceWaitMs / 1000)} s. Ask again once they have.`;
    const refusal = { code: 'study-incomplete', message, details: error.details } as const;
    return finish(assessment, parts, { kind: 'refused', refusal, flags: [], timings: {} });
  }
  const afterMs = Math.min(lookAgainMs[Math.min(assessment.looks, lookAgainMs.length - 1)], instanceWaitMs - waitedMs);
  return (await parts.store.pause(assessment, 'instances-missing')) === null ? null : { afterMs };
}

/**
 * A study that was incomplete when it was asked for turned out to hold content that another assessment reads or has read
 * (the late instances belonged to no chosen series): the same content has the same result.
 */
async function shareContent(contentKey: string, assessment: KeptAssessment, parts: RunParts): Promise<NextRun> {
  const { store, operation } = parts;
  const others = (await store.findByContent(contentKey)).filter(({ id }) => id !== assessment.id);
  const underWay = others.some(({ status }) => status === 'created' || status === 'active');
  const holder = others.find(({ status }) => status === 'completed');
  if (!underWay && holder !== undefined) {
    const { withdrawal, prediction, resources, basis, executionProvider, flags, timings } = holder;
    const stands = withdrawal === null && (resources !== null || operation.current().mode === 'shadow');
    if (stands && prediction !== null && executionProvider !== null) {
      const maps = await store.getMaps(holder.id);
      const end = { kind: 'completed', prediction, resources, basis, maps, executionProvider, flags, timings } as const;
      return finish(assessment, parts, end);
    }
    // Taken back, or only kept in shadow operation: it is made anew.
    await store.asNextRevision(assessment, contentKey);
  }
  return (await store.pause(assessment, 'shutdown')) === null ? null : { afterMs: underWay ? 2_000 : 0 };
}

async function finish(run: Run, { store, log }: RunParts, end: AssessmentEnd): Promise<null> {
  const finished = await store.finish(run, end);
  if (finished !== null) {
    const code = end.kind === 'refused' ? end.refusal.code : end.kind === 'failed' ? end.error.code : undefined;
    log.info('assessment ended', { assessmentId: run.id, attempt: run.attempt, status: finished.status, code });
  }
  return null;
}

/** The work's own end, or the reason of `signal` when the work has not ended within the grace after it. */
async function orAbandon<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let abort = (): void => undefined;
  const abandoned = new Promise<never>((_, reject) => {
    abort = () => {
      timer = setTimeout(() => reject(signal.reason), GRACE_MS);
    };
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
  try {
    return await Promise.race([work, abandoned]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}
