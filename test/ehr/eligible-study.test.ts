/** The CT that nobody had to name: the first plain head CT within 72 h after the latest thrombectomy. */
import { describe, expect, it } from '@jest/globals';
import type { ImagingStudy, Procedure } from '@medplum/fhirtypes';
import { findEligibleStudy } from '../../api/ehr/eligible-study.ts';
import { headCt, thrombectomy } from '../cds/support.ts';

const END = '2026-11-12T08:00:00Z';
const PROCEDURE = thrombectomy('p', END);
const ct = (id: string, started: string, changes: Partial<ImagingStudy> = {}): ImagingStudy =>
  headCt(id, 'p', started, changes);
const FIRST = ct('first', '2026-11-12T09:00:00Z');

const coded = (system: string, code: string): Partial<ImagingStudy> => ({
  procedureCode: [{ coding: [{ system, code }] }],
});
const series = (modality: string, site?: string) => ({
  uid: '1.2.3',
  modality: { system: 'http://dicom.nema.org/resources/ontology/DCM', code: modality },
  ...(site !== undefined && { bodySite: { system: 'http://snomed.info/sct', code: site } }),
});

describe('The eligible study', () => {
  it.each<[string, ImagingStudy[], Procedure[], string | undefined]>([
    ['is the first CT after the thrombectomy', [ct('second', '2026-11-13T09:00:00Z'), FIRST], [PROCEDURE], 'first'],
    ['is not one before it', [ct('before', '2026-11-12T07:00:00Z')], [PROCEDURE], undefined],
    ['is not one more than 72 h after it', [ct('late', '2026-11-15T08:01:00Z')], [PROCEDURE], undefined],
    ['needs a thrombectomy', [FIRST], [], undefined],
    ['needs a completed one', [FIRST], [{ ...PROCEDURE, status: 'not-done' }], undefined],
    ['needs one that is coded, not only named', [FIRST], [{ ...PROCEDURE, code: { text: 'Thrombectomy' } }], undefined],
    ['needs one that is dated', [FIRST], [{ ...PROCEDURE, performedPeriod: undefined }], undefined],
    [
      'belongs to the latest of several thrombectomies',
      [ct('old', '2026-11-01T09:00:00Z'), FIRST],
      [thrombectomy('p', '2026-11-01T08:00:00Z'), PROCEDURE],
      'first',
    ],
    ['is dated', [{ ...FIRST, started: undefined }], [PROCEDURE], undefined],
    ['may be dated by the day alone', [ct('day', '2026-11-12')], [PROCEDURE], 'day'],
    ['is not a withdrawn one', [{ ...FIRST, status: 'entered-in-error' }], [PROCEDURE], undefined],
    ['is not a cancelled one', [{ ...FIRST, status: 'cancelled' }], [PROCEDURE], undefined],
    ['is a CT', [ct('mr', '2026-11-12T09:00:00Z', { modality: [{ code: 'MR' }] })], [PROCEDURE], undefined],
    [
      'is coded without contrast (CPT)',
      [{ ...FIRST, ...coded('http://www.ama-assn.org/go/cpt', '70450') }],
      [PROCEDURE],
      'first',
    ],
    ['is not coded with contrast', [{ ...FIRST, ...coded('http://loinc.org', '24727-0') }], [PROCEDURE], undefined],
    [
      'is not coded as another part of the body',
      [{ ...FIRST, ...coded('http://www.ama-assn.org/go/cpt', '71250') }],
      [PROCEDURE],
      undefined,
    ],
    [
      'without a code lies in the head',
      [{ ...FIRST, procedureCode: undefined, series: [series('CT', '69536005')] }],
      [PROCEDURE],
      'first',
    ],
    [
      'without a code or a body site is not guessed',
      [{ ...FIRST, procedureCode: undefined, series: [series('CT')] }],
      [PROCEDURE],
      undefined,
    ],
    [
      'is never what a model drew beside it',
      [{ ...FIRST, procedureCode: undefined, modality: [{ code: 'OT' }], series: [series('OT', '69536005')] }],
      [PROCEDURE],
      undefined,
    ],
  ])('%s', (_what, studies, procedures, want) => {
    expect(findEligibleStudy(studies, procedures, undefined)).toBe(want && `ImagingStudy/${want}`);
  });

  it('is none any more when the 72 h of the forecast have passed', () => {
    expect(findEligibleStudy([FIRST], [PROCEDURE], new Date('2026-11-15T07:59:00Z'))).toBe('ImagingStudy/first');
    expect(findEligibleStudy([FIRST], [PROCEDURE], new Date('2026-11-15T08:01:00Z'))).toBeUndefined();
  });
});
