/** A result that a card may show: of our own records, or read back from the chart where the records know nothing of it. */
import type { Assessment } from '../assessment/assessment.ts';
import type { Flag, Measurements, ProbabilityInterval, RiskBand } from '../prediction/prediction.ts';

export interface Forecast {
  /** "RiskAssessment/<id>", or "Observation/<id>" in a chart that keeps no RiskAssessment. */
  readonly reference: string;
  /** "ImagingStudy/<id>" */
  readonly study: string;
  /** 0..1 */
  readonly probability: number;
  readonly interval: Pick<ProbabilityInterval, 'low' | 'high' | 'level'> | null;
  readonly band: RiskBand;
  /** 0..1; null where only the chart tells of the result. */
  readonly assumedPrevalence: number | null;
  readonly measurements: Measurements | null;
  readonly flags: readonly Flag[];
  readonly model: string | null;
  /** What the network that made it was trained on and is not; null where the chart does not tell. */
  readonly label: string | null;
}

/** Null where nothing was written to the chart (shadow mode), where the result was taken back, and without a result. */
export function toForecast(assessment: Assessment): Forecast | null {
  const { prediction, resources, withdrawal, study, flags, model } = assessment;
  if (prediction === null || resources === null || withdrawal !== null) return null;
  return {
    reference: resources.riskAssessment,
    study: `ImagingStudy/${study.id}`,
    probability: prediction.probability,
    interval: prediction.probabilityInterval,
    band: prediction.riskBand,
    assumedPrevalence: prediction.assumedPrevalence,
    measurements: prediction.measurements,
    flags,
    model: `${model.name} ${model.version}`,
    label: model.disclaimer,
  };
}
