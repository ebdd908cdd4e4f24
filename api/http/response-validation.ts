import type { Logger } from '../log.ts';
import { ContractBreachError } from './problem.ts';

interface Violations extends Error {
  readonly errors?: readonly { readonly path?: string; readonly message?: string }[];
}

/** An answer that breaks openapi.yaml is our fault, never the caller's: it is logged without its values and answered 500. */
export function responseValidation(services: {
  readonly log: Logger;
  readonly onContractBreach?: (error: Error) => void;
}): {
  onError: (error: Violations) => void;
} {
  return {
    onError(error) {
      const violations = (error.errors ?? []).map(({ path, message }) => `${path ?? ''} ${message ?? ''}`.trim());
      const breach = new ContractBreachError(violations.length > 0 ? violations : [error.message]);
      services.log.error('answer breaks openapi.yaml', { code: breach.code, violations: breach.violations });
      services.onContractBreach?.(breach);
      throw breach;
    },
  };
}
