/** The refusal a call ends in; a call that gives a result, or fails in another way, is a failed test. */
import { RefusalError } from '../../api/prediction/refusals.ts';

export function refusalOf(call: () => unknown): RefusalError {
  let result: unknown;
  try {
    result = call();
  } catch (error) {
    if (error instanceof RefusalError) return error;
    throw error;
  }
  throw new Error(`expected a refusal, got ${JSON.stringify(result)?.slice(0, 200)}`);
}
