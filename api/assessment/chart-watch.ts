/**
 * Follows the chart: results that no longer stand are taken back, of two that stand for one study the later counts, and where
 * that is wanted eligible studies are assessed. It looks on its own, and at once when something says that the chart changed; what
 * it is told is never believed, only read again. Doing it twice changes nothing. How far it has come, and what it has to look at
 * again, is kept: a restart loses neither.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { UpstreamError } from '../errors.ts';
import type { Assessment } from './assessment.ts';
import { formatStudyReference } from './assessment.ts';
import type { AssessmentRecords } from './assessment-records.ts';
import type { Eligibility } from './eligibility.ts';
import { LookAgain } from './look-again.ts';
import { PausedError } from './operation.ts';
import type { OperationSwitch } from './operation.ts';
import type { ChartChanges, Ehr, Pacs, StudyReference } from './ports.ts';
import { WITHDRAWALS, findWithdrawal, lacksImages } from './withdrawal.ts';
import type { WithdrawalCode } from './withdrawal.ts';

export interface ChartWatchParts {
  readonly ehr: Pick<Ehr, 'readStudy' | 'withdraw' | 'supersede' | 'findChanges' | 'listStudies'>;
  readonly pacs: Pick<Pacs, 'listInstances'>;
  readonly records: Pick<AssessmentRecords, 'listStanding' | 'withdraw' | 'readCursor' | 'writeCursor'>;
  readonly operation: Pick<OperationSwitch, 'current' | 'onChange'>;
  /** Set where eligible studies are assessed without anyone asking (eligibility.ts). */
  readonly trigger?: {
    judge(reference: StudyReference, signal: AbortSignal): Promise<Eligibility>;
    /** Whether nothing more is to be done; otherwise the study is looked at again, until it has a result. */
    assess(reference: StudyReference, signal: AbortSignal): Promise<boolean>;
  };
  /** Pause between two looks, ms. */
  readonly intervalMs: number;
  /** Told of every study that could not be judged, and of every look that failed as a whole. */
  readonly onFault: (error: unknown) => void;
}

/** One study or result that takes longer is given up for now. ms */
const ITEM_TIMEOUT_MS = 60_000;
/** Notifications come in bursts: one look answers all that arrive within this time. ms */
const BURST_MS = 200;
/** Results are dated by the clock of the database, looks by that of this process. ms */
const CLOCKS_APART_MS = 10_000;
const CURSOR = 'chart-watch';
/** While a forecast is about hours to come, its images are looked at as well. ms */
const FORECAST_MS = 72 * 3_600_000;
/** Every so many looks all standing results are judged, changed or not. */
const LOOKS_PER_SWEEP = 20;

export class ChartWatch {
  readonly #parts: ChartWatchParts;
  readonly #again: LookAgain;
  readonly #stopped = new AbortController();
  /** Ends the look under way: the service was paused, or went dark. */
  #held = new AbortController();
  #wake = new AbortController();
  /** Looks until the next sweep; the first one is a sweep. */
  #looksToSweep = 0;
  /** A little before the last look began: what completed since then was still in the making when the chart was read. */
  #lastLook: string | undefined;
  /** Results whose images were not all listed at the last look at them. */
  readonly #lacking = new Set<string>();
  #loop: Promise<void> | undefined;
  #stopListening: (() => void) | undefined;

  constructor(parts: ChartWatchParts) {
    this.#parts = parts;
    this.#again = new LookAgain(parts.records);
  }

  start(): void {
    this.#stopListening ??= this.#parts.operation.onChange(({ mode }) => {
      this.#held.abort(new PausedError(`The service is ${mode}.`));
      // What had to be left standing meanwhile is taken back now.
      this.#looksToSweep = 0;
      this.poke();
    });
    this.#loop ??= this.#run();
  }

  /** The chart may have changed: look now. */
  poke(): void {
    this.#wake.abort();
  }

  async stop(): Promise<void> {
    this.#stopListening?.();
    this.#stopped.abort();
    this.#wake.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { operation, intervalMs, onFault } = this.#parts;
    while (!this.#stopped.signal.aborted) {
      this.#wake = new AbortController();
      this.#held = new AbortController();
      if (operation.current().mode !== 'paused') {
        const signal = AbortSignal.any([this.#stopped.signal, this.#held.signal]);
        await this.look(signal).catch((error: unknown) => {
          if (!signal.aborted) onFault(error);
        });
      }
      await pause(BURST_MS, undefined, { signal: this.#stopped.signal }).catch(() => undefined);
      const { signal } = this.#wake;
      await pause(intervalMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /**
   * One look at what changed since the last one and at what could not be judged then; now and then at every result that stands:
   * a search cannot name what was deleted. Nothing that cannot be judged keeps the rest from being judged.
   */
  async look(signal: AbortSignal): Promise<void> {
    const { records, trigger } = this.#parts;
    const now = new Date().toISOString();
    const since = await records.readCursor(CURSOR);
    // What was in the chart before the first look is history, not news.
    const found = since === null ? { studies: [], patients: [], until: now } : await this.#findChanges(since, signal);
    const changes = found ?? { studies: [], patients: [], until: now };
    const due = await this.#again.read(now);
    const studies = [...changes.studies, ...due.studies];
    const patients = [...changes.patients, ...due.patients];

    const sweep = found === undefined || this.#looksToSweep <= 0;
    const named = { studies, patients, completedSince: this.#lastLook ?? now };
    const standing: Assessment[] = [];
    for (const assessment of await records.listStanding(sweep ? null : named)) {
      await this.#orAgain(formatStudyReference(assessment.study), signal, async (limit) => {
        if (await this.#stands(assessment, limit)) standing.push(assessment);
      });
    }
    const recent = standing.filter(({ createdAt }) => Date.parse(now) - Date.parse(createdAt) < FORECAST_MS);
    // The archive comes after every chart: one that hangs keeps none from being judged.
    await this.#reviewImages(recent, signal);
    const dueIds = new Set(due.studies.map(({ id }) => id));
    const isNews = ({ updatedAt, study }: Assessment): boolean =>
      updatedAt >= named.completedSince || dueIds.has(study.id);
    const unsettled = sweep ? recent : standing.filter(isNews);
    for (const [, assessment] of new Map(unsettled.map((one) => [`${one.study.id} ${one.patientReference}`, one]))) {
      await this.#orAgain(formatStudyReference(assessment.study), signal, (limit) => this.#settle(assessment, limit));
    }
    this.#lastLook = new Date(Date.parse(now) - CLOCKS_APART_MS).toISOString();
    if (trigger !== undefined) {
      for (const reference of await this.#candidates({ studies, patients }, signal)) {
        await this.#orAgain(formatStudyReference(reference), signal, async (limit) => {
          const eligibility = await trigger.judge(reference, limit);
          const isDone =
            eligibility === 'eligible' ? await trigger.assess(reference, limit) : eligibility === 'not-eligible';
          if (!isDone) this.#again.add(formatStudyReference(reference));
        });
      }
    }
    await this.#again.write(now);
    await records.writeCursor(CURSOR, changes.until);
    this.#looksToSweep = sweep ? LOOKS_PER_SWEEP - 1 : this.#looksToSweep - 1;
  }

  /** Undefined where more changed than the chart can be asked for: then every standing result is judged. */
  async #findChanges(since: string, signal: AbortSignal): Promise<ChartChanges | undefined> {
    try {
      return await this.#parts.ehr.findChanges(since, signal);
    } catch (error) {
      if (!(error instanceof UpstreamError && error.code === 'ehr-paging-endless')) throw error;
      this.#parts.onFault(error);
      return undefined;
    }
  }

  /** The studies named, and those of the patients named. */
  async #candidates(
    { studies, patients }: Pick<ChartChanges, 'studies' | 'patients'>,
    signal: AbortSignal,
  ): Promise<readonly StudyReference[]> {
    const candidates = new Map(studies.map((study) => [study.id, study]));
    for (const patient of new Set(patients)) {
      await this.#orAgain(patient, signal, async (limit) => {
        for (const { reference } of await this.#parts.ehr.listStudies(patient, limit)) {
          candidates.set(reference.id, reference);
        }
      });
    }
    return [...candidates.values()];
  }

  /** Does the work in its time, or looks at its subject again next time. Throws only when the look itself has to end. */
  async #orAgain(subject: string, signal: AbortSignal, work: (limit: AbortSignal) => Promise<void>): Promise<void> {
    signal.throwIfAborted();
    try {
      await work(AbortSignal.any([signal, AbortSignal.timeout(ITEM_TIMEOUT_MS)]));
    } catch (error) {
      signal.throwIfAborted();
      this.#again.add(subject);
      this.#parts.onFault(error);
    }
  }

  /** Whether the result stands on its chart; one that does not is taken back. */
  async #stands(assessment: Assessment, signal: AbortSignal): Promise<boolean> {
    // In shadow operation nothing is written, not even a withdrawal: it is made up for when the service runs.
    if (assessment.resources !== null && !this.#isRunning()) return false;
    const code = await findWithdrawal(assessment, this.#parts.ehr, signal);
    if (code !== null) await this.#takeBack(assessment, code, signal);
    return code === null;
  }

  /** What an archive lacks at two looks in a row is taken back: it may have been indexing anew at one. */
  async #reviewImages(assessments: readonly Assessment[], signal: AbortSignal): Promise<void> {
    for (const assessment of assessments) {
      signal.throwIfAborted();
      const study = formatStudyReference(assessment.study);
      const limit = AbortSignal.any([signal, AbortSignal.timeout(ITEM_TIMEOUT_MS)]);
      try {
        const lacked = this.#lacking.delete(assessment.id);
        if (!(await lacksImages(assessment, this.#parts, limit))) continue;
        if (lacked) {
          await this.#takeBack(assessment, 'images-corrected', limit);
        } else {
          this.#lacking.add(assessment.id);
          this.#again.add(study);
        }
      } catch (error) {
        signal.throwIfAborted();
        this.#again.add(study);
        this.#parts.onFault(error);
        if (!(error instanceof UpstreamError)) return; // it is away: the next sweep looks at the rest
      }
    }
  }

  async #takeBack(assessment: Assessment, code: WithdrawalCode, signal: AbortSignal): Promise<void> {
    const { id, resources, study, model } = assessment;
    const message = WITHDRAWALS[code];
    if (resources !== null) await this.#parts.ehr.withdraw({ resources, study, model, message }, signal);
    await this.#parts.records.withdraw(id, { code, message, at: new Date().toISOString() });
    // Where that is wanted, what is there now is assessed in its place.
    if (this.#parts.trigger !== undefined) this.#again.add(formatStudyReference(study));
  }

  #isRunning(): boolean {
    return this.#parts.operation.current().mode === 'running';
  }

  /** Two processes that write forecasts of one study at once see nothing of each other: the one completed last counts. */
  async #settle({ study, patientReference }: Assessment, signal: AbortSignal): Promise<void> {
    const { ehr, records, onFault } = this.#parts;
    if (!this.#isRunning()) return;
    const standing = (await records.listStanding({ studies: [study], patients: [] }))
      .filter((other) => other.patientReference === patientReference)
      .sort((a, b) => Date.parse(a.updatedAt) - Date.parse(b.updatedAt))
      .flatMap(({ resources }) => resources ?? []);
    const by = standing.at(-1)?.riskAssessment;
    if (by === undefined) return;
    for (const resources of standing.filter(({ riskAssessment }) => riskAssessment !== by)) {
      await ehr.supersede({ resources, by }, signal).catch((error: unknown) => {
        if (!(error instanceof UpstreamError)) throw error;
        onFault(error); // an EHR that does not let it be marked will not tomorrow either
      });
    }
  }
}
