import type { Request, RequestHandler, Response } from 'express';
import type { Authorizer, Caller } from '../authorization/caller.ts';
import { isLoopback } from '../config.ts';

export { UnauthorizedError } from '../authorization/caller.ts';

/** The door to /v1 and /metrics. What the caller may do behind it is said by permit.ts. */
export function authenticate(authorizer: Authorizer): RequestHandler {
  return async (request, response, next) => {
    const authorization = request.get('authorization');
    response.locals.caller = await authorizer.authorize({ authorization, isLocal: isLocalCall(request) });
    next();
  };
}

/** Who calls; only behind `authenticate`. */
export function callerOf(response: Response): Caller {
  return response.locals.caller as Caller;
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
