/** Requests that no one waits for: a hook or a subscription names a study and goes on. */
import type { StudyReference } from './ports.ts';

/** A study is not asked for again within this time, ms: every hook of a busy chart names the same one. */
const QUIET_MS = 60_000;
/** Requests under way at a time; each reads the chart and the PACS. */
const MOST_UNDER_WAY = 4;
/** Studies remembered. */
const MOST_REMEMBERED = 10_000;

export class BackgroundRequests {
  readonly #request: (study: StudyReference) => Promise<unknown>;
  readonly #onFault: (error: unknown) => void;
  readonly #askedAt = new Map<string, number>();
  readonly #waiting: StudyReference[] = [];
  #underWay = 0;

  /** `request`: requestAssessment with its parts. `onFault` is told of errors; the study may be asked for again after a while. */
  constructor(request: (study: StudyReference) => Promise<unknown>, onFault: (error: unknown) => void) {
    this.#request = request;
    this.#onFault = onFault;
  }

  /** Returns at once. */
  add(study: StudyReference): void {
    const now = performance.now();
    const askedAt = this.#askedAt.get(study.id);
    if (askedAt !== undefined && now - askedAt < QUIET_MS) return;
    if (this.#askedAt.size >= MOST_REMEMBERED) this.#askedAt.clear();
    this.#askedAt.set(study.id, now);
    this.#waiting.push(study);
    this.#begin();
  }

  #begin(): void {
    if (this.#underWay >= MOST_UNDER_WAY) return;
    const study = this.#waiting.shift();
    if (study === undefined) return;
    this.#underWay++;
    this.#request(study)
      .catch(this.#onFault)
      .finally(() => {
        this.#underWay--;
        this.#begin();
      });
  }
}
