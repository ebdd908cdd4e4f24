/** Both CTs over a line that breaks: the app says whose answer was not whole, and shows no part of a stack. */
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createEhrReader } from '../../smart-app/src/session/launched.ts';
import type { Session } from '../../smart-app/src/session/launched.ts';
import { loadPair } from '../../smart-app/src/viewer/load-pair.ts';

const GEOMETRY = { slices: 2, rows: 100, columns: 100 };
const STACK_BYTES = 2 * 100 * 100 * 2;
const IMAGE = { binaryReference: 'Binary/generated', frames: 2, sopInstanceUid: undefined };

describe('Both CTs, where an answer breaks off', () => {
  let server: Server;
  let broken = '';
  beforeAll(async () => {
    server = createServer((request, response) => {
      const url = request.url!;
      if (url.endsWith('/geometry'))
        return response.setHeader('content-type', 'application/json').end(JSON.stringify(GEOMETRY));
      response.setHeader('content-length', STACK_BYTES);
      if (!url.includes(broken)) return response.end(Buffer.alloc(STACK_BYTES));
      return response.write(Buffer.alloc(STACK_BYTES / 2), () => setTimeout(() => response.destroy(), 20));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => new Promise((resolve) => server.close(resolve)));

  const load = async (of: string): Promise<{ words: string; shares: number[] }> => {
    broken = of;
    const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const session = {
      patientReference: 'Patient/a',
      ehr: createEhrReader(baseUrl, () => ({})),
      callService: (path: string, init?: RequestInit) => fetch(`${baseUrl}${path}`, init),
    } as unknown as Session;
    const shares: number[] = [];
    const words = await loadPair(session, 'ImagingStudy/one', IMAGE, (share) => shares.push(share)).then(
      () => 'shown',
      (error: Error) => error.message,
    );
    return { words, shares };
  };

  it.each([
    ['initial-ct', 'The initial CT cannot be shown. The service’s answer broke off.'],
    [
      'Binary/generated',
      'The generated CT cannot be shown, and no CT is shown alone. The EHR’s answer broke off (Binary).',
    ],
  ])('says so of %s', async (of, words) => {
    expect((await load(of)).words).toBe(words);
  });

  it('tells the share of the bytes that has arrived, up to all of them', async () => {
    const { shares } = await load('nothing');
    expect(shares.at(-1)).toBe(1);
    expect(shares).toEqual([...shares].sort((a, b) => a - b));
  });
});
