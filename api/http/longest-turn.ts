/**
 * The longest turn of the event loop: how much processor time this thread used between two chances to answer anyone. Unlike the
 * delay that a clock sees, it does not grow because other programs keep the processor busy.
 */

const TICK_MS = 5;

export class LongestTurn {
  #last = process.threadCpuUsage();
  #longestMs = 0;

  constructor() {
    setInterval(() => {
      const now = process.threadCpuUsage();
      const usedMs = (now.user + now.system - this.#last.user - this.#last.system) / 1000;
      this.#longestMs = Math.max(this.#longestMs, usedMs);
      this.#last = now;
    }, TICK_MS).unref();
  }

  /** ms since the last call, whose count is set back. */
  take(): number {
    const longest = this.#longestMs;
    this.#longestMs = 0;
    return longest;
  }
}
