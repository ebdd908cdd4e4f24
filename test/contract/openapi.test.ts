/** openapi.yaml and the running app, held against each other in both directions. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import express from 'express';
import type { Express } from 'express';
import * as OpenApiValidator from 'express-openapi-validator';
import request from 'supertest';
import { Registry } from 'prom-client';
import { parse } from 'yaml';
import { OPENAPI_FILE } from '../../api/http/app.ts';
import type { CdsParts } from '../../api/http/cds-hooks.ts';
import { startTestApp } from '../support/app.ts';
import type { TestApp } from '../support/app.ts';
import { untilEnded } from '../support/queue-service.ts';

interface Operation {
  readonly operationId: string;
  readonly responses: Readonly<Record<string, unknown>>;
}

const METHODS = ['get', 'post', 'delete', 'put', 'patch'] as const;

const openapi = parse(readFileSync(OPENAPI_FILE, 'utf8'));
const operations = Object.entries<Record<string, Operation>>(openapi.paths).flatMap(([path, item]) =>
  METHODS.filter((method) => method in item).map((method) => ({ method, path, operation: item[method] })),
);

describe('openapi.yaml', () => {
  let service: TestApp;
  let id = '';
  beforeAll(async () => {
    service = await startTestApp();
    id = (await service.request(service.hospital.addStudy())).assessment.id;
    await untilEnded(service.store, id);
  });
  afterAll(() => service.close());

  it('is a valid OpenAPI 3.1 document', async () => {
    const app = express();
    app.use(OpenApiValidator.middleware({ apiSpec: OPENAPI_FILE, validateApiSpec: true }));
    app.get('/health/live', (_request, response) => response.json({ status: 'live' }));
    await request(app).get('/health/live').expect(200);
  });

  it('has no sentence cut off at a comma, whose rest would be a key without a value', () => {
    const cutOff = (value: unknown, at: string): string[] =>
      value !== null && typeof value === 'object'
        ? Object.entries(value).flatMap(([key, inner]) => cutOff(inner, `${at}/${key}`))
        : value === null && at.includes(' ')
          ? [at]
          : [];
    expect(cutOff(openapi, '')).toEqual([]);
    expect(cutOff(parse('{ description: One thing, and another }'), '')).toEqual(['/and another']);
  });

  it.each(operations)('$method $path is answered as described', async ({ method, path, operation }) => {
    const call = request(service.app)[method](path.replace('{id}', id).replace('{resourceType}', 'ImagingStudy'));
    const answer = await (method === 'post' ? call.send({ imagingStudy: service.hospital.addStudy() }) : call);
    expect(Object.keys(operation.responses)).toContain(String(answer.status));
    expect(['route-not-found', 'method-not-allowed', 'internal-error', 'contract-breach']).not.toContain(
      answer.body.code,
    );
    expect(service.breaches).toEqual([]);
  });

  it('describes every route of the app but the hooks, which have a door of their own, and what everyone may read', () => {
    const described = operations.map(({ method, path }) => `${method} ${path.replace(/\{(\w+)\}/g, ':$1')}`);
    const cds = { metrics: { register: new Registry() } } as unknown as CdsParts;
    const smartApp = {
      directory: import.meta.dirname,
      issuers: [],
      frameAncestors: [],
      connectOrigins: [],
      sandboxEhr: false,
    };
    const routes = routesOf(service.variant({ cds, smartApp, publicKey: {} }));
    expect(described.filter((route) => !routes.includes(route))).toEqual([]);
    expect(routes.filter((route) => !described.includes(route)).sort()).toEqual([
      'get /',
      'get /.well-known/jwks.json',
      'get /^\\/app\\/.*$/',
      'get /^\\/docs\\/[^/]+$/',
      'get /app',
      'get /app/config.json',
      'get /cds-services',
      'get /docs',
      'get /docs/docs.css',
      'get /docs/docs.js',
      'options /cds-services',
      'options /cds-services/:id',
      'options /cds-services/:id/feedback',
      'post /cds-services/:id',
      'post /cds-services/:id/feedback',
    ]);
  });

  it('describes the problems that are answered', async () => {
    const { properties, required } = openapi.components.schemas.Problem;
    const problems = await Promise.all([
      request(service.app).get('/v1/nothing'),
      request(service.app).put('/v1/assessments').send({}),
      request(service.app).post('/v1/assessments').send({ imagingStudy: 1 }),
      request(service.app).post('/v1/assessments').send({ imagingStudy: 'ImagingStudy/unknown' }),
      request(service.app).delete(`/v1/assessments/${id}`),
      request(service.variant({ planStudy: () => Promise.reject(new Error('?')) }))
        .post('/v1/assessments')
        .send({ imagingStudy: 'ImagingStudy/1' }),
    ]);
    for (const { body, status, headers } of problems) {
      expect(headers['content-type']).toBe('application/problem+json');
      expect(body.status).toBe(status);
      expect(Object.keys(properties)).toEqual(expect.arrayContaining(Object.keys(body)));
      expect(Object.keys(body)).toEqual(expect.arrayContaining(required));
    }
  });
});

interface Layer {
  readonly route?: { readonly path: string | RegExp; readonly methods: Readonly<Record<string, boolean>> };
  readonly handle?: { readonly stack?: readonly Layer[] };
}

/** "get /v1/assessments/:id" of every route of the app and its routers (all are mounted at the root). */
function routesOf(app: Express): string[] {
  const walk = (layers: readonly Layer[]): string[] =>
    layers.flatMap(({ route, handle }) =>
      route === undefined
        ? walk(handle?.stack ?? [])
        : Object.keys(route.methods).map((method) => `${method} ${String(route.path)}`),
    );
  return walk((app.router as unknown as { stack: Layer[] }).stack);
}
