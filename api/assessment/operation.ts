/** The switch with which an administrator stops what the service shows and writes, or lets it compute in the dark. */

/**
 * - `running`: assesses, writes back, shows.
 * - `shadow`: assesses and keeps the result, shows and writes nothing.
 * - `paused`: accepts requests and keeps them; computes, shows and writes nothing.
 */
export type OperationMode = 'running' | 'shadow' | 'paused';

export interface Operation {
  readonly mode: OperationMode;
  /** Null until it was first changed. */
  readonly changedAt: string | null;
  /** In the administrator's words; null when none was given. */
  readonly reason: string | null;
}

export interface OperationSwitch {
  /** As of at most half a second ago, where another process of the same service changed it. */
  current(): Operation;
  /** Durable when it returns. */
  set(mode: OperationMode, reason: string | null): Promise<Operation>;
  /** Calls back after every change of mode, until the returned function is called. */
  onChange(listener: (operation: Operation) => void): () => void;
}

/** The service was paused while this was under way; it is taken up again when it runs. */
export class PausedError extends Error {
  override readonly name = 'PausedError';
}
