/** What changed in a chart since a moment, also where it is very much. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Resource } from '@medplum/fhirtypes';
import type { ChartChanges } from '../../api/assessment/ports.ts';
import { openBench } from './support/ehr.ts';
import type { EhrBench } from './support/ehr.ts';

const NOON = Date.parse('2026-03-01T12:00:00.000Z');
const MINUTE = 60_000;
const at = (minutes: number): string => new Date(NOON + minutes * MINUTE).toISOString();

let bench: EhrBench;
beforeEach(async () => {
  bench = await openBench();
});
afterEach(() => bench.close());

function change(resourceType: 'ImagingStudy' | 'Patient' | 'Procedure', id: string, minutes: number): void {
  const subject = resourceType === 'Patient' ? {} : { subject: { reference: `Patient/of-${id}` } };
  const meta = { lastUpdated: at(minutes) };
  bench.server.put({ resourceType, id, meta, ...subject } as Resource & { id: string });
}
const findChanges = (since: string, now = at(60)): Promise<ChartChanges> =>
  bench.restarted({ now: () => new Date(now) }).findChanges(since, bench.signal);

describe('The changes of a chart', () => {
  it('are studies, and the patients whose record or procedure changed', async () => {
    change('ImagingStudy', 'old', -1);
    change('ImagingStudy', 'new', 1);
    change('Patient', 'p', 2);
    change('Procedure', 'q', 3);
    const { studies, patients } = await findChanges(at(0));
    expect(studies.map(({ id }) => id)).toEqual(['new']);
    expect(patients).toEqual(['Patient/p', 'Patient/of-q']);
  });

  it('are searched again a little before the newest, because servers show a change after they gave it its time', async () => {
    change('ImagingStudy', 'seen', 1);
    const { until } = await findChanges(at(0));
    change('ImagingStudy', 'shown-late', 0.9);
    expect((await findChanges(until)).studies.map(({ id }) => id)).toContain('shown-late');
  });

  it('never go back behind where they began', async () => {
    change('ImagingStudy', 'at-once', 0);
    expect((await findChanges(at(0))).until).toBe(at(0));
    expect((await findChanges(at(5))).until).toBe(at(5));
  });

  it('are taken in parts where a day of them has more pages than a search may have, and none is lost', async () => {
    bench.server.pageSize = 1;
    for (let i = 0; i < 50; i++) change('ImagingStudy', `s${i}`, i);
    const seen = new Set<string>();
    let since = at(0);
    let looks = 0;
    for (; looks < 20 && seen.size < 50; looks++) {
      const { studies, until } = await findChanges(since);
      for (const { id } of studies) seen.add(id);
      expect(Date.parse(until)).toBeGreaterThan(Date.parse(since));
      since = until;
    }
    expect([...seen].sort()).toEqual(Array.from({ length: 50 }, (_, i) => `s${i}`).sort());
    expect(looks).toBeLessThan(8);
  });

  it('are said to be too many where even a minute of them is', async () => {
    bench.server.pageSize = 1;
    for (let i = 0; i < 30; i++) change('Patient', `p${i}`, 0.5);
    await expect(findChanges(at(0), at(1.5))).rejects.toMatchObject({ code: 'ehr-paging-endless' });
  });
});
