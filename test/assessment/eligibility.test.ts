/** Which study is assessed without anyone asking: the first plain head CT after a thrombectomy. */
import { describe, expect, it } from '@jest/globals';
import { judgeEligibility } from '../../api/assessment/eligibility.ts';
import type { Eligibility } from '../../api/assessment/eligibility.ts';
import type { StudyPlan } from '../../api/assessment/plan-study.ts';
import type { StudyRecord, StudyReference } from '../../api/assessment/ports.ts';
import { InvalidRequestError, UpstreamError } from '../../api/errors.ts';

interface Known {
  /** Hours after the procedure; undefined = not stated. */
  readonly at?: number;
  /** Of the procedure that the chart tells before it, if any (ehr/thrombectomy.ts: at most 72 h before). */
  readonly procedure?: string;
  readonly complete?: boolean;
  /** Whether a series of it would be read: plain, of the head, ... */
  readonly readable?: boolean;
  readonly fault?: Error;
}

const ENDED = Date.parse('2026-03-01T12:00:00Z');
const time = (hours: number): string => new Date(ENDED + hours * 3_600_000).toISOString();

async function judge(studies: Readonly<Record<string, Known>>): Promise<Eligibility> {
  const planStudy = async ({ id }: { id: string }): Promise<StudyPlan> => {
    const { at, procedure = 'p', complete = true, readable = true, fault } = studies[id];
    if (fault !== undefined) throw fault;
    return {
      study: {
        patientReference: 'Patient/a',
        ...(at !== undefined && { startedAt: time(at) }),
        ...(procedure !== '' && { thrombectomy: { reference: `Procedure/${procedure}`, endedAt: time(0) } }),
      },
      complete,
      refusal: readable ? null : { code: 'contrast-agent' },
    } as unknown as StudyPlan;
  };
  const ehr = {
    readStudy: async (reference: StudyReference) => (await planStudy(reference)).study,
    listStudies: async () =>
      Object.entries(studies).map(([id, { at }]) => ({
        reference: { resourceType: 'ImagingStudy' as const, id },
        ...(at !== undefined && { startedAt: time(at) }),
      })),
  };
  return judgeEligibility({ resourceType: 'ImagingStudy', id: 'ct' }, { ehr, planStudy }, new AbortController().signal);
}
const gone = new InvalidRequestError('study-withdrawn', 'The ImagingStudy was withdrawn.');
const broken = new UpstreamError('pacs-rejected', 'The PACS rejected the listing.');

describe('A head CT', () => {
  it.each<[string, Eligibility, Readonly<Record<string, Known>>]>([
    ['after a thrombectomy is eligible', 'eligible', { ct: { at: 1 } }],
    ['without a thrombectomy in the 72 h before it is not', 'not-eligible', { ct: { at: 1, procedure: '' } }],
    ['without a time is not: order is never assumed', 'not-eligible', { ct: {} }],
    ['with contrast, or otherwise not to be read, is not', 'not-eligible', { ct: { at: 1, readable: false } }],
    ['that was withdrawn is not', 'not-eligible', { ct: { at: 1, fault: gone } }],
    ['is waited for while its images arrive', 'still-arriving', { ct: { at: 1, complete: false } }],
    ['is not the initial one after an earlier plain CT', 'not-eligible', { ct: { at: 9 }, first: { at: 1 } }],
    ['is the initial one before a later plain CT', 'eligible', { ct: { at: 1 }, later: { at: 9 } }],
    ['is the initial one after a CT angiography', 'eligible', { ct: { at: 9 }, cta: { at: 1, readable: false } }],
    ['is the initial one after a CT that was withdrawn', 'eligible', { ct: { at: 9 }, bad: { at: 1, fault: gone } }],
    ['is the initial one of its own thrombectomy', 'eligible', { ct: { at: 9 }, old: { at: 1, procedure: 'older' } }],
    [
      'waits for an earlier CT that still arrives',
      'still-arriving',
      { ct: { at: 9 }, first: { at: 1, complete: false } },
    ],
    [
      'does not depend on what was taken before the procedure, readable or not',
      'eligible',
      { ct: { at: 1 }, before: { at: -3, fault: broken } },
    ],
  ])('%s', async (_, want, studies) => {
    expect(await judge(studies)).toBe(want);
  });

  it('without a thrombectomy does not even have its images listed', async () => {
    const planStudy = (): never => {
      throw new Error('listed');
    };
    const ehr = {
      readStudy: async () => ({ startedAt: time(1) }) as StudyRecord,
      listStudies: async () => [],
    };
    const judged = judgeEligibility(
      { resourceType: 'ImagingStudy', id: 'ct' },
      { ehr, planStudy },
      AbortSignal.timeout(1_000),
    );
    expect(await judged).toBe('not-eligible');
  });

  it('is not judged while an earlier study cannot be read', async () => {
    await expect(judge({ ct: { at: 9 }, first: { at: 1, fault: broken } })).rejects.toBe(broken);
  });
});
