import { randomUUID } from 'node:crypto';
import type { RequestHandler } from 'express';
import type { Logger } from '../log.ts';

/** One line per answered request: its route template, never its path, query or body. */
export function logRequests(log: Logger): RequestHandler {
  return (request, response, next) => {
    const began = performance.now();
    const requestId = randomUUID();
    response.on('close', () => {
      const { openapi } = request as { openapi?: { openApiRoute?: string } };
      log.debug('request answered', {
        requestId,
        method: request.method,
        route: openapi?.openApiRoute,
        status: response.statusCode,
        durationMs: Math.round(performance.now() - began),
      });
    });
    next();
  };
}

/** For JSON answers: nothing in them may run, be framed, be guessed at, or be kept by a cache. */
export const securityHeaders: RequestHandler = (_request, response, next) => {
  response.set({
    'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Cache-Control': 'no-store',
  });
  next();
};

/** HEAD is GET without the body (RFC 9110 9.3.2): Node leaves the body out, the routes and openapi.yaml know GET only. */
export const answerHead: RequestHandler = (request, _response, next) => {
  if (request.method === 'HEAD' && !request.path.endsWith('/events')) request.method = 'GET';
  next();
};
