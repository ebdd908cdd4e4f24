/** The one listening port: open before the parts are built, until after they are taken down. */
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Config } from './config.ts';
import { isLoopback } from './config.ts';
import { ConfigurationError } from './errors.ts';

export async function listen({ host, port }: Config, handler: RequestListener): Promise<Server> {
  const server = createServer({ headersTimeout: 15_000, requestTimeout: 120_000, keepAliveTimeout: 10_000 }, handler);
  await new Promise<void>((resolvePromise, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why =
        error.code === 'EADDRINUSE' ? 'something else listens there; choose another PORT' : (error.code ?? 'unknown');
      reject(new ConfigurationError(`Cannot listen on ${host} port ${port}: ${why}.`));
    });
    server.listen(port, host, resolvePromise);
  });
  return server;
}

/** Event streams never end by themselves: their connections are cut, and clients come back to the next process. */
export async function stopListening(server: Server): Promise<void> {
  const closed = new Promise((resolvePromise) => server.close(resolvePromise));
  server.closeIdleConnections();
  const cut = setTimeout(() => server.closeAllConnections(), 2_000);
  await closed;
  clearTimeout(cut);
}

/** The address for clients on this machine. The sandbox answers on loopback only, so HOST must include it. */
export function localUrl(server: Server, wantsSandbox: boolean): string {
  const { address, port, family } = server.address() as AddressInfo;
  if (['0.0.0.0', '::'].includes(address)) return `http://127.0.0.1:${port}`;
  const host = family === 'IPv6' ? `[${address}]` : address;
  if (wantsSandbox && !isLoopback(host)) {
    throw new ConfigurationError(
      `HOST=${address} leaves no loopback address for the sandbox: use 127.0.0.1 or 0.0.0.0, or configure EHR_FHIR_URL and PACS_DICOMWEB_URL.`,
    );
  }
  return `http://${host}:${port}`;
}

/** Before the parts are built and while they are taken down the door is open and says so, instead of refusing connections. */
export function answerUnavailable(code: 'starting' | 'stopping'): RequestListener {
  const detail = `The service is ${code}; ask again shortly.`;
  const problem = { type: `urn:hemocast:problem:${code}`, title: 'Service Unavailable', status: 503, code, detail };
  return (request, response) => {
    const live = request.url === '/health/live';
    response.writeHead(live ? 200 : 503, {
      'Content-Type': live ? 'application/json' : 'application/problem+json',
      ...(live ? {} : { 'Retry-After': '2' }),
    });
    response.end(JSON.stringify(live ? { status: 'live' } : problem));
  };
}
