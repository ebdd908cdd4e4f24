import { describe, expect, it } from '@jest/globals';
import { AGREEMENT, tasksDisagree } from '../../api/prediction/agreement.ts';

describe('The two tasks of the network', () => {
  it.each([
    ['no blood in the image at a low probability', 0.05, 0, 0, false],
    ['blood in the image at a high probability', 0.9, 12, 8, false],
    ['new blood in the image at a low probability', 0.05, 3, 1, true],
    ['new blood in the image at a middling probability', 0.5, 3, 1, false],
    ['a calcification that stays at a low probability', 0.05, 2.4, 2.3, false],
    ['no blood in the image at a high probability', 0.9, 0, 6, true],
    ['little blood in the image at a high probability', 0.9, 0.2, 6, false],
    ['no blood in the image at a middling probability', 0.6, 0, 6, false],
  ])('with %s', (_, probability, generatedMl, initialMl, disagree) => {
    expect(tasksDisagree({ probability, generatedMl, initialMl }, AGREEMENT)).toBe(disagree);
  });

  it('are held to the limits of the bundle where it states some', () => {
    const case_ = { probability: 0.3, generatedMl: 0.6, initialMl: 0 };
    expect(tasksDisagree(case_, AGREEMENT)).toBe(false);
    expect(tasksDisagree(case_, { bloodMl: 0.5, low: 0.4, high: 0.9 })).toBe(true);
  });
});
