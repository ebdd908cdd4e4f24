/** The words of the comparison picture. */
import type { Flag, Measured, Measurements, Prediction } from '../prediction/prediction.ts';

/** What stands over the two rows of pictures. */
export const ROW_TITLES = {
  acquired: { title: 'INITIAL CT (acquired)', remark: 'as the scanner made it' },
  generated: {
    title: 'AI-GENERATED FOLLOW-UP (not acquired)',
    remark: 'drawn by a network from the slices above',
  },
} as const;

/** Every flag in its own words, and what is always true. */
export function describeLimits(flags: readonly Flag[]): string {
  return [
    'What limits this result:',
    ...flags.map(({ message }) => message),
    'A forecast never replaces the follow-up CT.',
  ].join(' ');
}

/** "62 %" and what it means, its interval, and what it rests on. */
export function describeProbability(prediction: Prediction): {
  readonly percent: string;
  readonly claim: string;
  readonly interval: string;
  readonly assumptions: string;
} {
  const { probability, probabilityInterval: interval, riskBandBounds: bounds } = prediction;
  return {
    percent: percent(probability),
    claim: 'probability of hemorrhage within 72 h',
    interval:
      interval === null
        ? 'no interval available for this model'
        : `${percent(interval.level)} interval ${percent(interval.low)} to ${percent(interval.high)}`,
    assumptions:
      `At an assumed prevalence of ${percent(prediction.assumedPrevalence)} ` +
      `(calibration cohort ${percent(prediction.trainingPrevalence)}). ` +
      `Bands: moderate from ${percent(bounds.moderate)}, high from ${percent(bounds.high)}.`,
  };
}

/** One line; what could not be had is said, never left out. */
export function describeMeasurements(measurements: Measurements): string {
  const { hyperdenseVolumeMl, maxHu, meanHu, side, metallicSign } = measurements;
  return [
    `hyperdense volume ${say(hyperdenseVolumeMl, (ml) => `${ml.toFixed(1)} mL`)}`,
    `maximum ${say(maxHu, (hu) => `${Math.round(hu)} HU`)}`,
    `mean ${say(meanHu, (hu) => `${Math.round(hu)} HU`)}`,
    `side ${say(side, (name) => name)}`,
    `metallic sign ${metallicSign.value === null ? 'not determined' : metallicSign.value ? 'present' : 'absent'}`,
  ].join(' · ');
}

function say<T>(measured: Measured<T>, words: (value: T) => string): string {
  return measured.value === null ? 'none' : words(measured.value);
}

/** Whole percent; below 1 % and above 99 % no false certainty. */
function percent(share: number): string {
  if (share > 0 && share < 0.01) return '<1 %';
  if (share > 0.99 && share < 1) return '>99 %';
  return `${Math.round(100 * share)} %`;
}
