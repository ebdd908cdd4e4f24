import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import express from 'express';
import request from 'supertest';
import { NotFoundError } from '../../api/errors.ts';
import { startTestApp } from '../support/app.ts';
import type { TestApp } from '../support/app.ts';

describe('A request that cannot be answered', () => {
  let service: TestApp;
  beforeAll(async () => {
    service = await startTestApp({ start: false });
  });
  afterAll(() => service.close());

  const post = (): request.Test => request(service.app).post('/v1/assessments');

  it.each([
    ['a study that is no reference', { imagingStudy: 'https://ehr.example/ImagingStudy/1' }, '/body/imagingStudy'],
    ['a study with a path in it', { imagingStudy: 'ImagingStudy/../Patient' }, '/body/imagingStudy'],
    ['no study', {}, '/body/imagingStudy'],
    ['a property that does not exist', { imagingStudy: 'ImagingStudy/1', priority: 'stat' }, '/body/priority'],
    ['a force that is no boolean', { imagingStudy: 'ImagingStudy/1', force: 'yes' }, '/body/force'],
  ])('because of %s is told each place', async (_what, body, path) => {
    const answer = await post().send(body).expect(400).expect('Content-Type', 'application/problem+json');
    expect(answer.body).toMatchObject({ code: 'request-invalid', status: 400, title: 'Bad Request' });
    expect(answer.body.errors).toEqual([{ path, message: expect.any(String) }]);
  });

  it.each([
    ['/v1/assessments?limit=0', '/query/limit'],
    ['/v1/assessments?limit=101', '/query/limit'],
    ['/v1/assessments?patient=Doe', '/query/patient'],
    ['/v1/assessments?status=completed', '/query/status'],
  ])('%s is told which parameter', async (path, place) => {
    const { body } = await request(service.app).get(path).expect(400);
    expect(body).toMatchObject({ code: 'request-invalid', errors: [{ path: place }] });
  });

  it('with a cursor that is none of ours is told so', async () => {
    const { body } = await request(service.app).get('/v1/assessments?cursor=abc').expect(400);
    expect(body.code).toBe('cursor-invalid');
  });

  it('because its JSON is malformed does not quote it back', async () => {
    const answer = await post().set('Content-Type', 'application/json').send('{"imagingStudy": Doe^John').expect(400);
    expect(answer.body.code).toBe('request-malformed');
    expect(answer.text).not.toContain('Doe');
  });

  it('because its body is larger than 64 kB', async () => {
    const { body } = await post()
      .send({ imagingStudy: `ImagingStudy/${'1'.repeat(70_000)}` })
      .expect(413);
    expect(body.code).toBe('request-too-large');
  });

  it.each(['text/plain', 'application/fhir+json', 'multipart/form-data; boundary=x'])(
    'because it is %s',
    async (type) => {
      const { body } = await post().set('Content-Type', type).send('ImagingStudy/1').expect(415);
      expect(body.code).toBe('media-type-unsupported');
    },
  );

  it('because it is compressed (a small body can become a large one)', async () => {
    const { body } = await post()
      .set('Content-Type', 'application/json')
      .set('Content-Encoding', 'gzip')
      .send('{}')
      .expect(415);
    expect(body.code).toBe('media-type-unsupported');
  });

  it.each(['/v1', '/v1/patients', '/docs/../package.json', '/docs/package.json'])(
    'for %s, where nothing is',
    async (path) => {
      const answer = await request(service.app)
        .get(path)
        .expect(404)
        .expect('Content-Type', 'application/problem+json');
      expect(answer.body).toMatchObject({ type: 'urn:hemocast:problem:route-not-found', code: 'route-not-found' });
    },
  );

  it('with a method that the address does not answer names those it does', async () => {
    const { body } = await request(service.app).put('/v1/assessments').send({}).expect(405).expect('Allow', /GET/);
    expect(body.code).toBe('method-not-allowed');
  });

  it('because of a fault inside gets an instance to look up, and no more', async () => {
    const app = service.variant({
      planStudy: () => Promise.reject(new Error('password of Doe^John at /srv/secret.ts')),
    });
    const answer = await request(app).post('/v1/assessments').send({ imagingStudy: 'ImagingStudy/1' }).expect(500);
    expect(answer.body).toMatchObject({ code: 'internal-error', instance: expect.stringMatching(/^urn:uuid:/) });
    expect(answer.text).not.toMatch(/Doe|secret|\.ts|at /);
    const line = service.logged.map((text) => JSON.parse(text)).find(({ code }) => code === 'internal-error');
    expect(`urn:uuid:${line.requestId}`).toBe(answer.body.instance);
    expect(line.error).toMatchObject({
      name: 'Error',
      stack: expect.arrayContaining([expect.stringContaining('problems.test')]),
    });
  });

  it('on a FHIR route is told by an OperationOutcome', async () => {
    const sandbox = express.Router().use('/fhir', (_request, _response, next) => {
      next(new NotFoundError('patient-not-found', 'There is no such Patient.'));
    });
    const answer = await request(service.variant({ sandbox: [sandbox] }))
      .get('/sandbox/fhir/Patient/1')
      .expect(404);
    expect(answer.headers['content-type']).toBe('application/fhir+json');
    expect(answer.body).toMatchObject({
      resourceType: 'OperationOutcome',
      issue: [{ severity: 'error', code: 'not-found', diagnostics: 'There is no such Patient.' }],
    });
  });

  it('because our own answer breaks openapi.yaml is a fault of ours, logged without the values', async () => {
    const model = { ...service.hospital.reader.describe(), sha256: 'canary' };
    const reader = { ...service.hospital.reader, describe: () => model };
    const answer = await request(service.variant({ reader })).get('/v1/models').expect(500);
    expect(answer.body.code).toBe('contract-breach');
    expect(service.breaches).toHaveLength(1);
    const line = service.logged.find((text) => text.includes('contract-breach'));
    expect(line).toContain('sha256');
    expect(line).not.toContain('canary');
  });

  it('and every other answer, carries the headers that keep it from running, framing and caching', async () => {
    for (const path of ['/health/live', '/v1/refusals', '/v1/nothing']) {
      const { headers } = await request(service.app).get(path);
      expect(headers).toMatchObject({
        'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
        'x-content-type-options': 'nosniff',
        'cache-control': 'no-store',
        'referrer-policy': 'no-referrer',
      });
      expect(headers).not.toHaveProperty('x-powered-by');
    }
  });
});
