/** What the app makes of the chart: round trips through the service's own mappings, and charts that someone else wrote. */
import { describe, expect, it } from '@jest/globals';
import type { ImagingStudy } from '@medplum/fhirtypes';
import { toForecastCt } from '../../api/cds/forecast-ct.ts';
import { toForecastObservation } from '../../api/ehr/degraded.ts';
import { toDevice } from '../../api/ehr/device.ts';
import { toMedia, toPictureDocument } from '../../api/ehr/media.ts';
import { toObservation } from '../../api/ehr/observation.ts';
import { toProvenance } from '../../api/ehr/provenance.ts';
import { toRiskAssessment } from '../../api/ehr/risk-assessment.ts';
import { FINDING_KEYS } from '../../api/ehr/ids.ts';
import { CONFOUNDER } from '../../api/ehr/written-report.ts';
import { toFindings } from '../../smart-app/src/chart/findings.ts';
import { chooseForecast, toForecast } from '../../smart-app/src/chart/forecast.ts';
import type { Forecast } from '../../smart-app/src/chart/forecast.ts';
import { dateTimeText } from '../../smart-app/src/chart/fhir-text.ts';
import { toPatientSummary } from '../../smart-app/src/chart/patient.ts';
import { toComparison, toGeneratedImage, toModelName, toOrigin } from '../../smart-app/src/chart/provenance.ts';
import { readFirstScreen } from '../../smart-app/src/chart/read-chart.ts';
import { ctWords } from '../../smart-app/src/chart/newest-ct.ts';
import { lacksCtOf, newerThan, toStudies } from '../../smart-app/src/chart/studies.ts';
import type { Study, StudyList } from '../../smart-app/src/chart/studies.ts';
import { judgeFiled, toWork, usualText } from '../../smart-app/src/chart/work.ts';
import type { Assessment, Work } from '../../smart-app/src/chart/work.ts';
import { EhrError } from '../../smart-app/src/session/launched.ts';
import type { EhrReader } from '../../smart-app/src/session/launched.ts';
import { MODEL } from '../ehr/support/report.ts';
import { PLAIN, written as writeExample } from '../ehr/support/written.ts';
import { disfigured } from '../support/disfigured.ts';

const written = await writeExample();
const { patientReference } = written.report.study;
const resource = toRiskAssessment(written);

describe('A forecast read back from the chart', () => {
  it('says what the service wrote: number, interval, base rate, bands, window and limits', () => {
    const forecast = toForecast(resource, patientReference) as Forecast;
    const { prediction } = written.report.reading;
    const interval = prediction.probabilityInterval!;
    expect(forecast.probabilityPercent).toBe(resource.prediction![0].probabilityDecimal);
    expect(forecast.band).toBe(prediction.riskBand);
    expect(forecast.interval!.lowPercent / 100).toBeCloseTo(interval.low, 3);
    expect(forecast.interval!.highPercent / 100).toBeCloseTo(interval.high, 3);
    expect(forecast.interval!.levelPercent / 100).toBeCloseTo(interval.level, 3);
    expect(forecast.interval!.method).toBe(interval.method);
    expect(forecast.assumedPrevalencePercent! / 100).toBeCloseTo(prediction.assumedPrevalence, 3);
    expect(forecast.bandBounds!.highPercent / 100).toBeCloseTo(prediction.riskBandBounds.high, 3);
    // The leftover contrast once: the longer note says all that the flag says.
    const others = written.report.flags.filter(({ code }) => code !== 'contrast-can-look-like-blood');
    expect(others.length).toBe(written.report.flags.length - 1);
    expect(forecast.limits).toEqual([CONFOUNDER, ...others.map(({ message }) => message)]);
    expect([...forecast.limits, ...forecast.notes].filter((text) => /contrast/i.test(text))).toEqual([CONFOUNDER]);
    expect(forecast.studyReference).toBe(`ImagingStudy/${written.report.study.reference.id}`);
    expect(forecast.observationReferences).toHaveLength(FINDING_KEYS.length);
  });

  it('says the same where the chart keeps it as an Observation', async () => {
    const plain = await writeExample(undefined, PLAIN);
    const observation = toForecastObservation(plain);
    const { reference, observationReferences, notes, ...said } = toForecast(observation, patientReference) as Forecast;
    expect(said).toEqual({
      ...(toForecast(resource, patientReference) as Forecast),
      reference: undefined,
      observationReferences: undefined,
      notes: undefined,
    });
    expect(said.window!.end).toBeDefined();
    expect(reference).toBe(`Observation/${observation.id}`);
    expect(observationReferences).toHaveLength(FINDING_KEYS.length);
    expect(notes.join(' ')).toContain('Measured on the initial CT');
    const inOtherUnits = { ...observation, valueQuantity: { value: 0.714, unit: '1', code: '1' } };
    expect((toForecast(inOtherUnits, patientReference) as Forecast).probabilityPercent).toBeUndefined();
    expect(toForecast(toObservation(plain, 'side'), patientReference)).toBeUndefined();
  });

  it('knows that its CT is filed under a record that was merged into this patient’s', () => {
    const study = { ...written.report.study, mergedPatientReferences: ['Patient/before'] };
    const merged = toRiskAssessment({ ...written, report: { ...written.report, study } });
    expect((toForecast(merged, patientReference) as Forecast).isOfMergedRecord).toBe(true);
    expect((toForecast(resource, patientReference) as Forecast).isOfMergedRecord).toBe(false);
  });

  it('is read back as superseding the one it supersedes', () => {
    const revised = toRiskAssessment({
      ...written,
      report: { ...written.report, revision: 2, supersedes: 'RiskAssessment/a' },
    });
    expect((toForecast(revised, patientReference) as Forecast).supersedes).toBe('RiskAssessment/a');
    const plain = toForecastObservation({ ...written, report: { ...written.report, supersedes: 'Observation/a' } });
    expect((toForecast(plain, patientReference) as Forecast).supersedes).toBe('Observation/a');
  });

  it('of another patient is never a forecast of this one', () => {
    expect(toForecast(resource, 'Patient/someone-else')).toBe('foreign');
    const absolute = { ...resource, subject: { reference: `https://ehr.example/fhir/${patientReference}` } };
    expect(toForecast(absolute, patientReference)).toMatchObject({ status: 'preliminary' });
  });

  it.each([71.4, 0, 100])('keeps a stated %s %%', (probabilityDecimal) => {
    const changed = { ...resource, prediction: [{ ...resource.prediction![0], probabilityDecimal }] };
    expect((toForecast(changed, patientReference) as Forecast).probabilityPercent).toBe(probabilityDecimal);
  });

  it.each([-1, 100.1, Number.NaN, '71', null])('shows no number where the chart states %s', (probabilityDecimal) => {
    const changed = { ...resource, prediction: [{ ...resource.prediction![0], probabilityDecimal }] };
    expect((toForecast(changed, patientReference) as Forecast).probabilityPercent).toBeUndefined();
  });

  it.each([
    null,
    1,
    'text',
    {},
    { resourceType: 'RiskAssessment' },
    { resourceType: 'RiskAssessment', id: 'x', code: 7 },
  ])('is not made of %j', (value) => expect(toForecast(value, patientReference)).toBeUndefined());
});

describe('The measurements', () => {
  it('are shown with value and unit, or with the reason why there is none', () => {
    const findings = toFindings(
      FINDING_KEYS.map((key) => toObservation(written, key)),
      patientReference,
    );
    expect(findings.map(({ key }) => key)).toEqual([...FINDING_KEYS]);
    for (const { value, absentReason } of findings) expect(value === undefined).toBe(absentReason !== undefined);
    expect(findings[0].value).toMatch(/^[\d.]+ mL$/);
  });

  it('of another patient and withdrawn ones are left out', () => {
    const observation = toObservation(written, 'side');
    expect(toFindings([observation], 'Patient/other')).toEqual([]);
    expect(toFindings([{ ...observation, status: 'entered-in-error' }], patientReference)).toEqual([]);
  });
});

describe('Which forecast counts', () => {
  const forecast = (id: string, madeAt: string, more: Partial<Forecast> = {}): Forecast => ({
    ...(toForecast(resource, patientReference) as Forecast),
    reference: `RiskAssessment/${id}`,
    madeAt,
    ...more,
  });
  const old = forecast('old', '2026-01-01T00:00:00Z');
  const revised = forecast('new', '2026-01-02T00:00:00Z', { supersedes: 'RiskAssessment/old' });

  it('is the newest that is neither superseded nor withdrawn', () => {
    expect(chooseForecast([old, revised])).toMatchObject({ shown: revised, standing: 'current', current: revised });
    const withdrawn = { ...revised, status: 'entered-in-error' };
    expect(chooseForecast([old, withdrawn])).toMatchObject({ shown: old, standing: 'current' });
    expect(chooseForecast([{ ...old, status: 'entered-in-error' }]).shown).toBeUndefined();
  });

  it('is never one that was marked as superseded, also when the one after it was withdrawn', () => {
    const marked = { ...old, status: 'cancelled' };
    const withdrawn = { ...revised, status: 'entered-in-error' };
    const chosen = chooseForecast([marked, withdrawn]);
    expect(chosen.shown).toBeUndefined();
    expect(chosen.all.map(({ standing }) => standing)).toEqual(['withdrawn', 'superseded']);
    expect(chooseForecast([marked, revised], { riskAssessment: marked.reference })).toMatchObject({
      shown: marked,
      standing: 'superseded',
    });
  });

  it.each(['registered', 'unknown', 'draft'])('is never one whose status is %s, as with the cards', (status) => {
    const [older, odd] = [forecast('older', '2026-03-01'), forecast('odd', '2026-03-02', { status })];
    expect(chooseForecast([older, odd])).toMatchObject({ shown: older, standing: 'current', current: older });
    expect(chooseForecast([odd])).toMatchObject({ shown: undefined, current: undefined });
    const asked = chooseForecast([odd], { riskAssessment: odd.reference });
    expect(asked).toMatchObject({ shown: odd, standing: 'unsettled', current: undefined });
  });

  it('is one only, also where a later assessment does not name the earlier one', () => {
    const later = forecast('later', '2026-01-03T00:00:00Z');
    expect(chooseForecast([old, later]).all.map(({ standing }) => standing)).toEqual(['current', 'superseded']);
  });

  it('is replaced by no forecast from another CT: the card’s stays current, and the newest is shown unasked', () => {
    const other = forecast('other', '2026-01-03T00:00:00Z', { studyReference: 'ImagingStudy/day-after' });
    expect(chooseForecast([old, other])).toMatchObject({ shown: other, standing: 'current' });
    expect(chooseForecast([old, other], { riskAssessment: old.reference })).toMatchObject({
      shown: old,
      standing: 'current',
      current: old,
    });
  });

  it('is that of the CT which a card names, where the card names no forecast', () => {
    const other = forecast('other', '2026-01-03T00:00:00Z', { studyReference: 'ImagingStudy/day-after' });
    expect(chooseForecast([old, other], { imagingStudy: old.studyReference }).shown).toBe(old);
    expect(chooseForecast([old, other], { imagingStudy: 'ImagingStudy/unread' }).shown).toBe(other);
  });

  it('stays said where an older one was asked for', () => {
    expect(chooseForecast([revised, old], { riskAssessment: old.reference })).toMatchObject({
      shown: old,
      standing: 'superseded',
      current: revised,
    });
  });

  it('counts until its window ends, on the last place on earth where it states a day only', () => {
    const ending = (end: string): Forecast =>
      forecast('a', '2026-01-01T00:00:00Z', { window: { start: undefined, end } });
    const standing = (end: string, now: string): string =>
      chooseForecast([ending(end)], undefined, new Date(now)).standing;
    expect(standing('2026-01-04T01:00:00+01:00', '2026-01-03T23:59:59Z')).toBe('current');
    expect(standing('2026-01-04T01:00:00+01:00', '2026-01-04T00:00:01Z')).toBe('past');
    expect(standing('2026-01-04', '2026-01-05T11:00:00Z')).toBe('current');
    expect(standing('2026-01-04', '2026-01-05T13:00:00Z')).toBe('past');
    expect(chooseForecast([ending('2026-01-04')]).standing).toBe('current');
  });

  it('that states no end it can be held to has ended 72 h after it was made', () => {
    const standing = (end: string | undefined, madeAt: string, now: string): string =>
      chooseForecast([forecast('a', madeAt, { window: { start: undefined, end } })], undefined, new Date(now)).standing;
    for (const end of [undefined, 'soon']) {
      expect(standing(end, '2026-01-03T12:00:00Z', '2026-01-06T11:59:59Z')).toBe('current');
      expect(standing(end, '2026-01-03T12:00:00Z', '2026-01-06T12:00:01Z')).toBe('past');
      expect(standing(end, 'some day', '2026-01-03T12:00:00Z')).toBe('past');
    }
  });

  it('that is past gives way to one from another CT that is not, though that was made before', () => {
    const window = { start: undefined, end: '2026-01-04T00:00:00Z' };
    const past = forecast('past', '2026-01-05T00:00:00Z', { window });
    const other = forecast('other', '2026-01-03T00:00:00Z', {
      studyReference: 'ImagingStudy/other',
      window: undefined,
    });
    const now = new Date('2026-01-06T00:00:00Z');
    expect(chooseForecast([past, other], undefined, now)).toMatchObject({ shown: other, current: other });
    expect(chooseForecast([past, other], { riskAssessment: past.reference }, now)).toMatchObject({
      standing: 'past',
      current: other,
    });
    expect(chooseForecast([past], undefined, now)).toMatchObject({ shown: past, standing: 'past', current: undefined });
  });

  it('counts no longer where a list of the studies, read since it was found, leaves out its CT', () => {
    const other = forecast('other', '2025-12-31T00:00:00Z', { studyReference: 'ImagingStudy/other' });
    const standingIn = (standing: string[] | undefined, readAt: number | undefined, one = old): string => {
      const lacksCt = (each: Forecast): boolean => lacksCtOf(each, { standing, readAt }, 1_000);
      return chooseForecast([one, other], { riskAssessment: one.reference }, undefined, lacksCt).standing;
    };
    expect(standingIn([old.studyReference!], 2_000)).toBe('current');
    expect(standingIn(['ImagingStudy/other'], 2_000)).toBe('ungrounded');
    expect(standingIn([], 1_000)).toBe('ungrounded');
    expect(standingIn([], 999)).toBe('current'); // a list from before: the CT may have come since
    expect(standingIn(undefined, undefined)).toBe('current');
    expect(standingIn([], 2_000, { ...old, isOfMergedRecord: true })).toBe('current');
    expect(standingIn([], 2_000, { ...old, studyReference: undefined })).toBe('current');
    const lacksOwn = (each: Forecast): boolean => each === old;
    expect(chooseForecast([old, other], {}, undefined, lacksOwn)).toMatchObject({ shown: other, standing: 'current' });
  });

  it('is not changed by a card that names what this chart does not hold', () => {
    expect(chooseForecast([old], { riskAssessment: 'RiskAssessment/of-someone-else' })).toMatchObject({
      shown: old,
      standing: 'current',
    });
  });
});

const risk = (id: string): object => ({ ...resource, id });
const observation = (id: string): object => ({ ...toForecastObservation(written), id });

/** An EHR that answers each search with a list, or with a status. */
function sessionOf(risks: unknown, observations: unknown): Parameters<typeof readFirstScreen>[0] {
  const ehr: EhrReader = {
    read: async () => ({ resourceType: 'Patient', id: patientReference.split('/')[1] }),
    search: async (path) => {
      const [type] = path.split('?');
      const answer = type === 'Observation' ? observations : risks;
      if (typeof answer === 'number') throw new EhrError(answer, type);
      return answer as unknown[];
    },
    readBytes: async () => new ArrayBuffer(0),
  };
  return { ehr, patientReference, windowEnds: false };
}

const [OWN, OWN_TEXT, LATER] = ['2026-03-10T01:05:00+01:00', '10 Mar 2026, 01:05 (UTC+01:00)', '2026-03-11T09:00:00Z'];
const ct = (id: string, startedAt: string | undefined): Study => ({
  reference: `ImagingStudy/${id}`,
  startedAt,
  description: 'CT head',
  studyInstanceUid: undefined,
});
const workOn = (kind: 'open' | 'refused' | 'kept'): Work => ({
  kind,
  assessment: { imagingStudy: 'ImagingStudy/other' } as Assessment,
});
const newerCt = (fate: string): string =>
  `A newer CT is in the chart: 11 Mar 2026, 09:00 (UTC)${fate}. The forecast rests on the earlier one.`;

describe('The rest of the chart', () => {
  it('gives times on the clock they were written with, zone stated', () => {
    expect(dateTimeText('2026-03-10T01:05:00+01:00')).toBe('10 Mar 2026, 01:05 (UTC+01:00)');
    expect(dateTimeText('2026-03-10T01:05:00.250Z')).toBe('10 Mar 2026, 01:05 (UTC)');
    expect(dateTimeText('2026-03')).toBe('Mar 2026');
    expect(dateTimeText('yesterday')).toBeUndefined();
  });

  it('shows no other patient than the launch’s', () => {
    const patient = {
      resourceType: 'Patient',
      id: 'a',
      name: [{ family: 'Doe', given: ['Jane'] }],
      birthDate: '1955-06-15',
    };
    expect(toPatientSummary(patient, 'Patient/b', new Date(2026, 0, 1))).toBeUndefined();
    expect(toPatientSummary(patient, 'Patient/a', new Date(2026, 5, 14))).toMatchObject({
      name: 'DOE, Jane',
      ageYears: 70,
    });
    expect(toPatientSummary(patient, 'Patient/a', new Date(2026, 5, 15))).toMatchObject({ ageYears: 71 });
  });

  it('knows a CT begun after the one a forecast rests on, across time zones', () => {
    const study = (id: string, started: string, code = 'CT'): object => ({
      resourceType: 'ImagingStudy',
      id,
      status: 'available',
      subject: { reference: 'Patient/a' },
      modality: [{ code }],
      started,
    });
    const first = study('first', '2026-03-10T01:05:00+01:00');
    const studies = (...more: object[]): ReturnType<typeof toStudies> => toStudies([first, ...more], 'Patient/a');
    expect(newerThan(studies(study('later', '2026-03-10T00:30:00Z')), 'ImagingStudy/first')?.reference).toBe(
      'ImagingStudy/later',
    );
    expect(newerThan(studies(study('earlier', '2026-03-10T01:30:00+03:00')), 'ImagingStudy/first')).toBeUndefined();
    expect(newerThan(studies(study('mr', '2026-03-11T00:30:00Z', 'MR')), 'ImagingStudy/first')).toBeUndefined();
    expect(newerThan(studies(), undefined)).toBeUndefined();
  });

  it.each([
    ['2026-03-11', '2026-03-10T23:50:00+01:00', true, 'the next day by the same clock'],
    ['2026-03-10', '2026-03-10T01:05:00+01:00', false, 'the same day'],
    ['2026-03-10T01:05:00+01:00', '2026-03-10', false, 'a time of the day that is all that is known'],
    ['2026-03-11T00:10:00+01:00', '2026-03-10', true, 'the next day, after a day'],
    ['2026-03-11', '2026-03-10T23:50:00Z', false, 'the next day beside UTC, of whose hospital the clock is not known'],
    ['2026-04', '2026-03-10T01:05:00+01:00', true, 'the next month'],
    ['2026-03-11T09:00:00', '2026-03-10T01:05:00+01:00', false, 'a time without zone'],
  ])(
    'takes a CT of %s for newer than one of %s only where that is certain, as the card does: %s (%s)',
    (started, own, isNewer) => {
      const study = (id: string, at: string): ImagingStudy => ({
        resourceType: 'ImagingStudy',
        id,
        status: 'available',
        subject: { reference: 'Patient/a' },
        modality: [{ code: 'CT' }],
        started: at,
      });
      const both = [study('own', own), study('other', started)];
      expect(newerThan(toStudies(both, 'Patient/a'), 'ImagingStudy/own') !== undefined).toBe(isNewer);
      const card = toForecastCt(both[0], { resources: both, isWhole: true });
      expect(card?.newerStartedAt).toBe(isNewer ? started : null);
    },
  );

  it.each<[string, Partial<StudyList>, Work | undefined, string]>([
    ['is not read yet', { studies: undefined }, undefined, 'Looking for newer CT studies …'],
    [
      'holds no other',
      { studies: [ct('own', OWN)] },
      undefined,
      `The forecast rests on the CT of ${OWN_TEXT}, the newest.`,
    ],
    [
      'holds an earlier one',
      { studies: [ct('own', OWN), ct('other', '2026-03-09T01:05:00+01:00')] },
      undefined,
      `The forecast rests on the CT of ${OWN_TEXT}, the newest.`,
    ],
    ...[undefined, 'soon', '2026-03-10', '2026'].map((started): [string, Partial<StudyList>, undefined, string] => [
      `holds one of ${started}`,
      { studies: [ct('own', OWN), ct('other', started)] },
      undefined,
      `The forecast rests on the CT of ${OWN_TEXT}, the newest whose time is known.`,
    ]),
    ['holds a newer one', { studies: [ct('other', LATER), ct('own', OWN)] }, undefined, newerCt('')],
    [
      'holds a newer one, under way',
      { studies: [ct('other', LATER), ct('own', OWN)] },
      workOn('open'),
      newerCt(', being assessed'),
    ],
    [
      'holds a newer one, refused',
      { studies: [ct('other', LATER), ct('own', OWN)] },
      workOn('refused'),
      newerCt(', not assessed'),
    ],
    [
      'holds a newer one, kept in shadow',
      { studies: [ct('other', LATER), ct('own', OWN)] },
      workOn('kept'),
      newerCt(''),
    ],
    [
      'does not tell when the own one began',
      { studies: [ct('other', LATER), ct('own', undefined)] },
      undefined,
      'Whether a newer CT is in the chart is not known: no time is stated for the CT of the forecast.',
    ],
    [
      'does not hold the own one',
      { studies: [ct('other', LATER)] },
      undefined,
      'Whether a newer CT is in the chart is not known: no time is stated for the CT of the forecast.',
    ],
    [
      'could not be read',
      { studies: [ct('own', OWN)], problem: 'The EHR answered 503.' },
      undefined,
      'The CT studies could not be read: whether a newer CT is in the chart is not known. The EHR answered 503.',
    ],
  ])(
    'says whether the forecast’s CT is the newest, and no more than the list tells that %s',
    (_list, list, work, text) => {
      const whole = { studies: undefined, standing: undefined, readAt: undefined, problem: undefined, ...list };
      const words = ctWords(whole, 'ImagingStudy/own', work);
      expect(words.text).toBe(text);
      expect(words.warns).toBe(/newer CT is in the chart/.test(text));
    },
  );

  it('says how long an assessment takes as the service measured it, or not at all', () => {
    const text = (time: string): string => `The latest ones here took about ${time} once their turn had come.`;
    expect(usualText(400)).toBe(text('1 second'));
    expect(usualText(2_600)).toBe(text('3 seconds'));
    expect(usualText(61_000)).toBe(text('61 seconds'));
    expect(usualText(130_000)).toBe(text('2 minutes'));
    expect(usualText(null)).toBe('');
  });

  it('shows the picture of both CTs of this patient and study only, while it is current', async () => {
    const { patientReference, reference } = written.report.study;
    const study = `ImagingStudy/${reference.id}`;
    const document = toPictureDocument(await writeExample(undefined, PLAIN));
    const pictureOf = (changes: object, of = study): unknown =>
      toComparison([{ ...document, ...changes }], patientReference, of)?.binaryReference;
    expect(pictureOf({})).toBe('Binary/c');
    expect(pictureOf({ subject: { reference: 'Patient/other' } })).toBeUndefined();
    expect(pictureOf({ context: { related: [{ reference: 'ImagingStudy/other' }] } })).toBeUndefined();
    expect(pictureOf({ context: {} })).toBeUndefined();
    expect(toComparison([{ ...document, context: { related: [{}] } }], patientReference, undefined)).toBeUndefined();
    for (const status of ['entered-in-error', 'superseded', undefined]) expect(pictureOf({ status })).toBeUndefined();
    const [{ attachment }] = document.content!;
    const withAttachment = (changes: object): object => ({ content: [{ attachment: { ...attachment, ...changes } }] });
    for (const changes of [
      { hash: undefined },
      { contentType: 'image/svg+xml' },
      { url: 'https://elsewhere.example/x' },
    ]) {
      expect(pictureOf(withAttachment(changes))).toBeUndefined();
    }
  });

  it.each<[string, unknown, unknown, string[], string | undefined]>([
    ['both', [risk('r')], [observation('o')], ['Observation/o', 'RiskAssessment/r'], undefined],
    ['no RiskAssessments, because the EHR does not know them', 404, [observation('o')], ['Observation/o'], undefined],
    ['RiskAssessments beside Observations that were refused', [risk('r')], 403, ['RiskAssessment/r'], 'answered 403'],
    ['none, and Observations were refused', [], 403, [], 'answered 403'],
  ])('reads %s', async (_what, risks, observations, found, problem) => {
    const screen = await readFirstScreen(sessionOf(risks, observations), {});
    expect(screen.chosen.all.map(({ forecast }) => forecast.reference).sort()).toEqual(found);
    if (problem === undefined) expect(screen.problem).toBeUndefined();
    else expect(screen.problem).toContain(problem);
  });

  it('keeps the Observations of the look before where they cannot be read, and says that they are old', async () => {
    const before = await readFirstScreen(sessionOf([], [observation('o')]), {});
    const screen = await readFirstScreen(sessionOf([], 500), {}, before);
    expect(screen.chosen.shown?.reference).toBe('Observation/o');
    expect(screen.problem).toMatch(/answered 500.*read earlier/);
  });

  it('takes no EHR that held RiskAssessments for one that does not know them', async () => {
    const before = await readFirstScreen(sessionOf([risk('r')], []), {});
    await expect(readFirstScreen(sessionOf(404, []), {}, before)).rejects.toThrow('answered 404 for RiskAssessment');
  });

  it.each<[string, unknown, unknown, string]>([
    ['RiskAssessments were refused', 403, [observation('o')], 'answered 403 for RiskAssessment'],
    ['neither form can be read', 404, 403, 'answered 403 for Observation'],
    ['the EHR answers neither', 500, 500, 'answered 500 for RiskAssessment'],
  ])('is an error where %s', async (_what, risks, observations, words) => {
    await expect(readFirstScreen(sessionOf(risks, observations), {})).rejects.toThrow(words);
  });

  it('misses a filed forecast only in a chart that was read as a whole since, and not for ever', () => {
    const createdAt = '2026-01-10T10:00:00Z';
    const seenAt = Date.parse(createdAt) + 5_000;
    const assessment = { createdAt, resources: { riskAssessment: 'RiskAssessment/r' } } as Assessment;
    const work = { kind: 'filed', assessment, seenAt } as const;
    const whole = { at: seenAt, isWhole: true };
    expect(judgeFiled(work, ['RiskAssessment/r'], whole)).toBe('listed');
    expect(judgeFiled(work, ['RiskAssessment/other'], whole)).toBe('absent');
    expect(judgeFiled(work, [], { ...whole, at: seenAt - 1 })).toBe('not-known');
    expect(judgeFiled(work, [], { ...whole, isWhole: false })).toBe('not-known');
    const weekLater = seenAt + 7 * 86_400_000;
    expect(judgeFiled({ ...work, seenAt: weekLater }, [], { at: weekLater, isWhole: true })).toBe('listed');
  });

  it('follows the newest work of this patient only', () => {
    const item = (more: object): Assessment =>
      ({ status: 'active', patient: 'Patient/a', updatedAt: '2026-01-01T00:00:00Z', ...more }) as Assessment;
    expect(toWork([item({ patient: 'Patient/b' })], 'Patient/a').kind).toBe('idle');
    expect(toWork([item({}), item({ status: 'refused', updatedAt: '2026-01-02T00:00:00Z' })], 'Patient/a').kind).toBe(
      'refused',
    );
    expect(toWork([item({ status: 'cancelled' })], 'Patient/a').kind).toBe('idle');
    const done = { status: 'completed', flags: [], withdrawal: null };
    expect(toWork([item(done)], 'Patient/a').kind).toBe('filed');
    expect(toWork([item({ ...done, flags: [{ code: 'shadow-operation' }] })], 'Patient/a').kind).toBe('kept');
    expect(toWork([item({ ...done, withdrawal: { code: 'study-withdrawn' } })], 'Patient/a').kind).toBe('idle');
  });
});

/** Undefined, or of the kind that it is where nothing is wrong, all the way down. */
function isOfKind(value: unknown, model: unknown): boolean {
  if (value === undefined || model === undefined) return value !== null;
  if (Array.isArray(model)) return Array.isArray(value) && value.every((item) => isOfKind(item, model[0]));
  if (typeof model !== 'object' || model === null) return typeof value === typeof model;
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).every(([key, item]) => isOfKind(item, (model as Record<string, unknown>)[key]));
}

const plain = await writeExample(undefined, PLAIN);

describe('A chart with any one field of another kind', () => {
  const studyReference = `ImagingStudy/${written.report.study.reference.id}`;
  const id = { resourceType: 'RiskAssessment', id: 'r' } as const;
  const patient = {
    ...{ resourceType: 'Patient', id: 'p', birthDate: '1955-06-15', gender: 'female', deceasedBoolean: false },
    name: [{ use: 'official', family: 'Doe', given: ['Jane'] }],
    identifier: [{ type: { coding: [{ code: 'MR' }] }, value: '42' }],
  };
  const study = {
    ...{ resourceType: 'ImagingStudy', id: 's', status: 'available', subject: { reference: 'Patient/p' } },
    ...{ started: '2026-03-10T01:05:00Z', description: 'CT head', modality: [{ code: 'CT' }] },
    identifier: [{ system: 'urn:dicom:uid', value: 'urn:oid:2.25.1' }],
  };
  it.each<[string, object, (value: unknown) => unknown]>([
    ['forecast', { ...resource, ...id }, (value) => toForecast(value, patientReference)],
    ['forecast as an Observation', toForecastObservation(plain), (value) => toForecast(value, patientReference)],
    ['measurement', toObservation(written, 'hyperdense-volume'), (value) => toFindings([value], patientReference)],
    ['origin', toProvenance(written), (value) => toOrigin([value], written.references.riskAssessment)],
    ['model', { ...toDevice(MODEL), id: 'd' }, toModelName],
    [
      'generated CT',
      toMedia(written, 'follow-up'),
      (value) => toGeneratedImage([value], patientReference, studyReference),
    ],
    ['picture', toPictureDocument(plain), (value) => toComparison([value], patientReference, studyReference)],
    ['patient', patient, (value) => toPatientSummary(value, 'Patient/p', new Date(2026, 5, 15))],
    ['CT study', study, (value) => toStudies([value], 'Patient/p')],
  ])('is read all the same, or as not holding it: %s', (_what, whole, read) => {
    const model = read(whole);
    expect(model).toBeDefined();
    const fields = [...disfigured(whole)];
    expect(fields.length).toBeGreaterThan(50);
    const wrong = fields.filter(([, value]) => {
      const found = read(value);
      return found !== 'foreign' && !isOfKind(found, model);
    });
    expect(wrong.map(([field]) => field)).toEqual([]);
  });
});
