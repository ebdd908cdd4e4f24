/** Our forecasts as the chart holds them: RiskAssessments that carry our identifier (api/ehr/risk-assessment.ts wrote them). */
import type { Annotation, CodeableConcept, Observation, RiskAssessment } from '@medplum/fhirtypes';
import type { Assessment } from '../assessment/assessment.ts';
import type { RiskBand } from '../prediction/prediction.ts';
import type { Forecast } from './forecast.ts';
import { isPatient } from './reference.ts';

const NAMESPACE = 'https://hemocast.example/fhir';
const OUR_IDENTIFIER = `${NAMESPACE}/resource-identifier`;
const FINDING = `${NAMESPACE}/CodeSystem/finding`;

/** http://hl7.org/fhir/R4/valueset-observation-status.html: what may be shown as a result. */
const CURRENT = new Set(['preliminary', 'final', 'amended', 'corrected']);
const BANDS: readonly RiskBand[] = ['low', 'moderate', 'high'];

export interface ChartForecast {
  readonly reference: string;
  /** "ImagingStudy/<id>" */
  readonly study: string;
  readonly writtenAt: string;
  /** Last instant or day of the time the forecast is about; null where it could not be dated. */
  readonly windowEnd: string | null;
  /** "Patient/<id>" of merged records under which its CT is filed, as its notes say. */
  readonly mergedReferences: readonly string[];
  /** Whether its status is that of a result: not entered in error, cancelled or unknown. */
  readonly isCurrent: boolean;
  /** What it says; null where that is not current or cannot be read. */
  readonly forecast: Forecast | null;
}

/** Whether what has this status may be shown as a result. */
export function isCurrent(status: string): boolean {
  return CURRENT.has(status);
}

/** Newest first. Resources of others, or about another patient, are left out. */
export function readChartForecasts(found: readonly RiskAssessment[], patientId: string): readonly ChartForecast[] {
  return found
    .filter((one) => isOurs(one) && isPatient(one.subject?.reference, patientId))
    .flatMap((one) => toChartForecast(one) ?? [])
    .sort(newestFirst);
}

function isOurs({ identifier, code }: RiskAssessment): boolean {
  const identified = Array.isArray(identifier) && identifier.some(({ system }) => system === OUR_IDENTIFIER);
  return identified && isCoded(code, 'hemorrhage-forecast');
}

function isCoded(concept: CodeableConcept | undefined, finding: string): boolean {
  return concept?.coding?.some(({ system, code }) => system === FINDING && code === finding) ?? false;
}

function toChartForecast(resource: RiskAssessment): ChartForecast | undefined {
  const { id = '', basis, prediction: [prediction] = [], status, occurrenceDateTime = '', note } = resource;
  const study = basis
    ?.map(({ reference }) => /ImagingStudy\/[A-Za-z0-9\-.]{1,64}/.exec(reference ?? '')?.[0])
    .find(Boolean);
  if (!/^[A-Za-z0-9\-.]{1,64}$/.test(id) || study === undefined) return undefined;
  const reference = `RiskAssessment/${id}`;
  // RiskAssessment.prediction.probabilityDecimal is a percentage in R4.
  const probability = (prediction?.probabilityDecimal ?? Number.NaN) / 100;
  const band = BANDS.find((name) => prediction?.qualitativeRisk?.coding?.some(({ code }) => code === name));
  const isCurrent = CURRENT.has(status);
  const readable = isCurrent && probability >= 0 && probability <= 1 && band !== undefined;
  return {
    reference,
    study,
    writtenAt: occurrenceDateTime,
    windowEnd: prediction?.whenPeriod?.end ?? null,
    mergedReferences: mergedReferences(note),
    isCurrent,
    forecast: readable
      ? {
          reference,
          study,
          probability,
          band,
          interval: null,
          assumedPrevalence: null,
          measurements: null,
          flags: [],
          model: null,
          label: note?.map(({ text }) => text).find((text) => text?.includes('not a medical device')) ?? null,
        }
      : null,
  };
}

/**
 * Results in a chart that keeps no RiskAssessment (api/ehr/degraded.ts): only whether they still stand is read from the Observations;
 * what they say is in our records, as well as their study.
 */
export function readChartObservations(
  found: readonly Observation[],
  patientId: string,
  assessments: readonly Pick<Assessment, 'resources' | 'study'>[],
): readonly ChartForecast[] {
  const studies = new Map(assessments.map(({ resources, study }) => [resources?.riskAssessment, study.id]));
  return found
    .filter(({ id, subject }) => studies.has(`Observation/${id}`) && isPatient(subject?.reference, patientId))
    .map(({ id, status, issued = '', component, note }) => ({
      reference: `Observation/${id}`,
      study: `ImagingStudy/${studies.get(`Observation/${id}`)}`,
      writtenAt: issued,
      windowEnd: component?.find(({ code }) => isCoded(code, 'forecast-window'))?.valuePeriod?.end ?? null,
      mergedReferences: mergedReferences(note),
      isCurrent: CURRENT.has(status),
      forecast: null,
    }));
}

/** As api/ehr/risk-assessment.ts notes them. */
function mergedReferences(note: readonly Annotation[] | undefined): readonly string[] {
  const pattern = /^The imaging study names (Patient\/\S+), which the chart has replaced by /;
  return (note ?? []).flatMap(({ text }) => pattern.exec(text ?? '')?.[1] ?? []);
}

export function newestFirst(a: ChartForecast, b: ChartForecast): number {
  return (Date.parse(b.writtenAt) || 0) - (Date.parse(a.writtenAt) || 0);
}

const HOUR_MS = 3_600_000;

/**
 * Whether the time a forecast is about has passed. A day ends where it ends last on earth. That time begins before the forecast is
 * written: one that states no end has ended 72 h later, and one that states no time at all has ended.
 */
export function hasEnded({ windowEnd, writtenAt }: Pick<ChartForecast, 'windowEnd' | 'writtenAt'>, now: Date): boolean {
  const isDay = windowEnd?.includes('T') === false;
  const stated = Date.parse(windowEnd ?? '') + (isDay ? 36 * HOUR_MS : 0);
  const end = Number.isNaN(stated) ? Date.parse(writtenAt) + 72 * HOUR_MS : stated;
  return !(end >= now.getTime());
}
