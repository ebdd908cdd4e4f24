import { createHash, randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Binary, Bundle, OperationOutcome } from '@medplum/fhirtypes';
import { diagnostics, startFhir, type FhirClient } from './support/fhir-client.ts';

let fhir: FhirClient;
beforeAll(async () => {
  fhir = await startFhir();
});
afterAll(() => fhir.close());

const png = Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0, 255, 10, 13]);
const raw = { 'content-type': 'image/png', 'x-security-context': 'Patient/ana' };
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const getBytes = async (path: string, accept = '*/*'): Promise<Uint8Array> => {
  const response = await fetch(`${fhir.base}${path}`, { headers: { accept } });
  return new Uint8Array(await response.arrayBuffer());
};

describe('A Binary', () => {
  it('gives back the bytes that were put, with their type and whose record they belong to', async () => {
    const written = await fhir.call<Binary>('PUT', '/Binary/image', png, raw);
    expect([written.status, written.headers.get('etag')]).toEqual([201, 'W/"1"']);
    expect(written.body).toMatchObject({ contentType: 'image/png', securityContext: { reference: 'Patient/ana' } });
    const read = await fetch(`${fhir.base}/Binary/image`);
    expect(read.headers.get('content-type')).toBe('image/png');
    expect(read.headers.get('content-length')).toBe('8');
    expect(read.headers.get('x-security-context')).toBe('Patient/ana');
    expect(read.headers.get('etag')).toBe('W/"1"');
    expect(new Uint8Array(await read.arrayBuffer())).toEqual(png);
  });

  it('comes as a FHIR resource to who asks for one', async () => {
    await fhir.call('PUT', '/Binary/json', png, raw);
    const { headers, body } = await fhir.call<Binary>('GET', '/Binary/json', undefined, {
      accept: 'application/fhir+json',
    });
    expect(headers.get('content-type')).toBe('application/fhir+json; charset=utf-8');
    expect(body).toMatchObject({ resourceType: 'Binary', id: 'json', contentType: 'image/png' });
    expect(Buffer.from(body.data ?? '', 'base64')).toEqual(Buffer.from(png));
  });

  it('can be written as a FHIR resource too, alone or in a transaction', async () => {
    const resource: Binary = { resourceType: 'Binary', id: 'inline', contentType: 'text/plain', data: 'aGVsbG8=' };
    expect((await fhir.put(resource)).status).toBe(201);
    expect(Buffer.from(await getBytes('/Binary/inline')).toString()).toBe('hello');
    const entry = [
      { resource: { ...resource, id: 'inline2' }, request: { method: 'PUT' as const, url: 'Binary/inline2' } },
    ];
    const answer = await fhir.call<Bundle>('POST', '', { resourceType: 'Bundle', type: 'transaction', entry });
    expect(answer.status).toBe(200);
    expect(Buffer.from(await getBytes('/Binary/inline2')).toString()).toBe('hello');
  });

  it('takes any content type, JSON and HTML included, and lets nothing of it run', async () => {
    const page = '<script>alert(1)</script>';
    await fhir.call('PUT', '/Binary/page', page, { 'content-type': 'text/html' });
    const read = await fetch(`${fhir.base}/Binary/page`);
    expect(await read.text()).toBe(page);
    expect(read.headers.get('content-security-policy')).toBe("default-src 'none'; sandbox");
    expect(read.headers.get('x-content-type-options')).toBe('nosniff');
    const posted = await fhir.call<Binary>('POST', '/Binary', '{"not":"FHIR"', { 'content-type': 'application/json' });
    expect(posted.status).toBe(201);
    expect(Buffer.from(await getBytes(`/Binary/${posted.body.id}`)).toString()).toBe('{"not":"FHIR"');
  });

  it('is versioned, conditional and deletable like any resource', async () => {
    await fhir.call('PUT', '/Binary/versions', png, raw);
    const stale = await fhir.call('PUT', '/Binary/versions', png, { ...raw, 'if-match': 'W/"5"' });
    const current = await fhir.call('PUT', '/Binary/versions', 'v2', {
      'content-type': 'text/plain',
      'if-match': 'W/"1"',
    });
    expect([stale.status, current.status]).toEqual([412, 200]);
    const first = await fhir.call<Binary>('GET', '/Binary/versions/_history/1');
    expect(Buffer.from(first.body.data ?? '', 'base64')).toEqual(Buffer.from(png));
    expect((await fhir.call('DELETE', '/Binary/versions')).status).toBe(204);
    expect((await fhir.call('GET', '/Binary/versions')).status).toBe(410);
    expect((await fhir.call('GET', '/Binary/never')).status).toBe(404);
  });

  it('streams 60 MiB in and out, as bytes and as a resource', async () => {
    const bytes = randomBytes(60 * 2 ** 20);
    const written = await fhir.call('PUT', '/Binary/large', bytes, { 'content-type': 'application/dicom' });
    expect(written.status).toBe(201);
    expect(sha256(await getBytes('/Binary/large'))).toBe(sha256(bytes));
    const response = await fetch(`${fhir.base}/Binary/large`, { headers: { accept: 'application/fhir+json' } });
    const { data } = (await response.json()) as Binary;
    expect(sha256(Buffer.from(data ?? '', 'base64'))).toBe(sha256(bytes));
  });

  it.each([
    ['no content type', png, { 'content-type': '' }, 400],
    ['no content', '', { 'content-type': 'image/png' }, 400],
    ['a content type that is none', png, { 'content-type': 'picture' }, 422],
    ['compressed content', png, { 'content-type': 'image/png', 'content-encoding': 'gzip' }, 415],
    ['more than 64 MiB', Buffer.alloc(64 * 2 ** 20 + 1), { 'content-type': 'image/png' }, 413],
  ])('is refused with %s', async (_name, body, headers, status) => {
    const answer = await fhir.call<OperationOutcome>('PUT', '/Binary/refused', body, headers);
    expect([answer.status, answer.body.resourceType]).toEqual([status, 'OperationOutcome']);
    expect((await fhir.call('GET', '/Binary/refused')).status).toBe(404);
  });

  it('is refused beyond 64 MiB also when its length was not announced', async () => {
    const chunk = new Uint8Array(2 ** 20);
    const body = new ReadableStream({
      start(controller) {
        for (let sent = 0; sent < 65; sent += 1) controller.enqueue(chunk);
        controller.close();
      },
    });
    const headers = { 'content-type': 'image/png' };
    const response = await fetch(`${fhir.base}/Binary/chunked`, { method: 'PUT', headers, body, duplex: 'half' });
    expect(response.status).toBe(413);
  });

  it('says that base64 beyond 1 MiB belongs into a raw request', async () => {
    const data = Buffer.alloc(2 ** 20 + 3).toString('base64');
    const answer = await fhir.put({ resourceType: 'Binary', id: 'fat', contentType: 'image/png', data } as Binary);
    expect(answer.status).toBe(400);
    expect(diagnostics(answer.body)).toContain('1048576');
  });

  it('leaves nothing on disk of an upload that breaks off', async () => {
    const before = await readdir(join(fhir.folder, 'blobs'));
    const { port } = new URL(fhir.base);
    const socket = connect(Number(port), '127.0.0.1');
    socket.write(
      'PUT /fhir/Binary/broken HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 1000\r\n\r\nabc',
    );
    await new Promise((resolve) => setTimeout(resolve, 100));
    socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await readdir(join(fhir.folder, 'blobs'))).toEqual(before);
    expect((await fhir.call('GET', '/Binary/broken')).status).toBe(404);
  });
});
