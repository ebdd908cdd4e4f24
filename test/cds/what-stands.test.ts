/** What a hook says when records, prefetch and chart say different things: only what still stands, of this patient, in this EHR. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Express } from 'express';
import request from 'supertest';
import type { ImagingStudy, Observation, Procedure, Resource, RiskAssessment } from '@medplum/fhirtypes';
import type { AssessmentOutcome } from '../../api/assessment/assess-study.ts';
import type { Assessment } from '../../api/assessment/assessment.ts';
import type { Card } from '../../api/cds/card.ts';
import type { ChartForecast } from '../../api/cds/chart-forecasts.ts';
import { choosePatientState } from '../../api/cds/patient-state.ts';
import { UpstreamError } from '../../api/errors.ts';
import { RefusalError } from '../../api/prediction/refusals.ts';
import { completed, writtenResources } from '../support/in-memory-hospital.ts';
import { untilEnded } from '../support/queue-service.ts';
import {
  cannotBeAsked,
  chartOf,
  ENOXAPARIN,
  filedFor,
  filedForecast,
  groundOf,
  headCt,
  HEAD_CT,
  orderHook,
  OWN_EHR,
  PARACETAMOL,
  patientView,
  searchset,
  startCdsDoor,
  thrombectomy,
  wholePrefetch,
} from './support.ts';
import type { CallChanges, CdsDoor } from './support.ts';

let hospital: CdsDoor;
let assessed: Assessment;
beforeAll(async () => {
  hospital = await startCdsDoor();
  assessed = await hospital.assessedPatient('ada');
});
afterAll(() => hospital.close());
beforeEach(() => {
  hospital.chart = cannotBeAsked;
  hospital.searches.length = 0;
  hospital.requested.length = 0;
});

async function view(patient: string, changes: CallChanges = {}, door = hospital.door): Promise<string> {
  const answer = await request(door).post('/cds-services/hemocast-patient').send(patientView(patient, changes));
  return answer.status === 200 ? summaryOf(answer.body) : String(answer.status);
}

async function sign(patient: string, changes: CallChanges = {}, coding = ENOXAPARIN): Promise<string> {
  const call = orderHook('order-sign', patient, [coding], changes);
  return summaryOf((await request(hospital.door).post('/cds-services/hemocast-orders').send(call).expect(200)).body);
}

const summaryOf = ({ cards }: { cards: { summary: string }[] }): string =>
  cards
    .map(({ summary }) => /\d+ % \(\w+\)|not ready|cannot be read|technical fault/.exec(summary)?.[0] ?? summary)
    .join() || 'silent';

const RESULT = '41 % (moderate)';

function doorAt(now: string): Express {
  return hospital.withHooks({ windowEnds: true, now: () => new Date(now) });
}

describe('A result', () => {
  it.each<[string, Partial<RiskAssessment>, string]>([
    ['is shown while the chart holds it as preliminary', { status: 'preliminary' }, RESULT],
    ['is shown when a clinician made it final', { status: 'final' }, RESULT],
    ['is never shown once it was entered in error', { status: 'entered-in-error' }, 'silent'],
    ['is never shown once it was cancelled', { status: 'cancelled' }, 'silent'],
    ['is never shown with a status unknown', { status: 'unknown' }, 'silent'],
    ['is never shown from the chart of another patient', { subject: { reference: 'Patient/bob' } }, 'silent'],
  ])('%s', async (_what, changes, want) => {
    const prefetch = wholePrefetch([filedFor(assessed, changes)]);
    expect(await view('ada', { prefetch })).toBe(want);
    expect(await sign('ada', { prefetch })).toBe(want);
  });

  it('is never shown once it is gone from the chart', async () => {
    expect(await view('ada', { prefetch: wholePrefetch() })).toBe('silent');
    expect(await view('ada', { prefetch: { ...wholePrefetch(), riskAssessments: null } })).toBe('silent');
  });

  it('gives way to a newer one of the same study, also when that one was taken back', async () => {
    const newer = { id: 'newer', occurrenceDateTime: '2026-11-12T11:00:00Z' };
    const older = filedFor(assessed);
    const both = (changes: Partial<RiskAssessment>) =>
      wholePrefetch([older, filedFor(assessed, { ...newer, ...changes })]);
    expect(await view('ada', { prefetch: both({}) })).toBe('71 % (high)');
    expect(await view('ada', { prefetch: both({ status: 'entered-in-error' }) })).toBe('silent');
  });

  it('stands also where the EHR dates an older one anew that it has cancelled', async () => {
    const assessment = await hospital.assessedPatient('ulla');
    const resources = { ...assessment.resources!, riskAssessment: 'Observation/newer' };
    const inChart = (reference: string, writtenAt: string, isCurrent: boolean): ChartForecast => {
      const study = `ImagingStudy/${assessment.study.id}`;
      return { reference, study, writtenAt, windowEnd: null, mergedReferences: [], isCurrent, forecast: null };
    };
    const state = choosePatientState({
      assessments: [{ ...assessment, resources }],
      chart: [
        inChart('Observation/older', '2026-11-12T11:00:00Z', false),
        inChart('Observation/newer', '2026-11-12T10:00:00Z', true),
      ],
      chartIsWhole: true,
      eligible: undefined,
      now: new Date(),
      windowEnds: false,
    });
    expect(state.kind).toBe('result');
  });

  it('is not known where an EHR that holds it answers that it knows no such thing', async () => {
    await hospital.assessedPatient('tove');
    hospital.chart = async () => {
      throw new UpstreamError('ehr-search-refused', 'Not found.', { status: 404, page: 0 });
    };
    const call = patientView('tove', { prefetch: { ...wholePrefetch(), riskAssessments: undefined } });
    await request(hospital.door).post('/cds-services/hemocast-patient').send(call).expect(412);
  });

  it('is shown from the chart alone where our records know nothing of it', async () => {
    const filed = filedForecast({ id: 'r1', study: 'ImagingStudy/s1', patient: 'carol' });
    expect(await view('carol', { prefetch: wholePrefetch([filed]) })).toBe('71 % (high)');
    const foreign = { ...filed, identifier: [{ system: 'https://someone.example', value: 'r1' }] };
    expect(await view('carol', { prefetch: wholePrefetch([foreign]) })).toBe('silent');
  });

  it('is silent when the chart’s number cannot be read as one', async () => {
    for (const prediction of [undefined, [{}], [{ probabilityDecimal: 714 }], [{ probabilityDecimal: 71.4 }]]) {
      const filed = filedForecast({ id: 'r1', study: 'ImagingStudy/s1', patient: 'carol' }, { prediction });
      expect(await view('carol', { prefetch: wholePrefetch([filed]) })).toBe('silent');
    }
  });

  it('in a chart that keeps no RiskAssessment is shown while its Observation stands and its time lasts', async () => {
    const subject = { reference: 'Patient/olga' };
    const issued = '2026-11-12T10:00:00Z';
    const observation = { resourceType: 'Observation', id: 'filed', code: {}, issued, subject } as const;
    const study = hospital.hospital.addStudy({
      patient: 'olga',
      story: async (assessment) => {
        const resources = { ...writtenResources(assessment), riskAssessment: `Observation/${observation.id}` };
        return { ...completed(assessment), resources } as AssessmentOutcome;
      },
    });
    await untilEnded(hospital.store, (await hospital.request(study)).assessment.id);
    const ground = groundOf([filedForecast({ id: 'filed', study, patient: 'olga' })]);
    const call = patientView('olga', { prefetch: { ...wholePrefetch(ground), riskAssessments: undefined } });
    const system = 'https://hemocast.example/fhir/CodeSystem/finding';
    const code = { coding: [{ system, code: 'forecast-window' }] };
    const component = [{ code, valuePeriod: { end: '2026-11-15T09:00:00Z' } }];
    const cards = async (
      status: Observation['status'],
      now = '2026-11-15T08:00:00Z',
      changes: Partial<Observation> = {},
    ): Promise<Card[]> => {
      hospital.chart = async ({ resourceType }) => {
        if (resourceType === 'Observation') return [{ ...observation, status, component, ...changes }];
        throw new UpstreamError('ehr-search-refused', 'There is no RiskAssessment here.', { status: 404, page: 0 });
      };
      const answer = await request(doorAt(now)).post('/cds-services/hemocast-patient').send(call).expect(200);
      return (answer.body as { cards: Card[] }).cards;
    };
    const refusing = { resourceType: 'OperationOutcome', issue: [] };
    const told = patientView('olga', { prefetch: { ...wholePrefetch(ground), riskAssessments: refusing } });
    const [card] = await cards('preliminary');
    expect(
      (await request(doorAt('2026-11-15T08:00:00Z')).post('/cds-services/hemocast-patient').send(told)).body,
    ).toEqual({
      cards: [expect.objectContaining({ summary: card.summary })],
    });
    expect(JSON.parse(card.links[0].appContext)).toEqual({ riskAssessment: 'Observation/filed', imagingStudy: study });
    expect(await cards('entered-in-error')).toEqual([]);
    expect(card.detail).toContain('Forecast until');
    expect(await cards('preliminary', '2026-11-15T10:00:00Z')).toEqual([]);
    expect(await cards('preliminary', undefined, { subject: { reference: 'Patient/other' } })).toEqual([]);
    const undated = { component: undefined };
    expect(await cards('preliminary', '2026-11-15T09:59:59Z', undated)).toHaveLength(1);
    expect(await cards('preliminary', '2026-11-15T10:00:01Z', undated)).toEqual([]); // 72 h after it was written
  });

  it('is taken back in our records as well', async () => {
    const taken = await hospital.assessedPatient('dora');
    const prefetch = wholePrefetch([filedFor(taken)]);
    expect(await view('dora', { prefetch })).toBe(RESULT);
    await hospital.store.withdraw(taken.id, {
      code: 'study-withdrawn',
      message: 'x',
      at: new Date().toISOString(),
    } as never);
    expect(await view('dora', { prefetch })).toBe('silent');
  });

  it('of our EHR is never shown for a patient of another EHR who has the same id', async () => {
    const other = 'https://other-ehr.example/fhir';
    const localClient = { iss: 'local', fhirServers: [OWN_EHR, other] };
    const door = hospital.withParts({ localClient });
    expect(await view('ada', { fhirServer: OWN_EHR, prefetch: wholePrefetch([filedFor(assessed)]) }, door)).toBe(
      RESULT,
    );
    expect(await view('ada', { fhirServer: other, prefetch: wholePrefetch() }, door)).toBe('silent');
    const eligible = [thrombectomy('eve', '2026-11-12T08:00:00Z'), headCt('eve-ct', 'eve', '2026-11-12T09:00:00Z')];
    expect(await view('eve', { fhirServer: other, prefetch: wholePrefetch(eligible) }, door)).toBe('silent');
    expect(await view('eve', { prefetch: wholePrefetch(eligible) }, door)).toBe('silent'); // which EHR is not said
    expect(hospital.requested).toEqual([]);
  });
});

describe('Time', () => {
  it('ends a forecast when its 72 h have passed', async () => {
    const at = async (now: string): Promise<string> => {
      return view(
        'carol',
        { prefetch: wholePrefetch([filedForecast({ id: 'r1', study: 'ImagingStudy/s1', patient: 'carol' })]) },
        doorAt(now),
      );
    };
    expect(await at('2026-11-15T07:59:00Z')).toBe('71 % (high)');
    expect(await at('2026-11-15T08:01:00Z')).toBe('silent');
  });

  it('makes no study eligible whose thrombectomy is more than 72 h ago', async () => {
    const resources = [thrombectomy('fred', '2026-11-12T08:00:00Z'), headCt('fred-ct', 'fred', '2026-11-12T09:00:00Z')];
    const prefetch = wholePrefetch(resources);
    expect(await view('fred', { prefetch }, doorAt('2026-11-15T07:00:00Z'))).toBe('not ready');
    expect(await view('fred', { prefetch }, doorAt('2026-11-15T09:00:00Z'))).toBe('silent');
  });

  it('is asked for in a chart that does not know what a RiskAssessment is', async () => {
    const resources = [
      thrombectomy('nadia', '2026-11-12T08:00:00Z'),
      headCt('nadia-ct', 'nadia', '2026-11-12T09:00:00Z'),
    ];
    const prefetch = { ...wholePrefetch(resources), riskAssessments: undefined };
    const answer = (status: number) => async (): Promise<never> => {
      throw new UpstreamError('ehr-search-refused', 'No.', { status, page: 0 });
    };
    hospital.chart = answer(403);
    const call = patientView('nadia', { prefetch });
    await request(hospital.door).post('/cds-services/hemocast-patient').send(call).expect(412);
    hospital.chart = answer(404);
    expect(await view('nadia', { prefetch })).toBe('not ready');
  });
});

describe('An assessment under way', () => {
  it('is pending in the chart and beside a drug, and becomes a result at the next hook', async () => {
    let finish = (): void => undefined;
    const study = hospital.hospital.addStudy({ patient: 'gina' });
    const gate = new Promise<void>((resolve) => (finish = resolve));
    hospital.hospital.setStory(study, async (assessment) => {
      await gate;
      return completed(assessment);
    });
    const { assessment } = await hospital.request(study);
    expect(await view('gina')).toBe('not ready');
    expect(await sign('gina')).toBe('not ready');
    expect(await sign('gina', {}, HEAD_CT)).toBe('silent');
    expect(hospital.searches).toEqual([]); // nothing in the chart could change that
    finish();
    const done = await untilEnded(hospital.store, assessment.id);
    expect(await view('gina', { prefetch: wholePrefetch([filedFor(done)]) })).toBe(RESULT);
  });

  it('that ended without a number is said once, when a drug is signed', async () => {
    const refused = hospital.hospital.addStudy({
      patient: 'hugo',
      story: async () => ({
        kind: 'refused',
        refusal: new RefusalError('not-a-head', 'The voxels show no head.').toRefusal(),
        flags: [],
        timings: {},
      }),
    });
    const failed = hospital.hospital.addStudy({ patient: 'ines', story: () => Promise.reject(new Error('broken')) });
    for (const study of [refused, failed]) {
      await untilEnded(hospital.store, (await hospital.request(study)).assessment.id);
    }
    const prefetch = wholePrefetch();
    expect([await view('hugo', { prefetch }), await sign('hugo', { prefetch })]).toEqual(['silent', 'cannot be read']);
    expect([await view('ines', { prefetch }), await sign('ines', { prefetch })]).toEqual(['silent', 'technical fault']);
  });
});

describe('What the client sent along', () => {
  const filed = (): RiskAssessment => filedFor(assessed);
  const outcome = (severity: 'error' | 'warning') => ({
    resourceType: 'OperationOutcome' as const,
    issue: [{ severity, code: 'exception' as const }],
  });

  it.each<[string, () => unknown, string, string]>([
    ['all of it', () => ({ riskAssessments: searchset([filed()]) }), RESULT, RESULT],
    ['null: the chart holds nothing', () => ({ riskAssessments: null }), 'silent', 'silent'],
    ['one resource in place of a searchset', () => ({ riskAssessments: filed() }), RESULT, RESULT],
    ['no key', () => ({}), '412', RESULT],
    ['no prefetch at all', () => undefined, '412', RESULT],
    ['something else under the key', () => ({ riskAssessments: 'x' }), '412', RESULT],
    ['another resource under the key', () => ({ riskAssessments: { resourceType: 'Patient' } }), '412', RESULT],
    [
      'a page that holds the result',
      () => ({ riskAssessments: searchset([filed()], { link: [{ relation: 'next', url: 'x' }] }) }),
      RESULT,
      RESULT,
    ],
    [
      'a page that does not',
      () => ({ riskAssessments: searchset([], { link: [{ relation: 'next', url: 'x' }] }) }),
      '412',
      RESULT,
    ],
    ['an OperationOutcome: it could not be had', () => ({ riskAssessments: outcome('error') }), '412', '412'],
    ['a searchset with an error in it', () => ({ riskAssessments: searchset([outcome('error')]) }), '412', RESULT],
    [
      'a searchset with a warning in it',
      () => ({ riskAssessments: searchset([filed(), outcome('warning')]) }),
      RESULT,
      RESULT,
    ],
    [
      'entries that are none',
      () => ({
        riskAssessments: { resourceType: 'Bundle', entry: [null, {}, { resource: 1 }, { resource: filed() }] },
      }),
      RESULT,
      RESULT,
    ],
  ])('%s: answered from it, or repaired from the EHR', async (_what, prefetch, unreachable, reachable) => {
    expect(await view('ada', { prefetch: prefetch() })).toBe(unreachable);
    hospital.chart = chartOf([filed()]);
    expect(await view('ada', { prefetch: prefetch() })).toBe(reachable);
  });

  it('asks the EHR for nothing that was sent', async () => {
    await view('ada', { prefetch: wholePrefetch([filed()]) });
    await view('nobody', { prefetch: wholePrefetch() });
    expect(hospital.searches).toEqual([]);
  });

  it('asks the EHR no more than the card needs: nothing of the ground where none would be shown', async () => {
    hospital.chart = chartOf([filed()]);
    const asked = async (ask: () => Promise<string>): Promise<string[]> => {
      hospital.searches.length = 0;
      await ask();
      return hospital.searches.map(({ resourceType }) => resourceType);
    };
    expect(await asked(() => view('ada'))).toEqual(['RiskAssessment', 'ImagingStudy', 'Procedure']);
    await hospital.operation.set('shadow', null);
    expect(await asked(() => view('ada'))).toEqual(['RiskAssessment']);
    await hospital.operation.set('running', null);
    expect(await asked(() => sign('ada', {}, PARACETAMOL))).toEqual([]);
    const old = new Date(Date.parse(assessed.createdAt) + 7 * 24 * 3_600_000).toISOString();
    expect(await asked(() => view('ada', {}, doorAt(old)))).toEqual(['RiskAssessment']);
    const cancelled = { riskAssessments: searchset([filedFor(assessed, { status: 'cancelled' })]) };
    expect(await asked(() => view('ada', { prefetch: cancelled }))).toEqual([]);
  });

  it('asks with the token that was lent, for this patient only, and not for longer than the deadline', async () => {
    let waitedMs = 0;
    hospital.chart = (_search, _access, signal) =>
      new Promise((_resolve, reject) => {
        const began = performance.now();
        signal.addEventListener('abort', () => {
          waitedMs = performance.now() - began;
          cannotBeAsked().catch(reject);
        });
      });
    const fhirAuthorization = { access_token: 'lent', token_type: 'Bearer', expires_in: 300, scope: 'x', subject: 'y' };
    expect(await view('ada', { fhirServer: OWN_EHR, fhirAuthorization })).toBe('412');
    expect(waitedMs).toBeLessThan(2_000); // DEADLINE_MS and a busy machine
    expect(
      hospital.searches.map(({ parameters, accessToken, fhirServer }) => ({ parameters, accessToken, fhirServer })),
    ).toEqual(
      // All at once: what the likely card rests on does not wait until the forecast is found.
      [{ patient: 'ada' }, { _id: assessed.study.id }, { patient: 'ada', status: 'completed' }].map((parameters) => ({
        parameters,
        accessToken: 'lent',
        fhirServer: OWN_EHR,
      })),
    );
  });

  it('is silent, not broken, where only the way to an eligible study is missing', async () => {
    expect(await view('nobody', { prefetch: { riskAssessments: null } })).toBe('silent');
  });
});

describe('A result whose ground the chart has lost is on no card, before the service has taken it back:', () => {
  type Holds = 'sent' | 'in the EHR' | 'not to be asked for';
  const ask = async (ground: readonly Resource[], where: Holds, filed = filedFor(assessed)): Promise<string> => {
    if (where === 'in the EHR') hospital.chart = chartOf([], ground);
    const { riskAssessments, ...more } = wholePrefetch([filed], ground);
    return view('ada', { prefetch: where === 'sent' ? { riskAssessments, ...more } : { riskAssessments } });
  };
  const parts = (study: Partial<ImagingStudy> = {}, procedure: Partial<Procedure> = {}): Resource[] =>
    groundOf([filedFor(assessed)]).map(
      (one) => ({ ...one, ...(one.resourceType === 'ImagingStudy' ? study : procedure) }) as Resource,
    );
  const without = (type: string): Resource[] => parts().filter(({ resourceType }) => resourceType !== type);

  it.each<[string, () => Resource[], string]>([
    ['none is lost', () => parts(), RESULT],
    ['the CT was entered in error', () => parts({ status: 'entered-in-error' }), 'silent'],
    ['the CT was cancelled', () => parts({ status: 'cancelled' }), 'silent'],
    ['the CT is another patient’s now', () => parts({ subject: { reference: 'Patient/bob' } }), 'silent'],
    ['the CT is gone', () => without('ImagingStudy'), 'silent'],
    ['the thrombectomy was entered in error', () => parts({}, { status: 'entered-in-error' }), 'silent'],
    ['the thrombectomy was not done', () => parts({}, { status: 'not-done' }), 'silent'],
    ['the thrombectomy is gone', () => without('Procedure'), 'silent'],
  ])('%s', async (_what, ground, want) => {
    expect(await ask(ground(), 'sent')).toBe(want);
    expect(await ask(ground(), 'in the EHR')).toBe(want);
  });

  it('a list that leaves the CT out, its modality being unknown, is completed from the EHR', async () => {
    hospital.chart = chartOf([], parts());
    expect(await ask(without('ImagingStudy'), 'sent')).toBe(RESULT);
    expect(hospital.searches.map(({ resourceType, parameters }) => [resourceType, parameters])).toEqual([
      ['ImagingStudy', { _id: assessed.study.id }],
    ]);
  });

  it('nothing was sent and the EHR cannot be asked: the chart’s RiskAssessment counts', async () => {
    expect(await ask(parts(), 'not to be asked for')).toBe(RESULT);
  });

  it('the CT of a record that was merged into the patient’s is not another’s, and not in the patient’s lists', async () => {
    const text = 'The imaging study names Patient/old, which the chart has replaced by Patient/ada.';
    const merged = filedFor(assessed, { note: [{ text }] });
    const of = (patient: string): Resource[] => parts({ subject: { reference: `Patient/${patient}` } });
    expect(await ask(of('old'), 'sent', merged)).toBe(RESULT);
    expect(await ask(of('third'), 'sent', merged)).toBe('silent');
    expect(await ask([], 'sent', merged)).toBe(RESULT); // nor can the EHR be asked
    hospital.chart = chartOf([], of('old'));
    expect(await ask([], 'sent', merged)).toBe(RESULT);
    hospital.chart = chartOf([], parts({ status: 'entered-in-error' }));
    expect(await ask([], 'sent', merged)).toBe('silent');
  });

  it('the thrombectomy was entered anew with an end within an hour of the first: it is the same', async () => {
    const anew = (end: string) => [...without('Procedure'), { ...thrombectomy('ada', end), id: 'anew' }];
    expect(await ask(anew('2026-03-01T12:40:00Z'), 'sent')).toBe(RESULT);
    expect(await ask(anew('2026-03-01T12:40:00Z'), 'in the EHR')).toBe(RESULT);
    expect(await ask(anew('2026-03-01T13:40:00Z'), 'sent')).toBe('silent');
  });
});

describe('Orders', () => {
  const prefetch = () => wholePrefetch([filedFor(assessed)]);

  it('that the forecast does not matter to are answered at once and with nothing', async () => {
    expect(await sign('ada', {}, PARACETAMOL)).toBe('silent');
    expect(hospital.searches).toEqual([]);
  });

  it('count in order-select only when they were selected', async () => {
    const select = async (selections: string[]): Promise<string> => {
      const call = orderHook('order-select', 'ada', [ENOXAPARIN, PARACETAMOL], {
        prefetch: prefetch(),
        context: { selections },
      });
      return summaryOf(
        (await request(hospital.door).post('/cds-services/hemocast-orders').send(call).expect(200)).body,
      );
    };
    expect(await select(['MedicationRequest/order-0'])).toBe(RESULT);
    expect(await select(['order-0'])).toBe(RESULT);
    expect(await select(['MedicationRequest/order-1'])).toBe('silent');
    expect(await select(['ServiceRequest/order-0'])).toBe('silent');
    expect(await select([])).toBe('silent');
  });

  it('for another patient than the hook’s are not read', async () => {
    const { context } = orderHook('order-sign', 'bob', [ENOXAPARIN]) as { context: { draftOrders: object } };
    expect(await sign('ada', { prefetch: prefetch(), context: { draftOrders: context.draftOrders } })).toBe('silent');
  });
});

describe('The switch', () => {
  afterAll(() => hospital.operation.set('running', null));

  it('stops every card while the service is paused or in shadow', async () => {
    const prefetch = wholePrefetch([filedFor(assessed)]);
    const eligible = [thrombectomy('jo', '2026-11-12T08:00:00Z'), headCt('jo-ct', 'jo', '2026-11-12T09:00:00Z')];
    await hospital.operation.set('paused', null);
    expect(await view('ada', { prefetch })).toBe('silent');
    expect(await view('jo', { prefetch: wholePrefetch(eligible) })).toBe('silent');
    expect(hospital.requested).toEqual([]);
    await hospital.operation.set('shadow', null);
    expect(await view('ada', { prefetch })).toBe('silent');
    expect(await view('jo', { prefetch: wholePrefetch(eligible) })).toBe('silent');
    expect(hospital.requested).toEqual(['jo-ct']); // computed in the dark
    await hospital.operation.set('running', null);
    expect(await view('ada', { prefetch })).toBe(RESULT);
  });
});
