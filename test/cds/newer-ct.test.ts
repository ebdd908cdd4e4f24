/** A card tells when its CT was taken and that a newer one is in the chart: only what the chart told anyway, of this patient. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import request from 'supertest';
import type { Coding, ImagingStudy, Resource } from '@medplum/fhirtypes';
import type { Assessment } from '../../api/assessment/assessment.ts';
import type { Card } from '../../api/cds/card.ts';
import { toForecastCt } from '../../api/cds/forecast-ct.ts';
import {
  cannotBeAsked,
  ENOXAPARIN,
  filedFor,
  filedForecast,
  headCt,
  orderHook,
  patientView,
  searchset,
  startCdsDoor,
  thrombectomy,
} from './support.ts';
import type { CallChanges, CdsDoor } from './support.ts';

const FIRST = '2026-11-12T09:00:00+01:00';
const SECOND = '2026-11-13T09:00:00+01:00';

const own = headCt('first', 'ada', FIRST);

/** When the newer CT began, of what the chart lists beside the forecast's own. */
function newerThanFirst(...others: readonly ImagingStudy[]): string | null | undefined {
  return toForecastCt(own, { resources: [own, ...others], isWhole: true })?.newerStartedAt;
}

const modality = (code: string): Coding => ({ system: 'http://dicom.nema.org/resources/ontology/DCM', code });

describe('A newer CT', () => {
  it('is one that began after the forecast’s own', () => {
    expect(newerThanFirst(headCt('second', 'ada', SECOND))).toBe(SECOND);
  });

  it('of several is the newest, in whichever order and zone they are listed', () => {
    const others = ['2026-11-13T09:30:00+02:00', SECOND, '2026-11-13T07:45:00Z', '2026-11-12T20:00:00+01:00'];
    const studies = others.map((started, index) => headCt(`other-${index}`, 'ada', started));
    expect(newerThanFirst(...studies)).toBe(SECOND);
    expect(newerThanFirst(...studies.toReversed())).toBe(SECOND);
  });

  it.each<[string, Partial<ImagingStudy>]>([
    ['one that was entered in error', { status: 'entered-in-error' }],
    ['one that was cancelled', { status: 'cancelled' }],
    ['an MR', { modality: [modality('MR')] }],
    ['one of no modality', { modality: undefined }],
    ['our own derived study', { modality: [modality('OT')], series: [{ uid: '2.25.1', modality: modality('OT') }] }],
    [
      'our own derived study that a PACS files as a CT',
      {
        modality: [modality('CT')],
        series: [
          { uid: '2.25.1', modality: modality('CT'), description: 'AI-GENERATED NOT ACQUIRED RESEARCH follow-up CT' },
        ],
      },
    ],
    ['one whose time is not stated', { started: undefined }],
    ['one whose time has no zone', { started: '2026-11-13T09:00:00' }],
    ['one whose time is no FHIR dateTime', { started: '13 Nov 2026' }],
    ['one of a day that is in no calendar', { started: '2026-11-31' }],
  ])('is not %s', (_what, changes) => {
    expect(newerThanFirst(headCt('other', 'ada', SECOND, changes))).toBeNull();
  });

  it('may be known by its series alone, also where a series that a model made was filed with it', () => {
    const ct = { uid: '1.2', modality: modality('CT') };
    const made = { uid: '2.25.1', modality: modality('OT'), description: 'AI-GENERATED NOT ACQUIRED RESEARCH' };
    const changes = { modality: undefined, series: [made, ct] };
    expect(newerThanFirst(headCt('second', 'ada', SECOND, changes))).toBe(SECOND);
  });

  it.each<[string, string, boolean]>([
    [FIRST, '2026-11-12T08:59:59+01:00', false],
    [FIRST, FIRST, false],
    [FIRST, '2026-11-12T08:00:00Z', false], // the same moment
    [FIRST, '2026-11-12T09:30:00+02:00', false], // 08:30 (+01:00)
    [FIRST, '2026-11-12T03:30:00-05:00', true], // 09:30 (+01:00)
    [FIRST, '2026-11-11', false],
    [FIRST, '2026-11-12', false],
    [FIRST, '2026-11-13', true],
    ['2026-11-12T00:30:00+01:00', '2026-11-12', false], // the day before, in UTC
    ['2026-11-12', '2026-11-12T23:00:00+01:00', false],
    ['2026-11-12', SECOND, true],
    ['2026-11-12', '2026-11-12', false],
    ['2026-11-12', '2026-11-13', true],
    // Where only UTC is stated, the hospital's day is not known: 11-12T20:00Z is 05:00 of the 13th in Tokyo.
    ['2026-11-12T20:00:00Z', '2026-11-13', false],
    ['2026-11-12T20:00:00Z', '2026-11-14', true],
    ['2026-11-12', '2026-11-13T08:00:00Z', false],
  ])('beside one of %s, one of %s: %s', (started, other, isNewer) => {
    const ct = headCt('first', 'ada', started);
    const list = { resources: [ct, headCt('other', 'ada', other)], isWhole: true };
    expect(toForecastCt(ct, list)).toEqual({ startedAt: started, newerStartedAt: isNewer ? other : null });
  });

  it('is not spoken of where the time of the forecast’s own CT is not known', () => {
    const list = { resources: [headCt('second', 'ada', SECOND)], isWhole: true };
    for (const started of [undefined, '2026-11-12T09:00:00', 'yesterday']) {
      expect(toForecastCt({ ...own, started }, list)).toBeUndefined();
    }
    expect([toForecastCt(null, list), toForecastCt(undefined, list)]).toEqual([undefined, undefined]);
  });
});

describe('A card of a forecast', () => {
  let hospital: CdsDoor;
  let assessed: Assessment;
  let first: ImagingStudy;
  const second = headCt('second', 'ada', SECOND);
  beforeAll(async () => {
    hospital = await startCdsDoor();
    assessed = await hospital.assessedPatient('ada');
    first = headCt(assessed.study.id, 'ada', FIRST);
  });
  afterAll(() => hospital.close());
  beforeEach(() => {
    hospital.chart = cannotBeAsked;
    hospital.searches.length = 0;
  });

  const OWN_LINE = '- CT of 2026-11-12, 09:00 (+01:00)';
  const NEWER_LINE = '- A newer CT is in the chart: 2026-11-13, 09:00 (+01:00). The forecast rests on the earlier one.';

  /** Its lines about CTs. */
  const linesOf = ({ cards: [card] }: { cards: Card[] }): string[] =>
    card.detail.split('\n').filter((line) => /^- (CT|A newer CT) /.test(line));

  async function view(prefetch: object, patient = 'ada', changes: CallChanges = {}): Promise<string[]> {
    const call = patientView(patient, { prefetch, ...changes });
    return linesOf((await request(hospital.door).post('/cds-services/hemocast-patient').send(call).expect(200)).body);
  }

  const sent = (...studies: readonly ImagingStudy[]) => ({
    riskAssessments: searchset([filedFor(assessed)]),
    imagingStudies: searchset(studies),
    procedures: searchset([{ ...thrombectomy('ada', '2026-11-12T07:00:00Z'), id: 't' }]),
  });

  it('names its CT and the newer one that was sent along, beside the chart and beside a drug', async () => {
    expect(await view(sent(first, second))).toEqual([OWN_LINE, NEWER_LINE]);
    const call = orderHook('order-sign', 'ada', [ENOXAPARIN], { prefetch: sent(second, first) });
    const answer = await request(hospital.door).post('/cds-services/hemocast-orders').send(call).expect(200);
    expect(linesOf(answer.body)).toEqual([OWN_LINE, NEWER_LINE]);
    expect(hospital.searches).toEqual([]);
  });

  it('names its CT alone where no newer one is in the chart', async () => {
    expect(await view(sent(first))).toEqual([OWN_LINE]);
    expect(await view(sent(headCt('before', 'ada', '2026-11-10T09:00:00+01:00'), first))).toEqual([OWN_LINE]);
  });

  it('does not speak of a CT of another patient', async () => {
    expect(await view(sent(first, headCt('second', 'bob', SECOND)))).toEqual([OWN_LINE]);
  });

  it('names the newer CT that the EHR was asked for anyway, and asks for nothing more', async () => {
    const carol = (id: string, started: string): ImagingStudy => headCt(id, 'carol', started);
    const filed = filedForecast({ id: 'r1', study: 'ImagingStudy/s1', patient: 'carol' });
    const chart: readonly Resource[] = [carol('s1', FIRST), carol('s2', SECOND)];
    hospital.chart = async ({ resourceType, parameters }) =>
      chart.filter((one) => one.resourceType === resourceType && (parameters._id ?? one.id) === one.id);
    expect(await view({ riskAssessments: searchset([filed]) }, 'carol')).toEqual([OWN_LINE, NEWER_LINE]);
    expect(hospital.searches.map(({ resourceType, parameters }) => ({ resourceType, ...parameters }))).toEqual([
      { resourceType: 'ImagingStudy', patient: 'carol', modality: 'CT' },
      { resourceType: 'Procedure', patient: 'carol', status: 'completed' },
      { resourceType: 'ImagingStudy', _id: 's1' },
    ]);
  });

  it('names its CT also where the list leaves it out, its modality being unknown', async () => {
    hospital.chart = async ({ parameters }) => (parameters._id === first.id ? [first] : []);
    const uncoded = { ...second, procedureCode: undefined };
    expect(await view(sent(uncoded))).toEqual([OWN_LINE, NEWER_LINE]);
    expect(hospital.searches.map(({ parameters }) => parameters)).toEqual([{ _id: first.id }]);
  });

  it('claims nothing of CTs where the list of them is not known', async () => {
    const refusing = { resourceType: 'OperationOutcome', issue: [{ severity: 'error', code: 'exception' }] };
    const without = { ...sent(), imagingStudies: undefined };
    hospital.chart = async ({ parameters }) => (parameters._id === first.id ? [first, second] : []);
    expect(await view(without)).toEqual([]);
    expect(await view({ ...without, imagingStudies: refusing })).toEqual([]);
    hospital.chart = cannotBeAsked;
    expect(await view(without)).toEqual([]);
  });

  it('names a newer CT also of a page of the list, and claims nothing where that page holds none', async () => {
    const page = (...studies: readonly ImagingStudy[]) => ({
      ...sent(),
      imagingStudies: searchset(studies, { link: [{ relation: 'next', url: 'x' }] }),
    });
    expect(await view(page(first, second))).toEqual([OWN_LINE, NEWER_LINE]);
    expect(await view(page(first))).toEqual([]);
  });

  it('claims nothing where the time of its own CT is not known', async () => {
    expect(await view(sent({ ...first, started: undefined }, second))).toEqual([]);
  });
});
