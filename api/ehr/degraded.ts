/**
 * Charts that keep no RiskAssessment or no Media: the forecast becomes an Observation, the comparison picture a
 * DocumentReference, and every reader is told so (flag derived-outputs-degraded).
 */
import type { Observation } from '@medplum/fhirtypes';
import type { AssessmentReport } from '../assessment/ports.ts';
import { UpstreamError } from '../errors.ts';
import { flag } from '../prediction/flags.ts';
import type { Capabilities } from './capabilities.ts';
import { AI_ASSERTED, BRAIN, PERCENT, QUALITATIVE_RISK, SYSTEMS, concept, ownConcept } from './codes.ts';
import { FINDING_KEYS, ownIdentifier, referenceTo, resourceId } from './ids.ts';
import { FORECAST_NAME, forecastMethod, forecastNotes, forecastRationale, headline } from './risk-assessment.ts';
import { narrative, notes, toPercentage } from './text.ts';
import { forecastWindow, initialCtTime } from './window.ts';
import type { WrittenReport } from './written-report.ts';

/** What RiskAssessment has a field for, an Observation has as a component. */
const FORECAST_WINDOW = 'forecast-window';

/** As which resources a report is written to one EHR. */
export interface ReportForm {
  readonly forecast: 'RiskAssessment' | 'Observation';
  readonly pictures: 'Media' | 'DocumentReference';
}

/** What has no simpler form. */
const INDISPENSABLE = ['Observation', 'Binary', 'Device', 'DocumentReference', 'Provenance'] as const;

/** Chooses the form the EHR accepts. Throws UpstreamError `ehr-lacks-resource` naming what it must accept and does not. */
export function chooseForm(capabilities: Capabilities): ReportForm {
  const lacking = INDISPENSABLE.filter((type) => !capabilities.accepts(type));
  if (lacking.length > 0) {
    throw new UpstreamError(
      'ehr-lacks-resource',
      `By its CapabilityStatement the EHR does not accept new ${lacking.join(', ')}; without them results cannot be filed.`,
      { system: 'ehr', lacking },
    );
  }
  if (!capabilities.acceptsTransactions) {
    throw new UpstreamError(
      'ehr-lacks-transaction',
      'By its CapabilityStatement the EHR accepts no transactions; results are filed whole or not at all.',
      { system: 'ehr' },
    );
  }
  return {
    forecast: capabilities.accepts('RiskAssessment') ? 'RiskAssessment' : 'Observation',
    pictures: capabilities.accepts('Media') ? 'Media' : 'DocumentReference',
  };
}

/** The resource types that were replaced, in the order of fhir.md's table. */
export function degradedTypes(form: ReportForm): readonly string[] {
  return [
    ...(form.forecast === 'RiskAssessment' ? [] : ['RiskAssessment']),
    ...(form.pictures === 'Media' ? [] : ['Media']),
  ];
}

/** The report as this form tells it: with the flag where something was degraded. */
export function reportInForm(report: AssessmentReport, form: ReportForm): AssessmentReport {
  const code = 'derived-outputs-degraded';
  if (degradedTypes(form).length === 0 || report.flags.some((known) => known.code === code)) return report;
  return { ...report, flags: [...report.flags, flag(code)] };
}

/** The forecast as an Observation in percent. */
export function toForecastObservation(written: WrittenReport): Observation {
  const { report, references, writtenAt } = written;
  const { probability, riskBand } = report.reading.prediction;
  const id = resourceId(report, 'risk-assessment');
  const effectiveDateTime = initialCtTime(report);
  const { period } = forecastWindow(report);
  const lines = [...forecastNotes(report), forecastRationale(report)];
  return {
    resourceType: 'Observation',
    id,
    meta: { security: [AI_ASSERTED] },
    text: narrative([headline(report), ...lines]),
    identifier: [ownIdentifier(id)],
    status: 'preliminary',
    category: [concept({ system: SYSTEMS.observationCategory, code: 'imaging', display: 'Imaging' })],
    code: ownConcept('hemorrhage-forecast', FORECAST_NAME),
    subject: referenceTo(report.study.patientReference),
    ...(report.study.encounterReference && { encounter: referenceTo(report.study.encounterReference) }),
    ...(effectiveDateTime && { effectiveDateTime }),
    issued: writtenAt,
    valueQuantity: { value: toPercentage(probability), ...PERCENT },
    ...(period && {
      component: [{ code: ownConcept(FORECAST_WINDOW, 'Time the forecast is about'), valuePeriod: period }],
    }),
    interpretation: [QUALITATIVE_RISK[riskBand]],
    bodySite: BRAIN,
    method: { text: forecastMethod(report) },
    device: referenceTo(references.device),
    derivedFrom: [
      referenceTo(`ImagingStudy/${report.study.reference.id}`),
      ...FINDING_KEYS.map((key) => referenceTo<Observation>(references.observations[key])),
    ],
    note: notes(lines),
  };
}
