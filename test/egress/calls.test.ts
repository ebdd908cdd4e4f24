import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from '@jest/globals';
import { Client } from 'fhir-kit-client';
import { Egress } from '../../api/egress/egress.ts';
import type { EgressLimits } from '../../api/egress/egress.ts';
import { CancelledError } from '../../api/errors.ts';
import { serve } from '../support/http-server.ts';
import type { TestServer } from '../support/http-server.ts';

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

async function start(listener: RequestListener): Promise<TestServer> {
  const server = await serve(listener);
  open.push(() => server.close());
  return server;
}

function egressTo(origin: string, limits?: Partial<EgressLimits>): Egress {
  const egress = new Egress([{ name: 'ehr', baseUrl: `${origin}/fhir`, authorization: 'Bearer ehr-token' }], {
    limits,
  });
  open.push(() => egress.close());
  return egress;
}

describe('a credential', () => {
  it('goes to its own base only, also where one origin hosts two systems and one base lies below the other', async () => {
    const server = await start((_request, response) => response.end('{}'));
    const egress = new Egress([
      { name: 'ehr', baseUrl: `${server.origin}/gateway/fhir`, authorization: 'Bearer canary-ehr' },
      { name: 'pacs', baseUrl: `${server.origin}/gateway/dicom-web`, authorization: 'Bearer canary-pacs' },
      { name: 'gateway', baseUrl: `${server.origin}/gateway`, authorization: 'Bearer canary-gateway' },
      { name: 'open', baseUrl: `${server.origin}/gateway/open` },
    ]);
    open.push(() => egress.close());
    const seen = async (path: string): Promise<unknown> => {
      await (await egress.fetch(server.origin + path)).text();
      return server.requests.at(-1)?.headers.authorization;
    };
    expect(await seen('/gateway/fhir/Patient/1')).toBe('Bearer canary-ehr');
    expect(await seen('/gateway/fhir')).toBe('Bearer canary-ehr');
    expect(await seen('/gateway/dicom-web/studies')).toBe('Bearer canary-pacs');
    expect(await seen('/gateway/fhir2/Patient/1')).toBe('Bearer canary-gateway');
    expect(await seen('/gateway/open/x')).toBeUndefined();
    const before = server.requests.length;
    await expect(egress.fetch(`${server.origin}/elsewhere`)).rejects.toMatchObject({ code: 'egress-refused' });
    expect(server.requests.length).toBe(before);
  });

  it('is never the caller’s: Authorization, Cookie and proxy headers are dropped, other headers pass', async () => {
    const server = await start((_request, response) => response.end());
    const egress = egressTo(server.origin);
    const answer = await egress.fetch(`${server.origin}/fhir/x`, {
      headers: {
        Authorization: 'Bearer stolen',
        Cookie: 'session=stolen',
        'Proxy-Authorization': 'Basic stolen',
        'X-Forwarded-Host': 'evil.example',
        Accept: 'application/fhir+json',
        'X-Security-Context': 'Patient/1',
      },
    });
    expect([answer.status, answer.url]).toEqual([200, `${server.origin}/fhir/x`]);
    const { headers } = server.requests[0];
    expect(JSON.stringify(headers)).not.toContain('stolen');
    expect(headers).toMatchObject({
      authorization: 'Bearer ehr-token',
      accept: 'application/fhir+json',
      'x-security-context': 'Patient/1',
    });
    expect(headers).not.toHaveProperty('x-forwarded-host');
  });

  it.each([301, 302, 303, 307, 308])('does not follow a redirect (%d), even within the same base', async (status) => {
    const elsewhere = await start((_request, response) => response.end('{}'));
    const server = await start((request, response) =>
      response
        .writeHead(status, { location: request.url === '/fhir/out' ? `${elsewhere.origin}/fhir/x` : '/fhir/x' })
        .end('moved'),
    );
    const egress = egressTo(server.origin);
    await expect(egress.fetch(`${server.origin}/fhir/out`)).rejects.toMatchObject({ code: 'egress-refused' });
    await expect(egress.fetch(`${server.origin}/fhir/in`)).rejects.toMatchObject({ code: 'egress-refused' });
    expect(server.requests.map((request) => request.url)).toEqual(['/fhir/out', '/fhir/in']);
    expect(elsewhere.requests).toEqual([]);
  });
});

describe('fhir-kit-client, which calls the global fetch', () => {
  it('reads and writes through the guard, and its leaks are closed', async () => {
    const server = await start((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const sent = Buffer.concat(chunks).toString();
        response.writeHead(200, { 'content-type': 'application/fhir+json' });
        response.end(sent === '' ? '{"resourceType":"Patient","id":"1"}' : sent);
      });
    });
    const elsewhere = await start((_request, response) => response.end('{}'));
    const egress = egressTo(server.origin);
    egress.install();
    const client = new Client({ baseUrl: `${server.origin}/fhir`, bearerToken: 'a-token-of-the-caller' });

    expect(await client.read({ resourceType: 'Patient', id: '1' })).toMatchObject({ id: '1' });
    const written = { resourceType: 'Patient', id: '2' };
    expect(await client.update({ resourceType: 'Patient', id: '2', body: written })).toMatchObject(written);
    expect(server.requests.map((request) => request.headers.authorization)).toEqual([
      'Bearer ehr-token',
      'Bearer ehr-token',
    ]);
    expect(server.requests[1].headers['content-length']).toBe(String(JSON.stringify(written).length));

    const leaks = [
      () => client.request(`${elsewhere.origin}/fhir/Patient/1`),
      () => client.resolve({ reference: `${elsewhere.origin}/fhir/Patient/1` }),
      () => client.read({ resourceType: 'Patient', id: '../../admin' }),
      () => client.request(`${server.origin}/fhir.evil.example/Patient`),
    ];
    for (const leak of leaks) await expect(leak()).rejects.toMatchObject({ code: 'egress-refused' });
    expect(elsewhere.requests).toEqual([]);
    expect(server.requests).toHaveLength(2);
  });
});

describe('the size of an answer', () => {
  const cap = 1_000_000;
  const zeros = Buffer.alloc(64 * cap);
  const oversized: Record<string, RequestListener> = {
    'announced by Content-Length': (_request, response) =>
      response.writeHead(200, { 'content-length': 2 * cap }).end(Buffer.alloc(2 * cap)),
    'sent in chunks without a length': (_request, response) => void response.write(Buffer.alloc(2 * cap)),
    'a gzip bomb of 64 KB': (_request, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(zeros)),
    'a brotli bomb of 64 bytes': (_request, response) =>
      response.writeHead(200, { 'content-encoding': 'br' }).end(brotliCompressSync(zeros)),
    'a gzip bomb in a gzip bomb': (_request, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip, gzip' }).end(gzipSync(gzipSync(zeros))),
  };
  it.each(Object.keys(oversized))('is limited: %s', async (name) => {
    const server = await start(oversized[name]);
    const egress = egressTo(server.origin, { maxBytes: cap });
    const read = async (): Promise<unknown> => (await egress.fetch(`${server.origin}/fhir/x`)).arrayBuffer();
    await expect(read()).rejects.toMatchObject({ code: 'response-too-large', details: { maxBytes: cap } });
  });

  it('may be just the limit, compressed or not', async () => {
    const server = await start((request, response) =>
      request.url === '/fhir/gz'
        ? response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(cap)))
        : response.end(Buffer.alloc(cap)),
    );
    const egress = egressTo(server.origin, { maxBytes: cap });
    for (const path of ['/fhir/gz', '/fhir/plain']) {
      const answer = await egress.fetch(server.origin + path);
      expect((await answer.arrayBuffer()).byteLength).toBe(cap);
    }
  });
});

describe('time', () => {
  it('ends a call whose answer never begins', async () => {
    const server = await start(() => undefined);
    const egress = egressTo(server.origin, { idleMs: 100 });
    await expect(egress.fetch(`${server.origin}/fhir/x`)).rejects.toMatchObject({
      code: 'upstream-timeout',
      transient: true,
      details: { system: 'ehr', deadline: 'idle', limitMs: 100 },
    });
  });

  it('ends an answer that stands still in the middle', async () => {
    const server = await start((_request, response) => void response.write('{"resourceType":'));
    const egress = egressTo(server.origin, { idleMs: 100 });
    const answer = await egress.fetch(`${server.origin}/fhir/x`);
    await expect(answer.text()).rejects.toMatchObject({ code: 'upstream-timeout', details: { deadline: 'idle' } });
  });

  it('ends an answer that drips for ever', async () => {
    const server = await start((_request, response) => {
      const drip = setInterval(() => response.write('.'), 20);
      response.on('close', () => clearInterval(drip));
    });
    const egress = egressTo(server.origin, { idleMs: 1_000, totalMs: 300 });
    const answer = await egress.fetch(`${server.origin}/fhir/x`);
    await expect(answer.text()).rejects.toMatchObject({ code: 'upstream-timeout', details: { deadline: 'total' } });
  });

  it('does not run against a reader who takes long between pieces', async () => {
    const server = await start((_request, response) => response.end(Buffer.alloc(300_000, 1)));
    const egress = egressTo(server.origin, { idleMs: 100 });
    const reader = (await egress.fetch(`${server.origin}/fhir/x`)).body!.getReader();
    let received = 0;
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      if (received === 0) await new Promise((resolve) => setTimeout(resolve, 250));
      received += piece.value.byteLength;
    }
    expect(received).toBe(300_000);
  });

  it('ends when the caller gives up, before and during the answer', async () => {
    const server = await start((_request, response) => void response.write('x'));
    const egress = egressTo(server.origin);
    const url = `${server.origin}/fhir/x`;
    await expect(egress.fetch(url, { signal: AbortSignal.abort() })).rejects.toBeInstanceOf(CancelledError);
    expect(server.requests).toHaveLength(0);
    const controller = new AbortController();
    const answer = await egress.fetch(url, { signal: controller.signal });
    setTimeout(() => controller.abort(), 50);
    await expect(answer.text()).rejects.toBeInstanceOf(CancelledError);
  });
});

describe('a system that fails', () => {
  it('is unreachable when nothing listens', async () => {
    const server = await serve((_request, response) => response.end());
    const egress = egressTo(server.origin);
    await server.close();
    await expect(egress.fetch(`${server.origin}/fhir/x`)).rejects.toMatchObject({
      code: 'upstream-unreachable',
      transient: true,
      details: { system: 'ehr', reason: 'ECONNREFUSED' },
    });
  });

  it('is told apart when it hangs up early, and when it does not speak HTTP', async () => {
    const early = await start((_request, response) => {
      response.writeHead(200, { 'content-length': 100 });
      response.write('half', () => response.destroy());
    });
    const read = async (): Promise<unknown> => (await egressTo(early.origin).fetch(`${early.origin}/fhir/x`)).text();
    await expect(read()).rejects.toMatchObject({ code: 'upstream-truncated', transient: true });

    const other = createServer((socket) => void socket.end('220 mail.example ESMTP\r\n'));
    await once(other.listen(0, '127.0.0.1'), 'listening');
    open.push(async () => void other.close());
    const origin = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
    await expect(egressTo(origin).fetch(`${origin}/fhir/x`)).rejects.toMatchObject({ code: 'upstream-malformed' });
  });

  it('names no path and no query in its errors, which may hold patient data', async () => {
    const egress = egressTo('http://127.0.0.1:1');
    const urls = ['http://127.0.0.1:1/fhir/Patient?name=Canary', 'https://evil.example/Canary?name=Canary'];
    for (const url of urls) {
      const error = (await egress.fetch(url).catch((thrown: unknown) => thrown)) as {
        message: string;
        details: unknown;
      };
      expect(error.message + JSON.stringify(error.details)).not.toContain('Canary');
    }
  });
});
