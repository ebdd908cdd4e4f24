/**
 * Follows the chart: results that no longer stand are taken back, of two that stand for one study the later counts, and where wanted eligible studies are assessed. It
 * looks on its own, and at once when something says that the chart changed; what it is told is never believed, only read
 * again. Doing it twice changes nothing. How far it has come, and what it has to look at again, is kept: a restart loses neither.
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
import { WITHDRAWALS, findWithdrawal } from './withdrawal.ts';

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
const CURSOR = 'chart-watch';
/** While the forecast is about hours to come, a sweep also looks at its images. ms */
const IMAGES_LOOKED_AT_FOR_MS = 72 * 3_600_000;
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
  /** When the last look began: what completed since then was still in the making when the chart was read. */
  #lastLook: string | undefined;
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
    for (const assessment of await records.listStanding(sweep ? null : named)) {
      await this.#orAgain(formatStudyReference(assessment.study), signal, async (limit) => {
        const stands = await this.#review(assessment, now, limit);
        if (stands && assessment.updatedAt >= named.completedSince) await this.#settle(assessment, limit);
      });
    }
    this.#lastLook = now;
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

  /** Whether the result stands, as far as can be told now. */
  async #review(assessment: Assessment, now: string, signal: AbortSignal): Promise<boolean> {
    const { ehr, records, operation } = this.#parts;
    // In shadow operation nothing is written, not even a withdrawal: it is made up for when the service runs.
    if (assessment.resources !== null && operation.current().mode !== 'running') return false;
    const isRecent = Date.parse(now) - Date.parse(assessment.createdAt) < IMAGES_LOOKED_AT_FOR_MS;
    const code = await findWithdrawal(assessment, { ehr, pacs: isRecent ? this.#parts.pacs : null }, signal);
    if (code === null) return true;
    const message = WITHDRAWALS[code];
    if (assessment.resources !== null) {
      const { resources, study, model } = assessment;
      await ehr.withdraw({ resources, study, model, message }, signal);
    }
    await records.withdraw(assessment.id, { code, message, at: new Date().toISOString() });
    return false;
  }

  /** Two processes that write forecasts of one study at once see nothing of each other: the one completed last counts. */
  async #settle({ study, patientReference }: Assessment, signal: AbortSignal): Promise<void> {
    const { ehr, records, onFault } = this.#parts;
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
