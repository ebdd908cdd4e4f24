/** A map whose entries end by themselves, and which forgets its oldest rather than grow without bound. */
export class ExpiringMap<T> {
  readonly #entries = new Map<string, { readonly value: T; readonly expiresAt: number }>();
  readonly #maxSize: number;

  constructor(maxSize: number) {
    this.#maxSize = maxSize;
  }

  /** @param lifetimeS seconds */
  set(key: string, value: T, lifetimeS: number): void {
    this.#entries.delete(key);
    this.#entries.set(key, { value, expiresAt: Date.now() + lifetimeS * 1000 });
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#maxSize) break;
      this.#entries.delete(oldest);
    }
  }

  get(key: string): T | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.expiresAt > Date.now()) return entry?.value;
    this.#entries.delete(key);
    return undefined;
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }

  /** The value, which is then gone. */
  take(key: string): T | undefined {
    const value = this.get(key);
    this.delete(key);
    return value;
  }

  values(): T[] {
    return [...this.#entries.keys()].map((key) => this.get(key)).filter((value) => value !== undefined);
  }
}
