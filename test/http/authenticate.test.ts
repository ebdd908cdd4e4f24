import { networkInterfaces } from 'node:os';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Express } from 'express';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import request from 'supertest';
import { startTestApp } from '../support/app.ts';
import type { TestApp } from '../support/app.ts';

const TOKEN = 'canary-token-canary-token-canary-token';
const ROUTES = [
  ['get', '/v1/assessments'],
  ['post', '/v1/assessments'],
  ['get', '/v1/assessments/0b0f1b1e-6a5a-4d7e-9d2e-3f1c2b4a5d6e'],
  ['delete', '/v1/assessments/0b0f1b1e-6a5a-4d7e-9d2e-3f1c2b4a5d6e'],
  ['get', '/v1/assessments/0b0f1b1e-6a5a-4d7e-9d2e-3f1c2b4a5d6e/events'],
  ['get', '/v1/models'],
  ['get', '/v1/refusals'],
  ['get', '/v1/nothing-here'],
] as const;

describe('The door to /v1', () => {
  let service: TestApp;
  let guarded: Express;
  beforeAll(async () => {
    service = await startTestApp({ start: false });
    guarded = service.variant({ authentication: { apiToken: TOKEN } });
  });
  afterAll(() => service.close());

  describe('with a token configured', () => {
    it.each(ROUTES)('%s %s answers 401 with one body, whatever is wrong', async (method, path) => {
      const faults = [
        undefined,
        '',
        'Bearer',
        'Bearer wrong',
        `Basic ${TOKEN}`,
        TOKEN,
        `Bearer ${TOKEN}x`,
        `Bearer ${TOKEN} x`,
      ];
      const bodies = new Set<string>();
      for (const fault of faults) {
        const call = request(guarded)[method](path);
        if (fault !== undefined) call.set('Authorization', fault);
        const answer = await call.expect(401).expect('WWW-Authenticate', 'Bearer');
        bodies.add(answer.text);
      }
      expect([...bodies]).toEqual([expect.stringContaining('"code":"unauthorized"')]);
    });

    it('opens to the token', async () => {
      await request(guarded).get('/v1/refusals').set('Authorization', `Bearer ${TOKEN}`).expect(200);
      await request(guarded).get('/v1/refusals').set('Authorization', `bearer ${TOKEN}`).expect(200);
    });

    it.each(['/health/live', '/health/ready', '/openapi.yaml', '/docs'])('does not guard %s', async (path) => {
      expect((await request(guarded).get(path)).status).not.toBe(401);
    });
  });

  describe('with none configured', () => {
    it('answers calls without a token on loopback', async () => {
      await request(service.app).get('/v1/refusals').expect(200);
    });

    it('verifies a token that is presented all the same', async () => {
      await request(service.app).get('/v1/refusals').set('Authorization', `Bearer ${TOKEN}`).expect(401);
    });

    it.each([
      ['a proxy forwarded', { 'X-Forwarded-For': '203.0.113.7' }],
      ['a proxy forwarded', { Forwarded: 'for=203.0.113.7' }],
      ['a web page made through a name of its own', { Host: 'rebound.example' }],
    ])('does not answer calls that %s', async (_what, headers) => {
      await request(service.app).get('/v1/refusals').set(headers).expect(401);
    });

    it('does not answer calls from elsewhere', async () => {
      const elsewhere = Object.values(networkInterfaces())
        .flatMap((addresses) => addresses ?? [])
        .find(({ family, internal }) => family === 'IPv4' && !internal);
      if (elsewhere === undefined) return; // a machine without a network
      const server = createServer(service.app);
      await new Promise<void>((resolve) => server.listen(0, elsewhere.address, resolve));
      const { port } = server.address() as AddressInfo;
      const answer = await fetch(`http://${elsewhere.address}:${port}/v1/refusals`);
      expect(answer.status).toBe(401);
      await answer.text();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
  });

  it('does not write a token to the log', () => {
    expect(service.logged.length).toBeGreaterThan(10);
    expect(service.logged.join('')).not.toContain(TOKEN);
  });
});
