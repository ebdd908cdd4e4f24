import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import request from 'supertest';
import { parse } from 'yaml';
import { loadBundle } from '../../api/inference/bundle.ts';
import { REFUSALS } from '../../api/prediction/refusals.ts';
import { startTestApp } from '../support/app.ts';
import type { TestApp } from '../support/app.ts';
import { repositoryRoot } from '../support/components.ts';
import { DOCUMENTS, MODEL } from '../support/in-memory-hospital.ts';

describe('What the service says of itself', () => {
  let service: TestApp;
  beforeAll(async () => {
    service = await startTestApp();
  });
  afterAll(() => service.close());

  it('publishes the closed list of refusals, each with its criterion', async () => {
    const { body } = await request(service.app).get('/v1/refusals').expect(200);
    expect(body.items).toEqual(Object.entries(REFUSALS).map(([code, criterion]) => ({ code, criterion })));
  });

  it('names the model with its card, its training data and its provider', async () => {
    const { body } = await request(service.app).get('/v1/models').expect(200);
    expect(body.items).toEqual([{ ...MODEL, executionProvider: 'cpu' }]);
  });

  it('gives all that is known of the model by its name, and says why something is not', async () => {
    const { body } = await request(service.app).get(`/v1/models/${MODEL.name}`).expect(200);
    expect(body).toEqual({
      ...MODEL,
      executionProvider: 'cpu',
      metadata: DOCUMENTS.metadata,
      evaluation: DOCUMENTS.evaluation.content,
      evaluationAbsentReason: null,
      card: null,
      cardAbsentReason: 'The bundle holds no card.json.',
    });
    expect((await request(service.app).get('/v1/models/another').expect(404)).body.code).toBe('model-not-found');
  });

  it('gives the whole card of the shipped model, as the API promises it', async () => {
    const { description, documents } = loadBundle(join(repositoryRoot, 'models/hemocast-tiny'));
    const shipped = { describe: () => description, documents: () => documents };
    const { describe: fakeDescribe, documents: fakeDocuments } = service.hospital.reader;
    Object.assign(service.hospital.reader, shipped);
    try {
      const { body } = await request(service.app).get('/v1/models/hemocast-tiny').expect(200);
      expect(body).toMatchObject({ ...description, evaluationAbsentReason: null, cardAbsentReason: null });
      expect(body.card.sourceAttributes).toHaveLength(31);
      expect(body.card).toHaveProperty('tripodAi');
      expect(body.card).toHaveProperty('claim');
      expect(body.evaluation.inDistribution.auc).toEqual(body.card.figures.inDistribution.auc);
      expect(service.breaches).toEqual([]);
    } finally {
      Object.assign(service.hospital.reader, { describe: fakeDescribe, documents: fakeDocuments });
    }
  });

  it('gives the model card as Markdown to whoever reads that', async () => {
    const answer = await request(service.app)
      .get(`/v1/models/${MODEL.name}`)
      .set('Accept', 'text/markdown')
      .expect(200);
    expect(answer.headers['content-type']).toBe('text/markdown; charset=utf-8');
    expect(answer.text).toBe(MODEL.cardMarkdown);
  });

  it('is live', async () => {
    await request(service.app).get('/health/live').expect(200, { status: 'live' });
    await request(service.app).head('/health/live').expect(200);
  });

  it('is ready when EHR, PACS, queue and model are', async () => {
    const { body } = await request(service.app).get('/health/ready').expect(200);
    expect(body).toEqual({
      status: 'ready',
      checks: { ehr: { ok: true }, pacs: { ok: true }, queue: { ok: true }, model: { ok: true } },
      operation: { mode: 'running', changedAt: null, reason: null },
      model: { name: MODEL.name, version: MODEL.version, sha256: MODEL.sha256 },
      executionProvider: 'cpu',
      passedOver: [],
    });
  });

  it('is not ready when one of them is not, and says which and why', async () => {
    const pacs = { health: async () => ({ ok: false, reason: 'QIDO-RS answered 503.' }) };
    const { body } = await request(service.variant({ pacs })).get('/health/ready').expect(503);
    expect(body).toMatchObject({
      status: 'not-ready',
      checks: { ehr: { ok: true }, pacs: { ok: false, reason: 'QIDO-RS answered 503.' } },
    });
  });

  it('does not wait for a system that never answers, and does not show a fault of the check', async () => {
    const ehr = { health: () => new Promise<never>(() => undefined) };
    const pacs = { health: () => Promise.reject(new Error('canary')) };
    const answer = await request(service.variant({ ehr, pacs })).get('/health/ready').expect(503);
    expect(answer.body.checks).toMatchObject({
      ehr: { ok: false, reason: 'No answer within 3 s.' },
      pacs: { ok: false },
    });
    expect(answer.text).not.toContain('canary');
  });

  it('serves its description', async () => {
    const { text, headers } = await request(service.app).get('/openapi.yaml').expect(200);
    expect(headers['content-type']).toMatch('application/yaml');
    expect(parse(text)).toMatchObject({ openapi: '3.1.0', info: { title: 'hemocast' } });
  });

  it('serves readable documentation from its own disk, with a policy that lets nothing out', async () => {
    const { text, headers } = await request(service.app).get('/docs').expect(200);
    expect(headers['content-security-policy']).toMatch(/^default-src 'none'; script-src 'self';/);
    expect(text).toContain('Research use only');
    const addresses = [...text.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1]);
    expect(addresses.length).toBeGreaterThan(4);
    for (const address of addresses) {
      expect(address).toMatch(/^\//);
      await request(service.app).get(address).expect(200);
    }
    expect(text).not.toMatch(/<script>|<style>/);
  });
});
