import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { lock } from 'proper-lockfile';
import { ConfigurationError } from '../errors.ts';

/** A lock that its owner has not renewed for so long belongs to a dead process, ms. */
const STALE_MS = 5_000;
const RENEW_MS = 1_500;
const RETRY_MS = 250;

/**
 * Takes `dataDir` for this process alone: a second PGlite on the same files is not refused by PGlite and diverges silently.
 * Creates the folder. Waits up to `waitMs` for the lock of a killed process to go stale.
 * `onLost` is called when another process has taken the lock although this one lives (it was suspended for longer than STALE_MS).
 * Throws ConfigurationError when the folder is in use or cannot be written. Returns the function that gives it back.
 */
export async function lockDirectory(
  dataDir: string,
  onLost: (error: Error) => void,
  waitMs: number = STALE_MS + 3_000,
): Promise<() => Promise<void>> {
  try {
    await mkdir(dataDir, { recursive: true });
    return await lock(dataDir, {
      lockfilePath: join(dataDir, 'in-use.lock'),
      stale: STALE_MS,
      update: RENEW_MS,
      retries: { retries: Math.ceil(waitMs / RETRY_MS), minTimeout: RETRY_MS, maxTimeout: RETRY_MS, factor: 1 },
      onCompromised: onLost,
    });
  } catch (error) {
    const code = (error as { code?: string }).code ?? 'unknown';
    const why =
      code === 'ELOCKED'
        ? 'another hemocast process is using it. Stop that one, choose another DATA_DIR, or use DATABASE_URL to run several'
        : `it cannot be written (${code}). Make it writable or choose another DATA_DIR`;
    throw new ConfigurationError(`The data folder ${dataDir} cannot be opened: ${why}.`);
  }
}
