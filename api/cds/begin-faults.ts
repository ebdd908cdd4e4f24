/**
 * Studies whose assessment could not be begun. Nothing of them is in the records, so that without this every hook would promise
 * a result anew. Kept in memory: after a restart each is asked for once more.
 */
import type { StudyReference } from '../assessment/ports.ts';
import { HemocastError } from '../errors.ts';
import type { BeginFault } from './patient-state.ts';

/** Studies remembered; the one that failed first is forgotten first. */
const MOST_REMEMBERED = 10_000;

export class BeginFaults {
  readonly #faults = new Map<string, BeginFault>();

  of({ id }: StudyReference): BeginFault | undefined {
    return this.#faults.get(id);
  }

  /** Begins, and remembers why that failed until it succeeds. Throws what `begin` throws. */
  async watch<T>({ id }: StudyReference, begin: () => Promise<T>): Promise<T> {
    try {
      const begun = await begin();
      this.#faults.delete(id);
      return begun;
    } catch (error) {
      this.#faults.delete(id);
      if (this.#faults.size >= MOST_REMEMBERED) this.#faults.delete(this.#faults.keys().next().value!);
      this.#faults.set(id, error instanceof HemocastError ? { code: error.code, message: error.message } : null);
      throw error;
    }
  }
}
