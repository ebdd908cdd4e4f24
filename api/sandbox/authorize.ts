/**
 * Who may use the sandbox: without a token, this machine only; a presented token is always verified, and as long as the sandbox
 * has no authorization server there is none it could have issued.
 */
import type { Request, RequestHandler } from 'express';

/** Middleware of the sandbox's doors: calls `next()` for who may pass, answers everyone else. */
export type Authorize = RequestHandler;

/** Host names of this machine. A page of another site that rebinds its own name to 127.0.0.1 still sends that name. */
const loopbackHost = /^(localhost|[a-z0-9-]+\.localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$/i;
const loopbackAddress = /^(::ffff:)?127(\.\d{1,3}){3}$|^::1$/;

export const authorizeLoopback: Authorize = (request, response, next) => {
  if (request.get('authorization') === undefined && isLoopback(request)) {
    next();
    return;
  }
  const body = {
    resourceType: 'OperationOutcome',
    issue: [{ severity: 'error', code: 'login', details: { text: 'Unauthorized' }, diagnostics: 'Unauthorized' }],
  };
  response.status(401).set('WWW-Authenticate', 'Bearer').type('application/fhir+json').send(JSON.stringify(body));
};

function isLoopback(request: Request): boolean {
  return loopbackAddress.test(request.socket.remoteAddress ?? '') && loopbackHost.test(request.get('host') ?? '');
}
