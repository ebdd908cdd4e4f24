import { HemocastError } from '../errors.ts';

/**
 * A call that hemocast does not make: nothing was dialled (or, for a redirect, nothing further). `details` names the host at
 * most; paths and queries may hold patient identifiers and stay out.
 */
export class EgressRefusedError extends HemocastError {
  constructor(reason: string, host?: string) {
    super('egress-refused', `The call was not made: ${reason}.`, {
      status: 502,
      issueType: 'security',
      details: host === undefined ? {} : { host },
    });
  }
}
