/** Pixels of another patient are never read: every kind of conflict ends the assessment, whatever else agrees. */
import { describe, expect, it } from '@jest/globals';
import { matchIdentity } from '../../api/assessment/match-identity.ts';
import type { StudyRecord } from '../../api/assessment/ports.ts';
import type { InstanceHeader } from '../../api/imaging/volume.ts';
import { refusalOf } from '../support/refusal.ts';
import { syntheticHead } from '../support/synthetic-head.ts';

type Chart = Pick<StudyRecord, 'studyInstanceUid' | 'patient'>;
const chart: Chart = {
  studyInstanceUid: '1.2.3',
  patient: {
    identifiers: [
      { system: 'urn:oid:1.2.840.99', value: 'MRN-7' },
      { system: 'https://insurer.example', value: 'X-1' },
    ],
    birthDate: '1960-05-01',
    sex: 'female',
  },
};
const same: Partial<InstanceHeader> = {
  studyInstanceUid: '1.2.3',
  patientId: 'MRN-7',
  issuerOfPatientId: undefined,
  patientBirthDate: '19600501',
  patientSex: 'F',
};
const [{ header: base }] = syntheticHead({ slices: 1, matrix: 2 });
const images = (...changes: Partial<InstanceHeader>[]): InstanceHeader[] =>
  [{}, ...changes].map((change) => ({ ...base, ...same, ...change }));
const patient = (change: Partial<Chart['patient']>): Chart => ({ ...chart, patient: { ...chart.patient, ...change } });
/** All slices changed alike. */
const all = (change: Partial<InstanceHeader>): InstanceHeader[] =>
  images(change).map((header) => ({ ...header, ...change }));

describe('Chart and images of the same patient', () => {
  it.each<[string, Chart, InstanceHeader[]]>([
    ['all four attributes', chart, images()],
    ['issuer and system name the same authority', chart, all({ issuerOfPatientId: '1.2.840.99' })],
    ['an issuer the chart does not know: any of its identifiers counts', chart, all({ issuerOfPatientId: 'PACS' })],
    ['spaces around the patient ID', chart, all({ patientId: ' MRN-7 ' })],
    ['the chart knows the year of birth only', patient({ birthDate: '1960' }), images()],
    ['a lower-case sex', chart, all({ patientSex: 'f' })],
  ])('agree: %s', (_, study, headers) => {
    expect(matchIdentity(study, headers)).toEqual([]);
  });
});

describe('A conflict between chart and images', () => {
  it.each<[string, Chart, InstanceHeader[], string]>([
    ['another study', chart, all({ studyInstanceUid: '1.2.4' }), 'study'],
    ['another patient ID', chart, all({ patientId: 'MRN-8' }), 'patientIdentifier'],
    ['an ID that differs only in case', chart, all({ patientId: 'mrn-7' }), 'patientIdentifier'],
    [
      'the ID of the insurer under the issuer of the hospital',
      chart,
      all({ patientId: 'X-1', issuerOfPatientId: '1.2.840.99' }),
      'patientIdentifier',
    ],
    ['another birth date', chart, all({ patientBirthDate: '19600502' }), 'birthDate'],
    ['a birth date outside the year the chart knows', patient({ birthDate: '1961' }), images(), 'birthDate'],
    ['another sex', chart, all({ patientSex: 'M' }), 'sex'],
    ['another sex, male in the chart', patient({ sex: 'male' }), images(), 'sex'],
  ])('is refused and named: %s', (_, study, headers, attribute) => {
    const refusal = refusalOf(() => matchIdentity(study, headers));
    expect(refusal.toRefusal()).toEqual({
      code: 'identity-conflict',
      message: expect.any(String),
      details: { attribute, between: 'chart and images' },
    });
  });
});

describe('A conflict among the images', () => {
  it.each<[Partial<InstanceHeader>, string]>([
    [{ studyInstanceUid: '1.2.4' }, 'study'],
    [{ patientId: 'MRN-8' }, 'patientIdentifier'],
    [{ patientBirthDate: '19600502' }, 'birthDate'],
    [{ patientSex: 'M' }, 'sex'],
  ])('is refused even where one of them fits the chart: %j', (change, attribute) => {
    expect(refusalOf(() => matchIdentity(chart, images(change)))).toMatchObject({
      code: 'identity-conflict',
      details: { attribute, between: 'images' },
    });
  });

  it('is refused for two issuers of the same number', () => {
    const headers = images({ issuerOfPatientId: 'B' }).map((header, i) =>
      i === 0 ? { ...header, issuerOfPatientId: 'A' } : header,
    );
    expect(refusalOf(() => matchIdentity(chart, headers)).details).toEqual({
      attribute: 'patientIdentifier',
      between: 'images',
    });
  });
});

describe('What cannot be compared', () => {
  it.each<[string, Chart, InstanceHeader[]]>([
    ['no patient ID in the images', chart, all({ patientId: undefined })],
    ['an empty patient ID', chart, all({ patientId: ' ' })],
    ['no identifier in the chart', patient({ identifiers: [] }), images()],
    ['no birth date in the images', chart, all({ patientBirthDate: undefined })],
    ['no birth date in the chart', patient({ birthDate: undefined }), images()],
    ['a birth date that is none', chart, all({ patientBirthDate: '0000000' })],
    ['no sex in the images', chart, all({ patientSex: undefined })],
    ['sex O in the images', chart, all({ patientSex: 'O' })],
    ['sex unknown in the chart', patient({ sex: 'unknown' }), images()],
  ])('is flagged, not refused: %s', (_, study, headers) => {
    expect(matchIdentity(study, headers).map(({ code }) => code)).toEqual(['identity-partial']);
  });

  it('does not excuse what can: a wrong sex is refused although the birth date is absent', () => {
    expect(refusalOf(() => matchIdentity(chart, all({ patientBirthDate: undefined, patientSex: 'M' }))).code).toBe(
      'identity-conflict',
    );
  });
});

describe('What a refusal tells', () => {
  it('names the attribute and never its value: no identifier, name or date leaves', () => {
    const refusal = refusalOf(() => matchIdentity(chart, all({ patientId: 'SECRET-1', patientBirthDate: '19700102' })));
    expect(JSON.stringify([refusal.message, refusal.details])).not.toMatch(/SECRET|MRN|1970|1960/);
  });
});
