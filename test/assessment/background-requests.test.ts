import { describe, expect, it } from '@jest/globals';
import { BackgroundRequests } from '../../api/assessment/background-requests.ts';
import type { StudyReference } from '../../api/assessment/ports.ts';

const study = (id: string): StudyReference => ({ resourceType: 'ImagingStudy', id });
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('A request that no one waits for', () => {
  it('is made once, however many hooks name the study', () => {
    const asked: string[] = [];
    const requests = new BackgroundRequests(
      async ({ id }) => asked.push(id),
      () => undefined,
    );
    for (const id of ['a', 'a', 'b', 'a']) requests.add(study(id));
    expect(asked).toEqual(['a', 'b']);
  });

  it('waits for its turn when many studies are named at once, and is made in the end', async () => {
    const asked: string[] = [];
    const finish: (() => void)[] = [];
    const requests = new BackgroundRequests(
      ({ id }) => new Promise<void>((resolve) => void (asked.push(id), finish.push(resolve))),
      () => undefined,
    );
    for (const id of ['a', 'b', 'c', 'd', 'e', 'f']) requests.add(study(id));
    expect(asked).toEqual(['a', 'b', 'c', 'd']);
    finish[0]();
    await settled();
    expect(asked).toEqual(['a', 'b', 'c', 'd', 'e']);
    finish[1]();
    await settled();
    expect(asked).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
  });

  it('that fails is told of, and stops no other', async () => {
    const faults: unknown[] = [];
    const asked: string[] = [];
    const requests = new BackgroundRequests(
      async ({ id }) => {
        asked.push(id);
        if (id !== 'e') throw new Error(id);
      },
      (error) => faults.push(error),
    );
    for (const id of ['a', 'b', 'c', 'd', 'e']) requests.add(study(id));
    await settled();
    await settled();
    expect([asked.length, faults.length]).toEqual([5, 4]);
  });
});
