/** A study whose assessment cannot even be begun leaves no record: a hook must not promise its result again and again. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Express } from 'express';
import request from 'supertest';
import type { Card } from '../../api/cds/card.ts';
import { BeginFaults } from '../../api/cds/begin-faults.ts';
import { composeCds } from '../../api/compose-cds.ts';
import { Egress } from '../../api/egress/egress.ts';
import { UpstreamError } from '../../api/errors.ts';
import { MODEL } from '../support/in-memory-hospital.ts';
import {
  ENOXAPARIN,
  headCt,
  orderHook,
  OWN_EHR,
  patientView,
  PUBLIC_URL,
  startCdsDoor,
  thrombectomy,
  wholePrefetch,
} from './support.ts';
import type { CdsDoor } from './support.ts';

let hospital: CdsDoor;
let egress: Egress;
let door: Express;
const faults: Readonly<Record<string, Error>> = {
  'kim-ct': new UpstreamError('study-uid-missing', 'The ImagingStudy names no usable Study Instance UID.'),
  'lea-ct': new TypeError('x is not a function'),
};

beforeAll(async () => {
  hospital = await startCdsDoor();
  egress = new Egress([]);
  const cds = composeCds({
    database: hospital.database,
    egress,
    requestParts: {
      planStudy: ({ id }) => Promise.reject(faults[id]),
      describeModel: () => MODEL,
      records: hospital.store,
      work: hospital.queue,
      writes: () => true,
      queueLimit: 10,
    },
    operation: hospital.operation,
    log: hospital.log,
    publicUrl: PUBLIC_URL,
    ehr: { baseUrl: OWN_EHR, sandbox: true },
    clients: [],
  });
  door = hospital.withParts(cds);
});
afterAll(async () => {
  await egress.close();
  await hospital.close();
});

describe('An assessment that could not be begun', () => {
  it('is promised at most once, then silent in the chart, and said with its reason when a drug is signed', async () => {
    expect((await view('kim')).map(({ summary }) => summary)).toEqual([expect.stringContaining('has been asked for')]);
    expect(await view('kim')).toEqual([]);
    const [card] = await sign('kim');
    expect(card.summary).toContain('could not be started');
    expect(card.detail).toContain('The ImagingStudy names no usable Study Instance UID. (study-uid-missing)');
    expect(card.detail).toContain('The absence of a forecast says nothing about the risk.');
    expect(card.indicator).toBe('info');
  });

  it('tells nothing of a fault that has no name', async () => {
    await view('lea');
    const [card] = await sign('lea');
    expect(card.detail).toContain('Why: a technical fault.');
    expect(card.detail).not.toContain('not a function');
  });

  async function view(patient: string): Promise<readonly Card[]> {
    return cards('hemocast-patient', patientView(patient, { prefetch: eligible(patient) }));
  }
  async function sign(patient: string): Promise<readonly Card[]> {
    return cards('hemocast-orders', orderHook('order-sign', patient, [ENOXAPARIN], { prefetch: eligible(patient) }));
  }
  async function cards(service: string, body: object): Promise<readonly Card[]> {
    const answer = await request(door).post(`/cds-services/${service}`).send(body).expect(200);
    return (answer.body as { cards: Card[] }).cards;
  }
  const eligible = (patient: string) =>
    wholePrefetch([
      thrombectomy(patient, '2026-11-12T08:00:00Z'),
      headCt(`${patient}-ct`, patient, '2026-11-12T09:00:00Z'),
    ]);
});

describe('What is remembered of it', () => {
  const study = (id: string) => ({ resourceType: 'ImagingStudy', id }) as const;
  const fail = (begin: BeginFaults, id: string) =>
    begin.watch(study(id), () => Promise.reject(new UpstreamError(id, 'No.'))).catch(() => undefined);

  it('is the latest reason, until it succeeds', async () => {
    const begin = new BeginFaults();
    await fail(begin, 'a');
    expect(begin.of(study('a'))).toEqual({ code: 'a', message: 'No.' });
    expect(begin.of(study('b'))).toBeUndefined();
    await begin.watch(study('a'), async () => undefined);
    expect(begin.of(study('a'))).toBeUndefined();
  });

  it('is bounded: what failed first is forgotten first', async () => {
    const begin = new BeginFaults();
    for (let i = 0; i <= 10_000; i++) await fail(begin, `s${i}`);
    expect([begin.of(study('s0')), begin.of(study('s1'))?.code, begin.of(study('s10000'))?.code]).toEqual([
      undefined,
      's1',
      's10000',
    ]);
  });
});
