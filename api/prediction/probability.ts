/** From the network's numbers to what is reported: prior shift, interval and risk band. */
import type { Measurements, Prediction, ProbabilityInterval, RiskBand } from './prediction.ts';
import { RefusalError } from './refusals.ts';

/** Calibration as the bundle states it (docs/bundle.md, configs/metadata.json). */
export interface Calibration {
  /** Share of patients who bled in the calibration cohort, 0..1 (exclusive). */
  readonly prevalence: number;
  readonly interval: {
    readonly level: number;
    readonly method: string;
    /** Pairs (a, b), calibrations refitted on bootstrap resamples: one probability sigmoid(a * logit + b) each. */
    readonly affine: readonly (readonly [number, number])[];
  } | null;
  readonly intervalAbsentReason?: string | null;
}

export interface RiskBandBounds {
  /** Lower bound of the moderate and of the high band, 0..1. */
  readonly moderate: number;
  readonly high: number;
}

/** Logistic function, exact at both ends. */
export function sigmoid(x: number): number {
  return x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));
}

/**
 * A probability moved from one prevalence to another: logit(p') = logit(p) + logit(to) - logit(from), Bayes' rule with
 * unchanged likelihoods (Saerens et al., Neural Computation 2002). Written without logits, so that 0 and 1 stay 0 and 1.
 *
 * @param probability at prevalence `from`, 0..1
 * @throws RangeError unless both prevalences lie strictly between 0 and 1
 */
export function shiftPrevalence(probability: number, from: number, to: number): number {
  for (const prevalence of [from, to]) {
    if (!(prevalence > 0 && prevalence < 1))
      throw new RangeError(`a prevalence lies between 0 and 1, not ${prevalence}`);
  }
  const bleeds = (probability * to) / from;
  const doesNot = ((1 - probability) * (1 - to)) / (1 - from);
  return bleeds / (bleeds + doesNot);
}

/** low < moderate bound <= moderate < high bound <= high. */
export function riskBand(probability: number, bounds: RiskBandBounds): RiskBand {
  if (probability >= bounds.high) return 'high';
  return probability >= bounds.moderate ? 'moderate' : 'low';
}

/**
 * The reported prediction.
 *
 * @param input.logit raw network score; `probability` its calibrated value at the prevalence of the calibration cohort, 0..1
 * @param input.assumedPrevalence share of patients who bleed where the service is used, strictly between 0 and 1
 * @throws RefusalError `model-output-invalid` when logit or probability is not finite or the probability not in 0..1
 */
export function toPrediction(input: {
  readonly logit: number;
  readonly probability: number;
  readonly calibration: Calibration;
  readonly assumedPrevalence: number;
  readonly riskBandBounds: RiskBandBounds;
  readonly measurements: Measurements;
  readonly generatedHyperdenseVolumeMl: number;
}): Prediction {
  const { logit, calibration, assumedPrevalence, riskBandBounds, measurements, generatedHyperdenseVolumeMl } = input;
  if (!Number.isFinite(logit) || !(input.probability >= 0 && input.probability <= 1)) {
    throw new RefusalError('model-output-invalid', 'The network returned a score that is no probability.', {
      logit: Number.isFinite(logit) ? logit : null,
      probability: Number.isFinite(input.probability) ? input.probability : null,
    });
  }
  const shift = (probability: number): number =>
    shiftPrevalence(probability, calibration.prevalence, assumedPrevalence);
  const probability = shift(input.probability);
  const probabilityInterval = intervalAt(input, calibration, shift);
  return {
    score: logit,
    probability,
    probabilityInterval,
    probabilityIntervalAbsentReason:
      probabilityInterval !== null ? null : (calibration.intervalAbsentReason ?? 'The model states no interval.'),
    riskBand: riskBand(probability, riskBandBounds),
    riskBandBounds,
    assumedPrevalence,
    trainingPrevalence: calibration.prevalence,
    measurements,
    generatedHyperdenseVolumeMl,
  };
}

/**
 * Central `level` range over the refitted calibrations, shifted like the probability itself (both maps keep order), and wide
 * enough to hold that probability: a bundle calibrated without a bias can lie beside its own refits, which have one.
 */
function intervalAt(
  { logit, probability }: { readonly logit: number; readonly probability: number },
  calibration: Calibration,
  shift: (probability: number) => number,
): ProbabilityInterval | null {
  const { interval } = calibration;
  if (interval === null || interval.affine.length === 0) return null;
  const probabilities = interval.affine.map(([a, b]) => sigmoid(a * logit + b)).sort((p, q) => p - q);
  const tail = (1 - interval.level) / 2;
  return {
    low: shift(Math.min(probability, quantile(probabilities, tail))),
    high: shift(Math.max(probability, quantile(probabilities, 1 - tail))),
    level: interval.level,
    method: interval.method,
  };
}

/** Quantile of sorted values, linear between order statistics (Hyndman and Fan, type 7: the default of NumPy). */
function quantile(sorted: readonly number[], share: number): number {
  const at = share * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}
