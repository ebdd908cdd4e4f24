/** The forecast itself (http://hl7.org/fhir/R4/riskassessment.html). */
import type { RiskAssessment } from '@medplum/fhirtypes';
import type { AssessmentReport } from '../assessment/ports.ts';
import { AI_ASSERTED, HEMORRHAGIC_INFARCTION, QUALITATIVE_RISK, concept, ownConcept } from './codes.ts';
import { FINDING_KEYS, ownIdentifier, referenceTo, resourceId } from './ids.ts';
import { measurementsInWords } from './observation.ts';
import { narrative, notes, oneDecimal, percentText, toPercentage } from './text.ts';
import { FORECAST_HOURS, forecastWindow } from './window.ts';
import { CONFOUNDER, modelName } from './written-report.ts';
import type { WrittenReport } from './written-report.ts';

export const FORECAST_NAME = `Forecast of intracranial hemorrhage within ${FORECAST_HOURS} hours after thrombectomy for stroke`;

/**
 * The preliminary forecast. `probabilityDecimal` is a percentage in R4 (0..100, not 0..1). The interval goes into a note,
 * because probability[x] is a decimal or a Range and cannot be both.
 */
export function toRiskAssessment(written: WrittenReport): RiskAssessment {
  const { report, references, writtenAt } = written;
  const { prediction } = report.reading;
  const { period } = forecastWindow(report);
  const id = resourceId(report, 'risk-assessment');
  return {
    resourceType: 'RiskAssessment',
    id,
    meta: { security: [AI_ASSERTED] },
    text: narrative([headline(report), ...forecastNotes(report)]),
    identifier: [ownIdentifier(id)],
    status: 'preliminary',
    method: { text: forecastMethod(report) },
    code: ownConcept('hemorrhage-forecast', FORECAST_NAME),
    subject: referenceTo(report.study.patientReference),
    ...(report.study.encounterReference && { encounter: referenceTo(report.study.encounterReference) }),
    occurrenceDateTime: writtenAt,
    performer: referenceTo(references.device),
    basis: [
      referenceTo(`ImagingStudy/${report.study.reference.id}`),
      ...FINDING_KEYS.map((key) => referenceTo(references.observations[key])),
    ],
    prediction: [
      {
        outcome: concept(HEMORRHAGIC_INFARCTION),
        probabilityDecimal: toPercentage(prediction.probability),
        qualitativeRisk: QUALITATIVE_RISK[prediction.riskBand],
        ...(period && { whenPeriod: period }),
        rationale: forecastRationale(report),
      },
    ],
    note: notes(forecastNotes(report)),
  };
}

/** "Hemorrhage within 72 h: 71.4 % (high)" */
export function headline(report: AssessmentReport): string {
  const { probability, riskBand } = report.reading.prediction;
  return `${FORECAST_NAME}: ${percentText(probability)} (${riskBand}).`;
}

export function forecastMethod(report: AssessmentReport): string {
  return `Neural network ${modelName(report)} (SHA-256 ${report.model.sha256}) on the initial head CT. ${report.model.trainingData}`;
}

/** What the forecast rests on: what was measured, and what the hours are counted from. */
export function forecastRationale(report: AssessmentReport): string {
  const { measurements, generatedHyperdenseVolumeMl } = report.reading.prediction;
  const generated = `In the generated follow-up CT (AI-generated, not acquired): Hyperdense volume: ${oneDecimal(generatedHyperdenseVolumeMl)} mL.`;
  return `Measured on the initial CT: ${measurementsInWords(measurements)}. ${generated} ${forecastWindow(report).explanation}`;
}

/** What a reader must know beside the number; one note each, the research label first. */
export function forecastNotes(report: AssessmentReport): readonly string[] {
  const { prediction } = report.reading;
  const { moderate, high } = prediction.riskBandBounds;
  const { mergedPatientReferences = [], patientReference } = report.study;
  return [
    report.model.disclaimer,
    CONFOUNDER,
    `Assumed share of patients who bleed (prevalence): ${percentText(prediction.assumedPrevalence)}; the network was calibrated at ${percentText(prediction.trainingPrevalence)}, and the probability was shifted to the assumed prevalence.`,
    intervalNote(report),
    `Risk bands: low below ${percentText(moderate)}, moderate from ${percentText(moderate)} to below ${percentText(high)}, high from ${percentText(high)}.`,
    forecastWindow(report).explanation,
    ...report.flags.map((flag) => `Limit of this result (${flag.code}): ${flag.message}`),
    ...mergedPatientReferences.map(
      (merged) => `The imaging study names ${merged}, which the chart has replaced by ${patientReference}.`,
    ),
    ...(report.supersedes === undefined
      ? []
      : [`It supersedes ${report.supersedes}, the forecast of this study before it.`]),
  ];
}

function intervalNote(report: AssessmentReport): string {
  const { probabilityInterval, probabilityIntervalAbsentReason } = report.reading.prediction;
  if (probabilityInterval === null) {
    return `No interval of the probability is available: ${probabilityIntervalAbsentReason ?? 'no reason was given'}`;
  }
  const { low, high, level, method } = probabilityInterval;
  return `${percentText(level)} interval of the probability: ${percentText(low)} to ${percentText(high)}. Method: ${method}`;
}
