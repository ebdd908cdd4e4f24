/** What a CDS client sends, and what an EHR answers, may be of any kind: a hook answers or refuses, and is never at fault itself. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import request from 'supertest';
import type { Resource } from '@medplum/fhirtypes';
import { disfigured } from '../support/disfigured.ts';
import { ENOXAPARIN, filedForecast, headCt, orderHook, patientView, startCdsDoor, thrombectomy } from './support.ts';
import type { CdsDoor } from './support.ts';

let hospital: CdsDoor;
beforeAll(async () => void (hospital = await startCdsDoor()));
afterAll(() => hospital.close());

const STUDY = { id: 'ct', study: 'ImagingStudy/ct', patient: 'ada' };
const SERIES = { uid: '1', modality: { code: 'CT' }, bodySite: { code: '69536005' }, description: 'Head' };
const CHART: readonly Resource[] = [
  filedForecast(STUDY, { note: [{ text: 'Research use only, not a medical device.' }] }),
  headCt('ct', 'ada', '2026-11-12T08:00:00Z', { series: [SERIES] }),
  headCt('newer', 'ada', '2026-11-12T10:00:00Z', { series: [SERIES] }),
  thrombectomy('ada', '2026-11-12T07:00:00Z'),
];
const KEYS = { RiskAssessment: 'riskAssessments', ImagingStudy: 'imagingStudies', Procedure: 'procedures' } as const;

const prefetchOf = (resources: readonly unknown[]): Record<string, unknown> => {
  const of = (type: string): unknown[] => resources.filter((_one, at) => CHART[at].resourceType === type);
  const bundle = (type: string): object => ({
    resourceType: 'Bundle',
    type: 'searchset',
    entry: of(type).map((resource) => ({ resource })),
  });
  return Object.fromEntries(Object.entries(KEYS).map(([type, key]) => [key, bundle(type)]));
};

/** The fields with which a call was answered otherwise than with cards or a refusal. */
async function faults(calls: Iterable<[field: string, service: string, body: object]>): Promise<string[]> {
  const found: string[] = [];
  for (const [field, service, body] of calls) {
    const { status } = await request(hospital.door).post(`/cds-services/${service}`).send(body);
    if (![200, 400, 412].includes(status)) found.push(`${field}: ${status}`);
  }
  return [...new Set(found)];
}

describe('A hook', () => {
  it('shows the forecast of this chart where nothing is wrong with it', async () => {
    const { body } = await request(hospital.door)
      .post('/cds-services/hemocast-patient')
      .send(patientView('ada', { prefetch: prefetchOf(CHART) }));
    expect(body.cards[0].detail).toContain('A newer CT is in the chart: 2026-11-12, 10:00 (UTC)');
  });

  it.each(CHART.map(({ resourceType, id }, at) => [`${resourceType}/${id}`, at] as const))(
    'answers where any one field of %s, sent along or read from the EHR, is of another kind',
    async (_name, at) => {
      const changed = [...disfigured(CHART[at])].map(
        ([field, resource]) => [field, CHART.with(at, resource as Resource)] as const,
      );
      expect(changed.length).toBeGreaterThan(50);
      const sent = changed.map(([field, chart]): [string, string, object] => [
        field,
        'hemocast-patient',
        patientView('ada', { prefetch: prefetchOf(chart) }),
      ]);
      expect(await faults(sent)).toEqual([]);
      const read: string[] = [];
      for (const [field, chart] of changed) {
        hospital.chart = async ({ resourceType }) => chart.filter((_one, i) => CHART[i].resourceType === resourceType);
        read.push(...(await faults([[field, 'hemocast-patient', patientView('ada')]])));
      }
      expect(read).toEqual([]);
    },
    60_000,
  );

  it('answers or refuses where any one field of the call is of another kind', async () => {
    const call = orderHook('order-select', 'ada', [ENOXAPARIN], { prefetch: prefetchOf(CHART) });
    const calls = [...disfigured(call)].map(([field, body]): [string, string, object] => [
      field,
      'hemocast-orders',
      body as object,
    ]);
    expect(await faults(calls)).toEqual([]);
  }, 60_000);
});
