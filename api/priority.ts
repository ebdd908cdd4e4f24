/** Who goes first when there are fewer cores than work: whoever waits at the door, before what is computed for later. */
import { getPriority, setPriority } from 'node:os';

/** Ten steps of twenty; the lowest there is. */
const [STEPS, LOWEST] = [10, 19];

/**
 * Gives this worker thread, and the processes it starts from now on, a lower priority. Linux keeps priorities by thread
 * (sched(7), "The nice value"); elsewhere they are the whole process's, which must not be slowed, and nothing is done.
 */
export function computeInBackground(): void {
  if (process.platform === 'linux') setPriority(Math.min(LOWEST, getPriority() + STEPS));
}
