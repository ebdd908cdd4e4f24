/** What limits a result without forbidding it: given and want, through the functions that raise each flag. */
import { describe, expect, it } from '@jest/globals';
import { checkFrames } from '../../api/assessment/choose-series.ts';
import { matchIdentity } from '../../api/assessment/match-identity.ts';
import { assertHead } from '../../api/imaging/anatomy.ts';
import { assembleVolume } from '../../api/imaging/assemble-volume.ts';
import type { InstanceHeader } from '../../api/imaging/volume.ts';
import { checkPatient } from '../../api/prediction/check-patient.ts';
import { flag, FLAGS, gravestFirst, type FlagCode } from '../../api/prediction/flags.ts';
import type { Flag } from '../../api/prediction/prediction.ts';
import { syntheticHead, type SyntheticHeadOptions } from '../support/synthetic-head.ts';

const tiny = { matrix: 4, fieldOfViewMm: 2, slices: 14 } as const;
const headers = (change: Partial<InstanceHeader> = {}): InstanceHeader[] =>
  syntheticHead(tiny).map(({ header }) => ({ ...header, ...change }));
const geometry = (options: SyntheticHeadOptions) => (): Flag[] =>
  assembleVolume(syntheticHead({ ...tiny, ...options })).flags;
const patient = (chart: { birthDate?: string; endedAt?: string } | 'no procedure') => (): Flag[] =>
  checkPatient({
    study:
      chart === 'no procedure'
        ? { patient: { birthDate: '1960' } }
        : { patient: { birthDate: chart.birthDate }, thrombectomy: { endedAt: chart.endedAt } },
    headers: headers(),
    initialCtAt: '2026-03-02T10:00:00Z',
  });

const ROWS: readonly [given: string, call: () => Flag[], want: FlagCode[]][] = [
  [
    'an adult, scanned an hour after the procedure',
    patient({ birthDate: '1960', endedAt: '2026-03-02T09:00:00Z' }),
    [],
  ],
  ['an unknown age', patient({ endedAt: '2026-03-02T09:00:00Z' }), ['age-unknown']],
  ['no thrombectomy in the chart', patient('no procedure'), ['procedure-unknown', 'window-from-ct']],
  ['a procedure without an end', patient({ birthDate: '1960' }), ['window-from-ct']],
  [
    'a procedure known to the day',
    patient({ birthDate: '1960', endedAt: '2026-03-01' }),
    ['time-since-procedure-unknown'],
  ],
  [
    'a chart without identifiers',
    () => matchIdentity({ studyInstanceUid: '2.25.10', patient: { identifiers: [] } }, headers()),
    ['identity-partial'],
  ],
  ['complete headers', () => checkFrames(headers()), []],
  ['no tube voltage', () => checkFrames(headers({ kvp: undefined })), ['tube-voltage-absent']],
  ['no body part', () => checkFrames(headers({ bodyPartExamined: undefined })), ['body-part-absent']],
  ['lossy compression stated', () => checkFrames(headers({ lossyImageCompression: '01' })), ['lossy-compression']],
  [
    'a transfer syntax that may lose, nothing stated',
    () => checkFrames(headers({ transferSyntaxUid: '1.2.840.10008.1.2.4.91' })),
    ['lossy-compression'],
  ],
  [
    'the same transfer syntax, said to be without loss',
    () => checkFrames(headers({ transferSyntaxUid: '1.2.840.10008.1.2.4.91', lossyImageCompression: '00' })),
    [],
  ],
  ['even upright slices', geometry({}), []],
  ['no slice thickness', geometry({ header: { sliceThicknessMm: undefined } }), ['slice-thickness-absent']],
  ['slices of 4 mm every 5 mm', geometry({ sliceThicknessMm: 4 }), ['slice-gap-wide']],
  ['a gantry tilted by 10 degrees', geometry({ tiltDeg: 10 }), ['gantry-tilt-corrected']],
  [
    'a scan that begins at the inner table of the vault',
    () => assertHead(assembleVolume(syntheticHead({ aboveVertexMm: -4 })).volume).flags,
    ['vertex-not-covered'],
  ],
];

/** Set where the network ran or the result was written, and tested there. */
const ELSEWHERE: readonly FlagCode[] = [
  'tasks-disagree',
  'contrast-can-look-like-blood',
  'out-of-distribution',
  'interval-absent',
  'derived-outputs-degraded',
  'earlier-forecast-unmarked',
  'first-ct-uncertain',
  'shadow-operation',
];

describe('Flags', () => {
  it.each(ROWS)('%s', (_, call, want) => {
    expect(call()).toEqual(want.map((code) => ({ code, message: FLAGS[code] })));
  });

  it('are told once each, and what puts the number itself in doubt before what limits every forecast', () => {
    const codes: FlagCode[] = ['tube-voltage-absent', 'contrast-can-look-like-blood', 'procedure-unknown'];
    const told = gravestFirst([...codes, 'out-of-distribution' as const, ...codes].map(flag));
    expect(told.map(({ code }) => code)).toEqual([
      'out-of-distribution',
      'procedure-unknown',
      'contrast-can-look-like-blood',
      'tube-voltage-absent',
    ]);
  });

  it('have a row each, or are tested where they are set', () => {
    const codes = new Set([...ROWS.flatMap(([, , want]) => want), ...ELSEWHERE]);
    expect([...codes].toSorted()).toEqual(Object.keys(FLAGS).toSorted());
  });

  it('are whole sentences a clinician can read', () => {
    for (const code of Object.keys(FLAGS) as FlagCode[]) expect(flag(code).message).toMatch(/^[A-Z].*\.$/);
  });
});
