/** The domain result of one assessment: what the network and the scan say, in the units of the chart. */

/** Words for the chart; bounds are configuration and are stated in every output. */
export type RiskBand = 'low' | 'moderate' | 'high';

export interface ProbabilityInterval {
  readonly low: number; // 0..1
  readonly high: number; // 0..1
  readonly level: number; // e.g. 0.9
  readonly method: string; // one sentence: what the interval covers
}

/** A quantity that could not be had, with the reason. */
export interface Absent {
  readonly value: null;
  readonly reason: string;
}

export interface Present<T> {
  readonly value: T;
}

export type Measured<T> = Present<T> | Absent;

/**
 * Checkable findings on the initial CT. Intracranial mask eroded 4 mm from bone; HU smoothed by a 3 mm Gaussian;
 * hyperdense = > 50 HU, components >= 0.1 mL.
 */
export interface Measurements {
  readonly hyperdenseVolumeMl: Measured<number>;
  /** Maximum and mean unsmoothed HU inside the hyperdense components. */
  readonly maxHu: Measured<number>;
  readonly meanHu: Measured<number>;
  /** Side holding > 80 % of the hyperdense volume. */
  readonly side: Measured<'left' | 'right' | 'bilateral'>;
  /** A component part > 90 HU, >= 10 mm across, in the deep grey matter. */
  readonly metallicSign: Measured<boolean>;
}

export interface Prediction {
  /** Raw network score (logit). */
  readonly score: number;
  /** Calibrated probability of hemorrhage within 72 h at `assumedPrevalence`, 0..1. */
  readonly probability: number;
  readonly probabilityInterval: ProbabilityInterval | null;
  /** Why there is no interval; null when there is one. */
  readonly probabilityIntervalAbsentReason: string | null;
  readonly riskBand: RiskBand;
  readonly riskBandBounds: { readonly moderate: number; readonly high: number };
  readonly assumedPrevalence: number;
  /** Share of hemorrhage in the cohort that the probability was calibrated on, 0..1. */
  readonly trainingPrevalence: number;
  readonly measurements: Measurements;
  /** Hyperdense volume of the generated follow-up CT, by the same definition: a forecast, not a measurement. mL */
  readonly generatedHyperdenseVolumeMl: number;
}

/** What limits a result, in plain words; `code` is stable (see flags.ts). */
export interface Flag {
  readonly code: string;
  readonly message: string;
}

export const DISCLAIMER = 'Research use only, trained on simulated data, not a medical device.';
