/** From the network's numbers to the number in the chart. Derivations stand beside the vectors. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Measurements } from '../../api/prediction/prediction.ts';
import {
  riskBand,
  shiftPrevalence,
  sigmoid,
  toPrediction,
  type Calibration,
} from '../../api/prediction/probability.ts';
import { refusalOf } from '../support/refusal.ts';

const logit = (p: number): number => Math.log(p / (1 - p));
const none = { value: null, reason: 'not asked here' } as const;
const measurements: Measurements = {
  hyperdenseVolumeMl: { value: 0 },
  maxHu: none,
  meanHu: none,
  side: none,
  metallicSign: { value: false },
};
const calibration = (interval: Calibration['interval'] = null): Calibration => ({ prevalence: 0.51, interval });
const predict = (score: number, probability: number, cal = calibration(), assumedPrevalence = 0.35) =>
  toPrediction({
    logit: score,
    probability,
    calibration: cal,
    assumedPrevalence,
    riskBandBounds: { moderate: 0.15, high: 0.5 },
    measurements,
    generatedHyperdenseVolumeMl: 0,
  });

describe('The probability at the prevalence of the hospital', () => {
  it('follows the odds: half at a prevalence of 0.5 is a fifth where a fifth bleed', () => {
    // odds 1 * (0.2 / 0.8) / (0.5 / 0.5) = 0.25; 0.25 / 1.25 = 0.2
    expect(shiftPrevalence(0.5, 0.5, 0.2)).toBeCloseTo(0.2, 12);
    // odds 0.62 / 0.38 = 1.6316; times (0.35 / 0.65) / (0.51 / 0.49) = 0.51735: 0.84410; p = 0.84410 / 1.84410
    expect(predict(1, 0.62).probability).toBeCloseTo(0.45773, 4);
  });

  it('adds to the logit what the prevalences differ in, whatever the probability', () => {
    const inside = fc.double({ min: 0.001, max: 0.999, noNaN: true });
    fc.assert(
      fc.property(inside, inside, inside, (p, from, to) => {
        const shift = logit(shiftPrevalence(p, from, to)) - logit(p);
        expect(shift).toBeCloseTo(logit(to) - logit(from), 6);
      }),
      { seed: 3 },
    );
  });

  it('stays what it is at the same prevalence, and never leaves certainty', () => {
    expect(shiftPrevalence(0.3, 0.51, 0.51)).toBeCloseTo(0.3, 12);
    expect(shiftPrevalence(0, 0.51, 0.35)).toBe(0);
    expect(shiftPrevalence(1, 0.51, 0.35)).toBe(1);
  });

  it.each([0, 1, -0.1, 1.1, NaN])('is not computed for a prevalence of %s', (prevalence) => {
    expect(() => shiftPrevalence(0.5, 0.5, prevalence)).toThrow(RangeError);
    expect(() => shiftPrevalence(0.5, prevalence, 0.5)).toThrow(RangeError);
  });

  it('is exact at the ends of the logistic function', () => {
    expect(sigmoid(0)).toBe(0.5);
    expect(sigmoid(-800)).toBe(0);
    expect(sigmoid(800)).toBe(1);
    expect(sigmoid(Math.log(3))).toBeCloseTo(0.75, 12); // odds 3 to 1
  });
});

describe('Risk bands', () => {
  const bounds = { moderate: 0.15, high: 0.5 };

  it.each([
    [0, 'low'],
    [0.1499999, 'low'],
    [0.15, 'moderate'],
    [0.4999999, 'moderate'],
    [0.5, 'high'],
    [1, 'high'],
  ] as const)('a probability of %s is %s: a bound belongs to the band above it', (probability, band) => {
    expect(riskBand(probability, bounds)).toBe(band);
  });

  it('are judged at the assumed prevalence, not at that of the calibration cohort', () => {
    // 0.62 among those of whom 51 % bled is 0.458 where 35 % bleed: moderate.
    expect(predict(1, 0.62)).toMatchObject({ riskBand: 'moderate', assumedPrevalence: 0.35, trainingPrevalence: 0.51 });
    expect(predict(1, 0.62, calibration(), 0.51).riskBand).toBe('high');
  });
});

describe('The interval', () => {
  it('is the central part of the refitted calibrations, moved like the probability', () => {
    // Five refits sigmoid(1 * 0 + b) at logit 0, b such that p = 0.1 .. 0.5; level 0.5: quartiles 0.2 and 0.4.
    const affine = [0.5, 0.3, 0.1, 0.4, 0.2].map((p) => [1, logit(p)] as const);
    const cal = calibration({ level: 0.5, method: 'five refits', affine });
    const same = predict(0, 0.3, cal, 0.51).probabilityInterval!;
    expect([same.low, same.high]).toEqual([expect.closeTo(0.2, 9), expect.closeTo(0.4, 9)]);
    const { probabilityInterval: moved, probability } = predict(0, 0.3, cal);
    expect(moved!.low).toBeCloseTo(shiftPrevalence(0.2, 0.51, 0.35), 9);
    expect(moved!.high).toBeCloseTo(shiftPrevalence(0.4, 0.51, 0.35), 9);
    expect(moved!.low).toBeLessThan(probability);
    expect(moved!.high).toBeGreaterThan(probability);
    expect(moved).toMatchObject({ level: 0.5, method: 'five refits' });
  });

  it('interpolates between refits: the 5 % quantile of two lies a twentieth of the way', () => {
    const affine = [
      [0, logit(0.2)],
      [0, logit(0.6)],
    ] as const;
    const { low, high } = predict(
      5,
      0.4,
      calibration({ level: 0.9, method: 'two', affine }),
      0.51,
    ).probabilityInterval!;
    expect(low).toBeCloseTo(0.22, 9); // 0.2 + 0.05 * 0.4
    expect(high).toBeCloseTo(0.58, 9);
  });

  it('holds the probability it is about, also where that lies beside every refit', () => {
    const affine = [0.2, 0.4].map((p) => [0, logit(p)] as const);
    const cal = calibration({ level: 0.9, method: 'two', affine });
    const above = predict(0, 0.6, cal);
    expect(above.probabilityInterval!.high).toBe(above.probability);
    expect(above.probabilityInterval!.low).toBeCloseTo(shiftPrevalence(0.21, 0.51, 0.35), 9); // 0.2 + 0.05 * 0.2
    const below = predict(0, 0.1, cal);
    expect(below.probabilityInterval!.low).toBe(below.probability);
  });

  it('is null with the reason where the model has none', () => {
    expect(predict(1, 0.62)).toMatchObject({
      probabilityInterval: null,
      probabilityIntervalAbsentReason: 'The model states no interval.',
    });
    const cal = { prevalence: 0.51, interval: null, intervalAbsentReason: 'Too few cases.' };
    expect(predict(1, 0.62, cal).probabilityIntervalAbsentReason).toBe('Too few cases.');
  });
});

describe('A score that is no probability', () => {
  it.each([
    [NaN, 0.5, { logit: null, probability: 0.5 }],
    [Infinity, 1, { logit: null, probability: 1 }],
    [0, NaN, { logit: 0, probability: null }],
    [0, -0.01, { logit: 0, probability: -0.01 }],
    [0, 1.01, { logit: 0, probability: 1.01 }],
  ])('is refused: logit %s, probability %s', (score, probability, details) => {
    expect(refusalOf(() => predict(score, probability))).toMatchObject({ code: 'model-output-invalid', details });
  });
});
