/** What no longer counts says so itself, in every kind of EHR: a reader who looks at nothing but the status is not misled. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { RiskAssessment } from '@medplum/fhirtypes';
import type { WrittenResources } from '../../api/assessment/ports.ts';
import { openBench } from './support/ehr.ts';
import type { EhrBench } from './support/ehr.ts';
import { MODEL, STUDY, aReport } from './support/report.ts';

const PLAIN_TYPES = ['Observation', 'DocumentReference', 'Device', 'Provenance', 'Binary'];

let bench: EhrBench;
beforeEach(async () => {
  bench = await openBench();
});
afterEach(() => bench.close());

/** Of what the report wrote; the model card is nobody's result. */
function statusesOf({ riskAssessment, observations, media }: WrittenResources): string[] {
  const statuses = [riskAssessment, ...observations, ...media].map((reference) => {
    const kept = bench.server.resources.get(reference) as { status: string } | undefined;
    return `${reference.split('/')[0]} ${kept?.status ?? 'gone'}`;
  });
  return [...new Set(statuses)].sort();
}
const write = (revision: number, supersedes?: string): Promise<WrittenResources> =>
  bench.ehr.writeBack(aReport({ report: { revision, supersedes } }), bench.signal);
const withdrawal = (resources: WrittenResources) => ({
  resources,
  study: STUDY.reference,
  model: MODEL,
  message: 'It was cancelled.',
});
const textOf = (reference: string): string => JSON.stringify(bench.server.resources.get(reference));

describe.each<[string, boolean, readonly string[] | undefined]>([
  ['lets the writer choose ids', true, undefined],
  ['chooses ids itself', false, undefined],
  ['keeps no RiskAssessment and no Media, and lets the writer choose ids', true, PLAIN_TYPES],
  ['keeps no RiskAssessment and no Media, and chooses ids itself', false, PLAIN_TYPES],
])('In an EHR that %s,', (_, updateCreate, types) => {
  beforeEach(() => {
    bench.server.updateCreate = updateCreate;
    if (types !== undefined) bench.server.types = types;
  });

  it('an earlier forecast is marked as superseded, with all that belongs to it, and names the one that counts', async () => {
    const first = await write(1);
    const second = await write(2, first.riskAssessment);
    await bench.ehr.supersede({ resources: first, by: second.riskAssessment }, bench.signal);
    expect(statusesOf(first)).toEqual(
      types === undefined
        ? ['Media stopped', 'Observation cancelled', 'RiskAssessment cancelled']
        : ['DocumentReference superseded', 'Observation cancelled'],
    );
    expect(statusesOf(second)).toEqual(
      types === undefined
        ? ['Media completed', 'Observation preliminary', 'RiskAssessment preliminary']
        : ['DocumentReference current', 'Observation preliminary'],
    );
    for (const reference of [first.riskAssessment, ...first.media]) {
      expect(textOf(reference)).toContain(`<p>Superseded by ${second.riskAssessment}; no longer current.</p>`);
    }
    expect(textOf(second.riskAssessment)).toContain(`It supersedes ${first.riskAssessment}`);
  });

  it('a result that is taken back is entered in error, with all that belongs to it, and a Provenance says why', async () => {
    const written = await write(1);
    await bench.ehr.withdraw(withdrawal(written), bench.signal);
    expect(statusesOf(written).map((status) => status.split(' ')[1])).toEqual(
      statusesOf(written).map(() => 'entered-in-error'),
    );
    expect(textOf(written.riskAssessment)).toContain('<p>Withdrawn: It was cancelled.</p>');
    const why = bench.server.all('Provenance').filter(({ reason }) => reason?.[0].text === 'It was cancelled.');
    expect(why).toHaveLength(1);
    expect(why[0].target.map(({ reference }) => reference).sort()).toEqual(
      [written.riskAssessment, ...written.observations, ...written.media].sort(),
    );
  });

  it('nothing is marked twice when it is done again, by the same process or the next', async () => {
    const first = await write(1);
    const second = await write(2, first.riskAssessment);
    const order = { resources: first, by: second.riskAssessment };
    await bench.ehr.supersede(order, bench.signal);
    await bench.ehr.withdraw(withdrawal(second), bench.signal);
    const writes = bench.server.writes.length;
    await bench.restarted().supersede(order, bench.signal);
    await bench.restarted().withdraw(withdrawal(second), bench.signal);
    expect(bench.server.writes).toHaveLength(writes);
  });

  it('a superseded result is taken back like any other when its ground is gone', async () => {
    const first = await write(1);
    const second = await write(2, first.riskAssessment);
    await bench.ehr.supersede({ resources: first, by: second.riskAssessment }, bench.signal);
    await bench.ehr.withdraw(withdrawal(first), bench.signal);
    expect(new Set(statusesOf(first).map((status) => status.split(' ')[1]))).toEqual(new Set(['entered-in-error']));
  });
});

describe('What a person has changed', () => {
  const theirs = (
    reference: string,
    change: { status?: RiskAssessment['status']; note?: RiskAssessment['note'] },
  ): void =>
    bench.server.put({ ...(bench.server.resources.get(reference) as RiskAssessment & { id: string }), ...change });

  it('keeps its status when a newer forecast comes, and the rest is marked', async () => {
    const first = await write(1);
    theirs(first.riskAssessment, { status: 'final' });
    await bench.ehr.supersede({ resources: first, by: 'RiskAssessment/next' }, bench.signal);
    expect(statusesOf(first)).toEqual(['Media stopped', 'Observation cancelled', 'RiskAssessment final']);
  });

  it('between our reading and our writing is not overwritten', async () => {
    const first = await write(1);
    let meddled = false;
    bench.server.fault = ({ method, path }) => {
      if (method === 'POST' && path === '' && !meddled) {
        meddled = true;
        theirs(first.riskAssessment, { status: 'entered-in-error', note: [{ text: 'Wrong side.' }] });
      }
      return undefined;
    };
    await bench.ehr.supersede({ resources: first, by: 'RiskAssessment/next' }, bench.signal);
    expect(meddled).toBe(true);
    expect(bench.server.resources.get(first.riskAssessment)).toMatchObject({
      status: 'entered-in-error',
      note: [{ text: 'Wrong side.' }],
    });
    expect(statusesOf(first)).toEqual(['Media stopped', 'Observation cancelled', 'RiskAssessment entered-in-error']);
  });

  it('again and again makes us come back later, not write over it', async () => {
    const first = await write(1);
    bench.server.fault = ({ method, path }) => {
      if (method === 'POST' && path === '') theirs(first.riskAssessment, {});
      return undefined;
    };
    await expect(
      bench.ehr.supersede({ resources: first, by: 'RiskAssessment/next' }, bench.signal),
    ).rejects.toMatchObject({ code: 'ehr-conflict', transient: true });
    expect(statusesOf(first)).toContain('RiskAssessment preliminary');
  });

  it('is kept beside our mark: notes of theirs stay', async () => {
    const first = await write(1);
    theirs(first.riskAssessment, { note: [{ text: 'Discussed with the family.' }] });
    await bench.ehr.withdraw(withdrawal(first), bench.signal);
    expect(textOf(first.riskAssessment)).toContain('Discussed with the family.');
  });

  it('and deleted stays deleted', async () => {
    const first = await write(1);
    bench.server.resources.delete(first.media[0]);
    bench.server.deleted.add(first.media[0]);
    await bench.ehr.withdraw(withdrawal(first), bench.signal);
    expect([...bench.server.resources.keys()]).not.toContain(first.media[0]);
  });
});

describe('An EHR', () => {
  it('without versions gets the mark all the same', async () => {
    bench.server.versions = false;
    const first = await write(1);
    await bench.ehr.supersede({ resources: first, by: 'RiskAssessment/next' }, bench.signal);
    expect(statusesOf(first)).toContain('RiskAssessment cancelled');
  });

  it('that confirms a withdrawal and does not show it is not believed', async () => {
    const first = await write(1);
    const put = bench.server.put.bind(bench.server);
    bench.server.put = (...resources) => put(...resources.filter(({ resourceType }) => resourceType === 'Provenance'));
    await expect(bench.ehr.withdraw(withdrawal(first), bench.signal)).rejects.toMatchObject({
      code: 'ehr-read-back-differs',
    });
  });
});
