/** When a study has arrived: what a model made of it does not count, and does not keep it from being whole. */
import { describe, expect, it } from '@jest/globals';
import { planStudy } from '../../api/assessment/plan-study.ts';
import type { StudyPlan } from '../../api/assessment/plan-study.ts';
import type { Ehr, Pacs } from '../../api/assessment/ports.ts';
import { NotFoundError } from '../../api/errors.ts';
import type { InstanceHeader } from '../../api/imaging/volume.ts';
import { STUDY } from '../ehr/support/report.ts';
import { syntheticHead } from '../support/synthetic-head.ts';

const ACQUIRED = syntheticHead({ slices: 24, matrix: 4, fieldOfViewMm: 2 }).map(({ header }) => header);
const GENERATED: InstanceHeader = {
  ...ACQUIRED[0],
  seriesInstanceUid: '2.25.9',
  sopInstanceUid: '2.25.9.1',
  syntheticData: 'YES',
};

/** `listings`: what the PACS lists at the first look, the second, ...; the last one stays. */
function plan(announced: number | undefined, ...listings: (readonly InstanceHeader[])[]): Promise<StudyPlan> {
  const queue = [...listings];
  const study = { ...STUDY, studyInstanceUid: ACQUIRED[0].studyInstanceUid, numberOfInstances: announced };
  const ehr = { readStudy: async () => study } as unknown as Ehr;
  const pacs = {
    listInstances: async () => (queue.length > 1 ? queue.shift() : queue[0]),
  } as unknown as Pacs;
  return planStudy(STUDY.reference, { ehr, pacs, modelSha256: 'ab' }, new AbortController().signal);
}

describe('A study', () => {
  it('is whole when every announced image is there, and not before', async () => {
    expect((await plan(24, ACQUIRED)).complete).toBe(true);
    expect(await plan(24, ACQUIRED.slice(1))).toMatchObject({
      complete: false,
      contentKey: null,
      instancesPresent: 23,
    });
  });

  it('of which the chart announces no number is whole when two listings are equal', async () => {
    expect((await plan(undefined, ACQUIRED)).complete).toBe(true);
    expect((await plan(undefined, ACQUIRED.slice(4), ACQUIRED)).complete).toBe(false);
  });

  it('is the same work after our generated series was stored beside it, whether or not the chart counts that one', async () => {
    const { contentKey } = await plan(24, ACQUIRED);
    for (const announced of [24, 25]) {
      expect(await plan(announced, [...ACQUIRED, GENERATED])).toMatchObject({ complete: true, contentKey });
    }
  });

  it('is not whole because a generated image makes up the number', async () => {
    expect((await plan(25, [...ACQUIRED.slice(2), GENERATED])).complete).toBe(false);
    const growing = [...ACQUIRED.slice(1), GENERATED];
    expect((await plan(24, growing, [...ACQUIRED, GENERATED])).complete).toBe(false);
  });

  it('that is announced but not in the PACS yet is still arriving', async () => {
    const pacs = {
      listInstances: () => Promise.reject(new NotFoundError('not-found', 'The PACS has no such study.')),
    } as unknown as Pacs;
    const ehr = { readStudy: async () => STUDY } as unknown as Ehr;
    const signal = new AbortController().signal;
    expect((await planStudy(STUDY.reference, { ehr, pacs, modelSha256: 'ab' }, signal)).complete).toBe(false);
  });
});
