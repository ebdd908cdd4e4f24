import { Writable } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import request from 'supertest';
import { TransientError, UpstreamError } from '../../api/errors.ts';
import { createLogger } from '../../api/log.ts';
import type { LogFields } from '../../api/log.ts';
import { startTestApp } from '../support/app.ts';
import { untilEnded } from '../support/queue-service.ts';

const CANARY = 'canary-Doe-John-19501231';

describe('The log', () => {
  it('never shows what came with requests, studies and faults', async () => {
    const service = await startTestApp();
    const { app, hospital } = service;
    const post = (body: object | string): request.Test =>
      request(app).post('/v1/assessments').set('Content-Type', 'application/json').send(body);

    await post({ imagingStudy: CANARY });
    await post({ imagingStudy: `ImagingStudy/${CANARY}` });
    await post(`{"${CANARY}`);
    await request(app).get(`/v1/${CANARY}?${CANARY}=1`);
    await request(app).get(`/v1/assessments?patient=Patient/${CANARY}&cursor=${CANARY}`);
    await request(app)
      .get('/v1/models')
      .set('Authorization', `Bearer ${CANARY}`)
      .set('User-Agent', CANARY)
      .set('Referer', CANARY);
    await request(service.variant({ planStudy: () => Promise.reject(new Error(CANARY, { cause: new Error(CANARY) })) }))
      .post('/v1/assessments')
      .send({ imagingStudy: 'ImagingStudy/1' });

    const faults = [
      new TypeError(CANARY),
      new UpstreamError('ehr-rejected', CANARY, { value: CANARY }, new Error(CANARY)),
      new TransientError('ehr-unreachable', CANARY),
      Object.assign(new Error(CANARY), { code: `${CANARY} with words`, patient: CANARY }),
    ];
    for (const fault of faults) {
      const study = hospital.addStudy({ patient: CANARY, story: () => Promise.reject(fault) });
      await untilEnded(service.store, (await service.request(study)).assessment.id);
    }
    await service.close();

    const log = service.logged.join('');
    expect(service.logged.length).toBeGreaterThan(20);
    expect(log).toContain('"code":"ehr-rejected"');
    expect(log).toContain('"route":"/v1/assessments"');
    expect(log).not.toContain(CANARY);
    expect(log).not.toContain('Doe');
  });

  it('drops fields that are not on its list', () => {
    const lines: string[] = [];
    const destination = new Writable({ write: (line, _encoding, done) => (lines.push(String(line)), done()) });
    const log = createLogger({ level: 'info', destination });
    log.info('assessment ended', { assessmentId: 'a', patientName: CANARY, durationMs: 12 } as LogFields);
    log.debug('below the level', { assessmentId: 'b' });
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      { level: 'info', time: expect.any(String), assessmentId: 'a', durationMs: 12, msg: 'assessment ended' },
    ]);
  });
});
