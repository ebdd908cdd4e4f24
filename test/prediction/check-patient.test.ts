/** Adults, at most 24 h after the thrombectomy; what is only unknown is said, not refused. */
import { describe, expect, it } from '@jest/globals';
import type { InstanceHeader } from '../../api/imaging/volume.ts';
import { checkPatient, type PatientCheckInput } from '../../api/prediction/check-patient.ts';
import { refusalOf } from '../support/refusal.ts';
import { syntheticHead } from '../support/synthetic-head.ts';

const [{ header: base }] = syntheticHead({ slices: 1, matrix: 2 });
const SCAN = '2026-03-02T09:20:00+01:00';
const ENDED = '2026-03-02T08:51:00+01:00';

interface Given {
  readonly birthDate?: string;
  readonly endedAt?: string;
  readonly thrombectomy?: boolean;
  readonly header?: Partial<InstanceHeader>;
  readonly scan?: string;
  readonly chart?: boolean;
}

/** A chart that knows everything, less or other than what is given. */
function input(given: Given): PatientCheckInput {
  const { birthDate, endedAt } = { birthDate: '1960-05-01', endedAt: ENDED, ...given };
  const thrombectomy = given.thrombectomy === false ? undefined : { endedAt };
  return {
    study: given.chart === false ? undefined : { patient: { birthDate }, thrombectomy },
    headers: [{ ...base, ...given.header }],
    initialCtAt: 'scan' in given ? given.scan : SCAN,
  };
}
const flagsOf = (given: Given): string[] => checkPatient(input(given)).map(({ code }) => code);
const refusal = (given: Given): unknown => refusalOf(() => checkPatient(input(given))).toRefusal();

describe('Age', () => {
  it.each<[string, Given]>([
    ['the day before the 18th birthday', { birthDate: '2008-03-03' }],
    ['born in a month that makes 17 for certain', { birthDate: '2008-04' }],
    ['born in a year that makes 17 for certain', { birthDate: '2009' }],
    ['no chart, birth date in the images', { chart: false, header: { patientBirthDate: '20100101' } }],
    ['no birth date anywhere, age in the images', { birthDate: undefined, header: { patientAgeYears: 17 } }],
  ])('under 18 is refused: %s', (_, given) => {
    expect(refusal(given)).toMatchObject({ code: 'patient-under-18', details: { minimumAgeYears: 18 } });
  });

  it.each<[string, Given, string[]]>([
    ['the 18th birthday itself', { birthDate: '2008-03-02' }, []],
    ['born in the month of the 18th birthday', { birthDate: '2008-03' }, ['age-unknown']],
    ['born in the year of the 18th birthday', { birthDate: '2008' }, ['age-unknown']],
    ['no birth date and no age', { birthDate: undefined }, ['age-unknown']],
    ['a birth date that is none', { birthDate: '1960-13-45' }, ['age-unknown']],
    ['no birth date, age 70 in the images', { birthDate: undefined, header: { patientAgeYears: 70 } }, []],
    ['the chart before the images', { birthDate: '1960-05-01', header: { patientBirthDate: '20200101' } }, []],
  ])('is decided or flagged: %s', (_, given, flags) => {
    expect(flagsOf(given)).toEqual(flags);
  });

  it('is counted to the day of the scan, not of the request', () => {
    expect(flagsOf({ birthDate: '2008-03-02', scan: SCAN })).toEqual([]);
    expect(refusal({ birthDate: '2008-03-02', scan: '2026-03-01T12:00:00+01:00' })).toMatchObject({
      code: 'patient-under-18',
    });
  });
});

describe('Time since the thrombectomy', () => {
  it('of 24 h and a minute is refused, of exactly 24 h is not', () => {
    expect(flagsOf({ scan: '2026-03-03T08:51:00+01:00' })).toEqual([]);
    expect(refusal({ scan: '2026-03-03T08:54:00+01:00' })).toEqual({
      code: 'too-long-after-procedure',
      message: expect.any(String),
      details: { hoursAfterProcedure: 24.1, limitHours: 24 }, // 24.05 h
    });
  });

  it('is compared across time zones', () => {
    expect(flagsOf({ endedAt: '2026-03-02T07:51:00Z', scan: '2026-03-03T08:51:00+01:00' })).toEqual([]);
    expect(refusal({ endedAt: '2026-03-02T07:51:00Z', scan: '2026-03-03T08:51:00Z' })).toMatchObject({
      details: { hoursAfterProcedure: 25 },
    });
  });

  it('of a scanner that states no time zone is read in that of the chart', () => {
    expect(flagsOf({ scan: '2026-03-03T08:50:00' })).toEqual([]);
    expect(refusal({ scan: '2026-03-03T09:51:00' })).toMatchObject({ details: { hoursAfterProcedure: 25 } });
  });

  it.each<[string, Given, string[]]>([
    ['no thrombectomy in the chart', { thrombectomy: false }, ['procedure-unknown', 'window-from-ct']],
    ['its end not stated', { endedAt: undefined }, ['window-from-ct']],
    ['its end not readable', { endedAt: 'yesterday' }, ['window-from-ct']],
    ['the scan has no time', { scan: undefined, header: { patientAgeYears: 60 } }, ['time-since-procedure-unknown']],
    ['only the day of the scan is known, perhaps 24 h later', { scan: '2026-03-03' }, ['time-since-procedure-unknown']],
    [
      'the scan was taken before the procedure ended',
      { scan: '2026-03-02T08:00:00+01:00' },
      ['time-since-procedure-unknown'],
    ],
    ['only the day of the procedure is known', { endedAt: '2026-03-02' }, ['time-since-procedure-unknown']],
  ])('is flagged where it cannot be vouched for: %s', (_, given, flags) => {
    expect(flagsOf(given)).toEqual(flags);
  });

  it('of a scan certainly later than a day after a procedure known to the month is refused', () => {
    expect(refusal({ endedAt: '2026-01' })).toMatchObject({ code: 'too-long-after-procedure' });
  });
});
