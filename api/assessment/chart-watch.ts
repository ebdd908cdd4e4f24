/**
 * Follows the chart: results that no longer stand are taken back, and where that is wanted eligible studies are assessed. It
 * looks on its own, and at once when something says that the chart changed; what it is told is never believed, only read
 * again. Doing it twice changes nothing.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { UpstreamError } from '../errors.ts';
import type { Assessment } from './assessment.ts';
import type { AssessmentRecords } from './assessment-records.ts';
import type { Eligibility } from './eligibility.ts';
import type { OperationSwitch } from './operation.ts';
import type { ChartChanges, Ehr, StudyReference } from './ports.ts';
import { WITHDRAWALS, findWithdrawal } from './withdrawal.ts';

export interface ChartWatchParts {
  readonly ehr: Pick<Ehr, 'readStudy' | 'withdraw' | 'findChanges' | 'listStudies'>;
  readonly records: Pick<AssessmentRecords, 'listStanding' | 'withdraw' | 'readCursor' | 'writeCursor'>;
  readonly operation: Pick<OperationSwitch, 'current'>;
  /** Set where eligible studies are assessed without anyone asking (eligibility.ts). */
  readonly trigger?: {
    judge(reference: StudyReference, signal: AbortSignal): Promise<Eligibility>;
    assess(reference: StudyReference, signal: AbortSignal): Promise<void>;
  };
  /** Pause between two looks, ms. */
  readonly intervalMs: number;
  readonly onFault: (error: unknown) => void;
}

/** A look that takes longer is given up and begun again. ms */
const LOOK_TIMEOUT_MS = 120_000;
const CURSOR = 'chart-watch';
/** Every so many looks all standing results are judged, changed or not. */
const LOOKS_PER_SWEEP = 20;

export class ChartWatch {
  readonly #parts: ChartWatchParts;
  readonly #stopped = new AbortController();
  /** Studies whose images were still arriving, by id; looked at again until they are there. */
  readonly #arriving = new Map<string, StudyReference>();
  #wake = new AbortController();
  #looks = 0;
  #loop: Promise<void> | undefined;

  constructor(parts: ChartWatchParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#loop ??= this.#run();
  }

  /** The chart may have changed: look now. */
  poke(): void {
    this.#wake.abort();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#wake.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      this.#wake = new AbortController();
      if (this.#parts.operation.current().mode !== 'paused') {
        const signal = AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(LOOK_TIMEOUT_MS)]);
        await this.look(signal).catch((error: unknown) => {
          if (!this.#stopped.signal.aborted) this.#parts.onFault(error);
        });
      }
      const { signal } = this.#wake;
      if (!this.#stopped.signal.aborted)
        await pause(this.#parts.intervalMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /**
   * One look at what changed since the last one, and now and then at every result that stands: a search cannot name what was
   * deleted. A result that cannot be judged now does not keep the others from being judged; it is looked at again.
   */
  async look(signal: AbortSignal): Promise<void> {
    const { records } = this.#parts;
    const now = new Date().toISOString();
    const since = await records.readCursor(CURSOR);
    const changes = since === null ? 'unknown' : await this.#findChanges(since, signal);
    const everything = changes === 'unknown' || this.#looks++ % LOOKS_PER_SWEEP === 0;
    const faults: unknown[] = [];
    for (const assessment of await records.listStanding(everything ? null : changes)) {
      await this.#review(assessment, signal).catch((error: unknown) => faults.push(error));
      signal.throwIfAborted();
    }
    // What was in the chart before the first look is history, not news.
    if (changes !== 'unknown') await this.#assessEligible(changes, signal);
    if (faults.length > 0) throw faults[0];
    await records.writeCursor(CURSOR, changes === 'unknown' ? now : changes.until);
  }

  /** 'unknown' where more changed than the chart can be asked for: then every standing result is judged. */
  async #findChanges(since: string, signal: AbortSignal): Promise<ChartChanges | 'unknown'> {
    try {
      return await this.#parts.ehr.findChanges(since, signal);
    } catch (error) {
      if (error instanceof UpstreamError && error.code === 'ehr-paging-endless') return 'unknown';
      throw error;
    }
  }

  async #assessEligible(changes: ChartChanges, signal: AbortSignal): Promise<void> {
    const { ehr, trigger } = this.#parts;
    if (trigger === undefined) return;
    const candidates = new Map([...this.#arriving, ...changes.studies.map((study) => [study.id, study] as const)]);
    for (const patient of changes.patients) {
      for (const { reference } of await ehr.listStudies(patient, signal)) candidates.set(reference.id, reference);
    }
    for (const [id, reference] of candidates) {
      const eligibility = await trigger.judge(reference, signal);
      if (eligibility === 'still-arriving') this.#arriving.set(id, reference);
      else this.#arriving.delete(id);
      if (eligibility === 'eligible') await trigger.assess(reference, signal);
    }
  }

  async #review(assessment: Assessment, signal: AbortSignal): Promise<void> {
    const { ehr, records } = this.#parts;
    const code = await findWithdrawal(assessment, ehr, signal);
    if (code === null) return;
    const message = WITHDRAWALS[code];
    if (assessment.resources !== null) {
      await ehr.withdraw({ resources: assessment.resources, study: assessment.study, message }, signal);
    }
    await records.withdraw(assessment.id, { code, message, at: new Date().toISOString() });
  }
}
