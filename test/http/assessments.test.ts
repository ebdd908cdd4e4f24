import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import request from 'supertest';
import type { Assessment } from '../../api/assessment/assessment.ts';
import { TransientError, UpstreamError } from '../../api/errors.ts';
import { startTestApp } from '../support/app.ts';
import type { TestApp } from '../support/app.ts';
import { BASIS, MODEL, PREDICTION } from '../support/in-memory-hospital.ts';
import type { Story } from '../support/in-memory-hospital.ts';
import { until, untilEnded } from '../support/queue-service.ts';

const endless: Story = (_assessment, signal) =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));

describe('/v1/assessments', () => {
  let service: TestApp;
  beforeAll(async () => {
    service = await startTestApp();
  });
  afterAll(() => service.close());
  afterEach(() => expect(service.breaches).toEqual([]));

  const post = (body: object): request.Test => request(service.app).post('/v1/assessments').send(body);
  const completeOne = async (options: Parameters<TestApp['hospital']['addStudy']>[0] = {}): Promise<Assessment> => {
    const { body } = await post({ imagingStudy: service.hospital.addStudy(options) }).expect(202);
    return untilEnded(service.store, body.id);
  };

  it('accepts a study: 202, where to look, and the assessment as it stands', async () => {
    const imagingStudy = service.hospital.addStudy({ patient: 'sim-01' });
    const { body, headers } = await post({ imagingStudy })
      .expect(202)
      .expect('Content-Type', /application\/json/);
    expect(headers.location).toBe(`/v1/assessments/${body.id}`);
    expect(body).toMatchObject({
      status: 'created',
      imagingStudy,
      patient: 'Patient/sim-01',
      revision: 1,
      prediction: null,
    });
    expect(body.disclaimer).toBe(MODEL.disclaimer);
  });

  it('shows a completed assessment with prediction, resources, model, provider and timings', async () => {
    const { id } = await completeOne();
    const { body } = await request(service.app).get(`/v1/assessments/${id}`).expect(200);
    expect(body).toMatchObject({
      status: 'completed',
      stage: null,
      progress: 1,
      prediction: PREDICTION,
      resources: { riskAssessment: expect.stringMatching(/^RiskAssessment\//), device: 'Device/hemocast-test' },
      model: { name: MODEL.name, version: MODEL.version, sha256: MODEL.sha256 },
      basis: BASIS,
      executionProvider: 'cpu',
      timings: { retrieving: 12, 'reading-scan': 34 },
      refusal: null,
      error: null,
    });
    expect(Object.keys(body)).not.toContain('studyInstanceUid');
  });

  it('answers 200 with the same assessment when asked again', async () => {
    const { id, study } = await completeOne();
    const { body, headers } = await post({ imagingStudy: `ImagingStudy/${study.id}` }).expect(200);
    expect(body.id).toBe(id);
    expect(headers.location).toBe(`/v1/assessments/${id}`);
  });

  it('makes a revision that supersedes when forced', async () => {
    const { id, study } = await completeOne();
    const { body } = await post({ imagingStudy: `ImagingStudy/${study.id}`, force: true }).expect(202);
    expect(body).toMatchObject({ revision: 2, supersedes: id });
  });

  it('lists by study and by patient, newest first, in pages', async () => {
    const first = await completeOne({ patient: 'listed' });
    const second = await completeOne({ patient: 'listed' });
    const page = await request(service.app).get('/v1/assessments?patient=Patient/listed&limit=1').expect(200);
    expect(page.body.items.map(({ id }: { id: string }) => id)).toEqual([second.id]);
    const next = await request(service.app)
      .get('/v1/assessments')
      .query({ patient: 'Patient/listed', limit: 1, cursor: page.body.next })
      .expect(200);
    expect(next.body).toMatchObject({ items: [{ id: first.id }], next: null });
    const byStudy = await request(service.app)
      .get(`/v1/assessments?imagingStudy=ImagingStudy/${first.study.id}`)
      .expect(200);
    expect(byStudy.body.items).toHaveLength(1);
  });

  it('cancels what has not ended, and says so again when asked again', async () => {
    const { body } = await post({ imagingStudy: service.hospital.addStudy({ story: endless }) }).expect(202);
    await until(service.store, body.id, ({ status }) => status === 'active');
    const cancelled = await request(service.app).delete(`/v1/assessments/${body.id}`).expect(200);
    expect(cancelled.body.status).toBe('cancelled');
    await request(service.app).delete(`/v1/assessments/${body.id}`).expect(200);
  });

  it('does not cancel what has ended: 409', async () => {
    const { id } = await completeOne();
    const { body } = await request(service.app).delete(`/v1/assessments/${id}`).expect(409);
    expect(body).toMatchObject({ code: 'assessment-ended', status: 409, details: { status: 'completed' } });
  });

  it.each(['get', 'delete'] as const)('answers 404 to %s of an assessment that does not exist', async (method) => {
    const missing = '/v1/assessments/0b0f1b1e-6a5a-4d7e-9d2e-3f1c2b4a5d6e';
    const { body } = await request(service.app)[method](missing).expect(404);
    expect(body).toMatchObject({ code: 'assessment-not-found' });
    await request(service.app)[method]('/v1/assessments/not-a-uuid').expect(404);
  });

  it('answers 404 to a study that the EHR does not have', async () => {
    const { body, headers } = await post({ imagingStudy: 'ImagingStudy/unknown' }).expect(404);
    expect(headers['content-type']).toMatch(/application\/problem\+json/);
    expect(body).toMatchObject({ code: 'study-not-found', title: 'Not Found', status: 404 });
  });

  it('answers 429 with Retry-After when too many assessments are open', async () => {
    const app = service.variant({ queueLimit: 0 });
    const { body } = await request(app)
      .post('/v1/assessments')
      .send({ imagingStudy: service.hospital.addStudy() })
      .expect(429)
      .expect('Retry-After', '30');
    expect(body).toMatchObject({ code: 'queue-full' });
  });

  it.each([
    [503, new TransientError('ehr-unreachable', 'The EHR does not answer.', {}, { retryAfterMs: 12_000 }), '12'],
    [502, new UpstreamError('ehr-answer-unusable', 'The EHR answered with HTML.'), undefined],
  ])('answers %i when the EHR cannot be read, and has acknowledged nothing', async (status, error, retryAfter) => {
    const app = service.variant({ planStudy: () => Promise.reject(error) });
    const imagingStudy = service.hospital.addStudy();
    const { body, headers } = await request(app).post('/v1/assessments').send({ imagingStudy }).expect(status);
    expect(body).toMatchObject({ code: error.code, detail: error.message });
    expect(headers['retry-after']).toBe(retryAfter);
    const list = await request(service.app).get('/v1/assessments').query({ imagingStudy }).expect(200);
    expect(list.body.items).toEqual([]);
  });
});
