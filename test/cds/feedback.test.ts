/** CDS Hooks 2.0.1, "Feedback": kept once, counted in /metrics, and never quoted. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import request from 'supertest';
import { OVERRIDE_REASONS } from '../../api/cds/value-sets.ts';
import { patientView, startCdsDoor } from './support.ts';
import type { CdsDoor } from './support.ts';

const PATH = '/cds-services/hemocast-orders/feedback';

let hospital: CdsDoor;
beforeAll(async () => {
  hospital = await startCdsDoor();
});
afterAll(() => hospital.close());

const overridden = (card: string, changes: object = {}): object => ({
  card,
  outcome: 'overridden',
  outcomeTimestamp: '2026-11-12T10:05:31Z',
  ...changes,
});
const send = (...feedback: unknown[]) => request(hospital.door).post(PATH).send({ feedback });

async function counted(): Promise<string[]> {
  const text = (await request(hospital.door).get('/metrics').expect(200)).text;
  return text.split('\n').filter((line) => line.startsWith('hemocast_cds_feedback{'));
}

describe('Feedback', () => {
  it('may repeat: the same act is kept and counted once', async () => {
    const reason = { reason: { system: OVERRIDE_REASONS[0].system, code: OVERRIDE_REASONS[0].code } };
    const entries = [overridden('c1', { overrideReason: reason }), overridden('c2')];
    for (let i = 0; i < 3; i++) await send(...entries).expect(200);
    await send(
      entries[0],
      entries[0],
      overridden('c1', { outcomeTimestamp: '2026-11-12T11:05:31+01:00', overrideReason: reason }),
    ).expect(200);
    expect(await counted()).toEqual([
      'hemocast_cds_feedback{service="hemocast-orders",outcome="overridden",reason="already-considered"} 1',
      'hemocast_cds_feedback{service="hemocast-orders",outcome="overridden",reason="none"} 1',
    ]);
  });

  it('of another act on the same card is another one', async () => {
    await send(overridden('c3')).expect(200);
    await send(overridden('c3', { outcomeTimestamp: '2026-11-12T12:00:00Z' })).expect(200);
    await send({ ...overridden('c3'), outcome: 'accepted', acceptedSuggestions: [{ id: 's1' }] }).expect(200);
    expect(await counted()).toContain(
      'hemocast_cds_feedback{service="hemocast-orders",outcome="accepted",reason="none"} 1',
    );
    expect((await counted()).find((line) => line.includes('"overridden",reason="none"'))).toMatch(/ 3$/);
  });

  it('with a reason of the EHR’s own counts as "other": what clients send does not become a label', async () => {
    await send(overridden('c4', { overrideReason: { reason: { system: 'x', code: 'canary-reason' } } })).expect(200);
    expect(await counted()).toContain(
      'hemocast_cds_feedback{service="hemocast-orders",outcome="overridden",reason="other"} 1',
    );
  });

  it('in free text is kept, and shown neither in metrics nor in the log', async () => {
    await send(overridden('c5', { overrideReason: { userComment: 'canary-comment\u0000 Jane Doe' } })).expect(200);
    const { rows } = await hospital.database.executeSql(`SELECT comment FROM hemocast.cds_feedback WHERE card = 'c5'`);
    expect(rows).toEqual([{ comment: 'canary-comment Jane Doe' }]);
    expect((await request(hospital.door).get('/metrics')).text + hospital.logged.join('')).not.toContain('canary');
  });

  it('in any characters is kept as far as the database can hold them', async () => {
    const userComment = `${'x'.repeat(1_999)}😀`;
    const reason = { system: 'a\u0000b', code: '\ud83d' };
    await send(overridden('c6', { overrideReason: { userComment, reason } })).expect(200);
    const { rows } = await hospital.database.executeSql(`SELECT comment FROM hemocast.cds_feedback WHERE card = 'c6'`);
    expect(rows).toEqual([{ comment: `${'x'.repeat(1_999)}\ufffd` }]);
  });

  it.each<[string, unknown]>([
    ['no array', { feedback: {} }],
    ['an empty array', { feedback: [] }],
    ['too many entries', { feedback: Array.from({ length: 101 }, (_, i) => overridden(`many-${i}`)) }],
    ['no card', { feedback: [overridden('')] }],
    ['an unknown outcome', { feedback: [{ ...overridden('bad'), outcome: 'ignored' }] }],
    ['accepted without suggestions', { feedback: [{ ...overridden('bad'), outcome: 'accepted' }] }],
    ['no timestamp', { feedback: [{ card: 'bad', outcome: 'overridden' }] }],
    ['a time of no year', { feedback: [overridden('bad', { outcomeTimestamp: '0000-01-01T00:00:00Z' })] }],
    ['a card that is no text of a database', { feedback: [overridden('bad\u0000')] }],
    ['a card that is half a character', { feedback: [overridden('bad\ud83d')] }],
    [
      'a suggestion that is no text of a database',
      { feedback: [{ ...overridden('bad'), outcome: 'accepted', acceptedSuggestions: [{ id: 'a\u0000' }] }] },
    ],
    ['a date in place of a time', { feedback: [overridden('bad', { outcomeTimestamp: '2026-11-12' })] }],
    [
      'a reason without a code system',
      { feedback: [overridden('bad', { overrideReason: { reason: { code: 'x' } } })] },
    ],
    [
      'a suggestion without an id',
      { feedback: [{ ...overridden('bad'), outcome: 'accepted', acceptedSuggestions: [{}] }] },
    ],
    ['a reason without a code', { feedback: [overridden('bad', { overrideReason: { reason: { system: 'x' } } })] }],
    ['one bad entry among good ones', { feedback: [overridden('bad'), null] }],
  ])('that cannot be read is refused whole: %s', async (_what, body) => {
    const answer = await request(hospital.door)
      .post(PATH)
      .send(body as object)
      .expect(400);
    expect(answer.body.code).toBe('feedback-invalid');
    const { rows } = await hospital.database.executeSql(
      `SELECT card FROM hemocast.cds_feedback WHERE card IN ('bad', 'many-0')`,
    );
    expect(rows).toEqual([]);
  });
});

describe('/metrics', () => {
  it('counts answers by hook and by what they rest on', async () => {
    await request(hospital.door).post('/cds-services/hemocast-patient').send(patientView('nobody')).expect(200);
    const { text } = await request(hospital.door).get('/metrics');
    expect(text).toContain('hemocast_cds_answers_total{hook="patient-view",state="none",cards="0"} 1');
    expect(text).toContain('hemocast_cds_answer_seconds_count{hook="patient-view"} 1');
  });
});
