/** Who calls: what every door knows about a caller, and the one answer to everyone who is nobody. */
import { HemocastError } from '../errors.ts';

export type Caller =
  /** Someone on this machine, where no token is required (the sandbox). */
  | { readonly kind: 'local' }
  /** The holder of API_TOKEN: the administrator's own integrations. */
  | { readonly kind: 'api-token' }
  /** An integrator's system, by a JWT of a registered issuer. */
  | {
      readonly kind: 'client';
      readonly issuer: string;
      readonly subject: string;
      readonly tenant?: string;
      readonly scopes: readonly string[];
    }
  /** Someone who is signed in to the EHR, in the context of one patient ("Patient/<id>"). */
  | { readonly kind: 'user'; readonly patient: string; readonly scopes: readonly string[] };

export interface PresentedCredential {
  /** Value of the Authorization header. */
  readonly authorization?: string;
  /** Whether the call comes from this machine and was meant for it. */
  readonly isLocal: boolean;
}

export interface Authorizer {
  /** Throws UnauthorizedError, or TransientError where the EHR that has to be asked does not answer: never lets pass on doubt. */
  authorize(credential: PresentedCredential): Promise<Caller>;
}

/** One body for every fault: it does not say what was wrong with the token. */
export class UnauthorizedError extends HemocastError {
  constructor() {
    super(
      'unauthorized',
      'Present a bearer token that this service accepts, or call it from its own machine where it needs none.',
      { status: 401, issueType: 'security' },
    );
  }
}

/** The caller is known and may not do this: a scope is missing, or the patient is another one. */
export class ForbiddenError extends HemocastError {
  constructor(message: string) {
    super('forbidden', message, { status: 403, issueType: 'security' });
  }
}
