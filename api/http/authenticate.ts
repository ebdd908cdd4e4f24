import { createHash, timingSafeEqual } from 'node:crypto';
import type { Request, RequestHandler } from 'express';
import { isLoopback } from '../config.ts';
import { HemocastError } from '../errors.ts';

export interface CallerAuthentication {
  /** The bearer token that callers must present. Without one (the sandbox), calls are answered on loopback only. */
  readonly apiToken?: string;
}

/** One body for every fault: it does not say what was wrong with the token. */
export class UnauthorizedError extends HemocastError {
  constructor() {
    super(
      'unauthorized',
      'Present the bearer token of this service, or call it from its own machine where it has none.',
      {
        status: 401,
        issueType: 'security',
      },
    );
  }
}

/** The door to /v1. A token that is presented is always verified, also where none is required. */
export function authenticate({ apiToken }: CallerAuthentication): RequestHandler {
  return (request, _response, next) => {
    const authorization = request.get('authorization');
    const admitted =
      authorization === undefined ? apiToken === undefined && isLocalCall(request) : isToken(authorization, apiToken);
    next(admitted ? undefined : new UnauthorizedError());
  };
}

/** Digests have one length, so that the comparison takes the same time for every token. */
function isToken(authorization: string, apiToken: string | undefined): boolean {
  const presented = /^Bearer +([^\s]+)$/i.exec(authorization)?.[1];
  if (presented === undefined || apiToken === undefined) return false;
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(presented), digest(apiToken));
}

/**
 * Whether the call comes from this machine and was meant for it: a proxy in front forwards calls of others, and a web page
 * may point a name of its own at 127.0.0.1 (DNS rebinding).
 */
export function isLocalCall(request: Request): boolean {
  const address = (request.socket.remoteAddress ?? '').replace(/^::ffff:/, '');
  const forwarded = request.get('x-forwarded-for') ?? request.get('forwarded') ?? request.get('via');
  const host = request.get('host') ?? '';
  const hostname = URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname : '';
  return (address === '::1' || isLoopback(address)) && forwarded === undefined && isLoopback(hostname);
}
