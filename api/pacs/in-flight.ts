/** Runs work side by side, at most `limit` at a time; the first failure stops what has not begun. */
export class InFlight {
  readonly #limit: number;
  readonly #tasks = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Begins `work` when there is room. Throws what an earlier work threw. */
  async add(work: () => Promise<void>): Promise<void> {
    while (this.#tasks.size >= this.#limit && this.#failure === undefined) await Promise.race(this.#tasks);
    this.#throwFailure();
    const task: Promise<void> = work()
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#tasks.delete(task));
    this.#tasks.add(task);
  }

  /** Waits for everything begun. Throws the first failure. */
  async drain(): Promise<void> {
    await Promise.all(this.#tasks);
    this.#throwFailure();
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
