import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import request from 'supertest';
import type { Assessment } from '../../api/assessment/assessment.ts';
import { Introspector } from '../../api/authorization/introspection.ts';
import { startTestApp } from '../support/app.ts';
import type { TestApp } from '../support/app.ts';
import { completed, MAPS } from '../support/in-memory-hospital.ts';
import type { Story } from '../support/in-memory-hospital.ts';
import { untilEnded } from '../support/queue-service.ts';

const bytes = (response: request.Test): request.Test =>
  response.buffer(true).parse((stream, done) => {
    const parts: Buffer[] = [];
    stream.on('data', (part: Buffer) => parts.push(part)).on('end', () => done(null, Buffer.concat(parts)));
  });

describe('The maps of an assessment', () => {
  let service: TestApp;
  beforeAll(async () => {
    service = await startTestApp();
  });
  afterAll(() => service.close());
  afterEach(() => expect(service.breaches).toEqual([]));

  const assess = async (
    options: { patient?: string; story?: Story; content?: string | null } = {},
  ): Promise<Assessment> => {
    const { assessment } = await service.request(service.hospital.addStudy(options));
    return untilEnded(service.store, assessment.id);
  };
  const get = (id: string, path: string): request.Test => request(service.app).get(`/v1/assessments/${id}/${path}`);

  it('say what they are, where they lie and where their voxels are', async () => {
    const assessment = await assess({ patient: 'sim-02' });
    const { body } = await get(assessment.id, 'maps').expect(200);
    expect(body).toMatchObject({ assessment: assessment.id, patient: 'Patient/sim-02', seriesInstanceUid: '2.25.1' });
    expect(body.maps).toMatchObject([
      { name: 'attention', dtype: 'uint8', unit: '1', scale: 0.01, grid: MAPS.attention.grid },
      { name: 'difference', dtype: 'int16', unit: "[hnsf'U]", scale: 1, grid: MAPS.difference.grid },
    ]);
    expect(body.flags).toEqual(assessment.flags);
    expect(body.flags).not.toEqual([]);
    expect(body.maps[1].meaning).toContain('AI-generated, not acquired');
    for (const { href } of body.maps) await request(service.app).get(href).expect(200);
  });

  it('are sent as bytes of the stated type, compressed to whoever accepts it', async () => {
    const { id } = await assess();
    const attention = await bytes(get(id, 'attention').set('Accept-Encoding', 'gzip')).expect(200);
    expect(attention.headers).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-encoding': 'gzip',
      'cache-control': 'no-store',
    });
    expect([...attention.body]).toEqual([0, 255, 7, 9]); // unpacked by the client
    const difference = await bytes(get(id, 'difference').set('Accept-Encoding', 'identity')).expect(200);
    expect(difference.headers).not.toHaveProperty('content-encoding');
    const values = Int16Array.from({ length: 4 }, (_, i) => (difference.body as Buffer).readInt16LE(2 * i));
    expect([...values]).toEqual([0, -40, 12, 0]);
  });

  it('are not there before the assessment has completed, nor where it was refused, nor for no assessment', async () => {
    const refused = await assess({
      story: async () => ({
        kind: 'refused',
        refusal: { code: 'not-a-head', message: 'No head.', details: {} },
        flags: [],
        timings: {},
      }),
    });
    expect(refused.status).toBe('refused');
    for (const path of ['maps', 'attention', 'difference']) {
      expect((await get(refused.id, path).expect(404)).body).toMatchObject({ code: 'maps-not-found' });
      expect((await get(randomUUID(), path).expect(404)).body).toMatchObject({ code: 'assessment-not-found' });
    }
  });

  it('are gone once the result was taken back', async () => {
    const { id } = await assess();
    await service.store.withdraw(id, { code: 'study-withdrawn', message: 'Withdrawn.', at: new Date().toISOString() });
    for (const path of ['maps', 'attention', 'difference']) {
      const { body } = await get(id, path).expect(410);
      expect(body).toMatchObject({ code: 'assessment-withdrawn', details: { withdrawal: 'study-withdrawn' } });
    }
  });

  it('are shared by assessments that turn out to read the same content', async () => {
    const first = await assess({ content: 'the same slices' });
    const late = service.hospital.addStudy({ content: null });
    const { assessment } = await service.request(late);
    service.hospital.setStory(late, async (running, _signal, onProgress) => {
      await onProgress({ stage: 'retrieving', progress: 0.1, contentKey: first.contentKey! });
      return completed(running);
    });
    expect(await untilEnded(service.store, assessment.id)).toMatchObject({ status: 'completed' });
    await get(assessment.id, 'attention').expect(200);
  });

  it('are shown to a user of the EHR for their own patient only', async () => {
    const introspect = async (): Promise<Response> =>
      Response.json({ active: true, client_id: 'app', patient: 'own', scope: 'patient/*.rs' });
    const users = new Introspector({ url: 'https://ehr.example/introspect', clientId: 'app', fetch: introspect });
    const app = service.variant({ authentication: { apiToken: 'x'.repeat(32), users } });
    const [own, other] = [await assess({ patient: 'own' }), await assess({ patient: 'other' })];
    for (const path of ['maps', 'attention', 'difference']) {
      const as = (id: string): request.Test =>
        request(app).get(`/v1/assessments/${id}/${path}`).set('Authorization', 'Bearer token-of-a-user');
      await as(own.id).expect(200);
      expect((await as(other.id).expect(404)).body).toMatchObject({ code: 'assessment-not-found' });
    }
  });
});
