/** What a look at the chart could not finish: studies whose images still arrive, and whatever could not be read. Kept over a restart. */
import type { AssessmentRecords } from './assessment-records.ts';
import type { ChartChanges } from './ports.ts';

const CURSOR = 'chart-watch-again';

/** Given up after this time, ms: the forecast is about 72 h, and images that come later come too late. */
const GIVEN_UP_AFTER_MS = 72 * 3_600_000;

export class LookAgain {
  readonly #records: Pick<AssessmentRecords, 'readCursor' | 'writeCursor'>;
  /** "ImagingStudy/<id>" or "Patient/<id>" -> since when, of the last look. */
  #due: ReadonlyMap<string, string> = new Map();
  readonly #next = new Set<string>();
  #kept = '{}';

  constructor(records: Pick<AssessmentRecords, 'readCursor' | 'writeCursor'>) {
    this.#records = records;
  }

  /** Begins a look: what the one before left over. */
  async read(now: string): Promise<Pick<ChartChanges, 'studies' | 'patients'>> {
    this.#kept = (await this.#records.readCursor(CURSOR)) ?? '{}';
    this.#due = new Map(
      Object.entries(JSON.parse(this.#kept) as Record<string, string>).filter(
        ([, since]) => Date.parse(since) > Date.parse(now) - GIVEN_UP_AFTER_MS,
      ),
    );
    this.#next.clear();
    const references = [...this.#due.keys()];
    return {
      studies: references
        .filter((reference) => reference.startsWith('ImagingStudy/'))
        .map((reference) => ({ resourceType: 'ImagingStudy', id: reference.slice('ImagingStudy/'.length) })),
      patients: references.filter((reference) => reference.startsWith('Patient/')),
    };
  }

  add(reference: string): void {
    this.#next.add(reference);
  }

  /** Ends the look. */
  async write(now: string): Promise<void> {
    const next = [...this.#next].sort().map((reference) => [reference, this.#due.get(reference) ?? now]);
    const text = JSON.stringify(Object.fromEntries(next));
    if (text !== this.#kept) await this.#records.writeCursor(CURSOR, text);
  }
}
