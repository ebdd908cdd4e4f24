/** Reading the chart, first what the first screen needs. Everything is held against the patient of the launch. */
import { SESSION_OVER } from '../session/launched.ts';
import type { EhrReader, Session } from '../session/launched.ts';
import { NAMESPACE } from './fhir-text.ts';
import { toFindings } from './findings.ts';
import type { Finding } from './findings.ts';
import { chooseForecast, toForecast } from './forecast.ts';
import type { ChosenForecast, Forecast, Requested } from './forecast.ts';
import { toPatientSummary } from './patient.ts';
import type { PatientSummary } from './patient.ts';
import { toCardText, toComparison, toGeneratedImage, toModelName, toOrigin, toWithdrawnAt } from './provenance.ts';
import type { Comparison, GeneratedImage, ModelName, Origin } from './provenance.ts';
import { toStandingReferences, toStudies } from './studies.ts';
import type { StudyList } from './studies.ts';
import { toWork } from './work.ts';
import type { Assessment, Work } from './work.ts';
import type { components } from '../../../api/generated/openapi.d.ts';

type ModelSummary = components['schemas']['ModelSummary'];

export interface FirstScreen {
  readonly patient: PatientSummary;
  readonly chosen: ChosenForecast;
  /** How many resources the EHR returned that are another patient's: left out, and said so. */
  readonly foreign: number;
  /** Why the chart may hold forecasts that are not among these, in words. */
  readonly problem: string | undefined;
  /** The Observations among what was read: they stand in for a list that cannot be read at the next look. */
  readonly observations: readonly unknown[];
  /** When the reading began, ms. */
  readonly readAt: number;
  /** When the reading began in which each forecast was found first, by its reference. */
  readonly firstSeen: ReadonlyMap<string, number>;
}

export interface Details {
  readonly findings: readonly Finding[];
  readonly origin: Origin | undefined;
  readonly model: ModelName | undefined;
  readonly image: GeneratedImage | undefined;
  /** Both CTs in one picture. */
  readonly comparison: Comparison | undefined;
  /** Of the Provenance that took it back. */
  readonly withdrawnAt: string | undefined;
  /** Parts that could not be read, in words. */
  readonly missing: readonly string[];
}

/**
 * Throws with words for the user.
 *
 * @param earlier the look before: what it found is not gone because a list cannot be read
 */
export async function readFirstScreen(
  { ehr, patientReference, windowEnds }: Pick<Session, 'ehr' | 'patientReference' | 'windowEnds'>,
  requested: Requested,
  earlier?: FirstScreen,
): Promise<FirstScreen> {
  const now = new Date();
  // Newest first: one that is written while the pages are read moves others to a later page and none past the end.
  const [patientResource, { assessments, observations, problem }] = await Promise.all([
    ehr.read(patientReference),
    readForecasts(ehr, patientReference, earlier),
  ]);
  const patient = toPatientSummary(patientResource, patientReference, now);
  if (patient === undefined)
    throw new Error('The EHR answered with another patient than the one the app was opened for.');
  const read = [...assessments, ...observations].map((resource) => toForecast(resource, patientReference));
  const forecasts = read.filter((entry): entry is Forecast => typeof entry === 'object');
  const foreign = read.filter((entry) => entry === 'foreign').length;
  const chosen = chooseForecast(forecasts, requested, windowEnds ? now : undefined);
  const readAt = now.getTime();
  const firstSeen = new Map(forecasts.map(({ reference }) => [reference, earlier?.firstSeen.get(reference) ?? readAt]));
  return { patient, chosen, foreign, problem, observations, readAt, firstSeen };
}

const FORECAST_CODE = encodeURIComponent(`${NAMESPACE}CodeSystem/finding|hemorrhage-forecast`);
/** Longest wait for the form that few charts hold, where the other one was read, ms. */
const OBSERVATIONS_MS = 5_000;

interface ForecastLists extends Pick<FirstScreen, 'observations' | 'problem'> {
  readonly assessments: readonly unknown[];
}

/**
 * Both forms in which a chart keeps forecasts. An EHR that does not know RiskAssessment answers 404 (http://hl7.org/fhir/R4/http.html)
 * and has Observations. Observations that cannot be read are told of; anything else that cannot be read is thrown.
 */
async function readForecasts(
  ehr: EhrReader,
  patientReference: string,
  earlier: FirstScreen | undefined,
): Promise<ForecastLists> {
  const search = `subject=${patientReference}&_sort=-date&_count=50`;
  const reading = ehr.search(`Observation?code=${FORECAST_CODE}&${search}`);
  reading.catch(() => undefined); // it may fail before anyone waits for it
  try {
    const assessments = await ehr.search(`RiskAssessment?${search}`);
    try {
      return { assessments, observations: await within(OBSERVATIONS_MS, reading, 'Observation'), problem: undefined };
    } catch (error) {
      const observations = earlier?.observations ?? [];
      const old = observations.length > 0 ? ' What is shown of it was read earlier.' : '';
      return { assessments, observations, problem: wordsOf(error) + old };
    }
  } catch (error) {
    const isKnownType = earlier?.chosen.all.some(({ forecast }) => forecast.reference.startsWith('RiskAssessment/'));
    if ((error as { status?: number }).status !== 404 || isKnownType) throw error;
    return { assessments: [], observations: await reading, problem: undefined };
  }
}

async function within<T>(ms: number, reading: Promise<T>, what: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const tooLong = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`The EHR did not give its list of ${what} in time.`)), ms);
  });
  return Promise.race([reading, tooLong]).finally(() => clearTimeout(timer));
}

/** Of anything thrown, in words for the user. */
export function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : 'Unknown reason.';
}

/** What stands behind one forecast. A part that cannot be read is named; it never hides the others. */
export async function readDetails(ehr: EhrReader, patientReference: string, forecast: Forecast): Promise<Details> {
  const missing: string[] = [];
  const attempt = async <T>(what: string, read: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await read();
    } catch {
      missing.push(what);
      return undefined;
    }
  };
  const readAll = (references: readonly string[]): Promise<unknown[]> =>
    Promise.all(references.map((r) => ehr.read(r)));
  const device = forecast.deviceReference;
  const [observations, provenances, deviceResource] = await Promise.all([
    attempt('the measurements', () => readAll(forecast.observationReferences)),
    attempt('the provenance', () => ehr.search(`Provenance?target=${forecast.reference}`)),
    device?.startsWith('Device/') ? attempt('the name of the model', () => ehr.read(device)) : undefined,
  ]);
  const origin = toOrigin(provenances ?? [], forecast.reference);
  const pictures = await attempt('the generated image', () => readAll(origin?.pictureReferences ?? []));
  return {
    findings: toFindings(observations ?? [], patientReference),
    origin,
    model: toModelName(deviceResource),
    image: toGeneratedImage(pictures ?? [], patientReference, forecast.studyReference),
    comparison: toComparison(pictures ?? [], patientReference, forecast.studyReference),
    withdrawnAt: toWithdrawnAt(provenances ?? [], forecast.reference),
    missing,
  };
}

/** Throws with words for the user. */
export async function readStudies({
  ehr,
  patientReference,
}: Pick<Session, 'ehr' | 'patientReference'>): Promise<Omit<StudyList, 'problem'>> {
  const readAt = Date.now();
  const found = await ehr.search(`ImagingStudy?subject=${patientReference}&_count=50`);
  return {
    studies: toStudies(found, patientReference),
    standing: toStandingReferences(found, patientReference),
    readAt,
  };
}

/**
 * The card as the chart holds it. It is about no patient, so that `patient/` scopes may not open it; the service then has it, as long
 * as the model in use is the one that made the forecast. Undefined where it could not be had.
 */
export async function readModelCard(
  { ehr, callService }: Pick<Session, 'ehr' | 'callService'>,
  reference: string | undefined,
  sha256: string | undefined,
): Promise<string | undefined> {
  const filed =
    reference === undefined ? undefined : await orUndefined(async () => toCardText(await ehr.read(reference)));
  if (filed !== undefined || sha256 === undefined) return filed;
  return orUndefined(async () => {
    const { items } = (await (await callService('/v1/models')).json()) as { items: readonly ModelSummary[] };
    return items.find((model) => model.sha256 === sha256)?.cardMarkdown;
  });
}

async function orUndefined<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch {
    return undefined;
  }
}

/** A service that takes longer is silent, ms. */
const SILENT_AFTER_MS = 10_000;

/** 'unknown' where the service does not let this user ask, 'silent' where it gives no answer. */
export async function readWork(
  { callService, patientReference }: Pick<Session, 'callService' | 'patientReference'>,
  studyReference?: string,
): Promise<Work> {
  try {
    const init = { signal: AbortSignal.timeout(SILENT_AFTER_MS) };
    const response = await callService(`/v1/assessments?patient=${patientReference}&limit=50`, init);
    if (response.status === 401 || response.status === 403) return { kind: 'unknown' };
    if (!response.ok) return { kind: 'silent' };
    const { items } = (await response.json()) as { items: readonly Assessment[] };
    return toWork(items, patientReference, studyReference);
  } catch {
    return { kind: 'silent' };
  }
}

/** Asks the service to assess a study. Throws with words for the user. */
export async function requestAssessment(
  { callService }: Pick<Session, 'callService'>,
  studyReference: string,
): Promise<void> {
  const response = await callService('/v1/assessments', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ imagingStudy: studyReference }),
  }).catch(() => undefined);
  if (response?.ok) return;
  if (response?.status === 401) throw new Error(SESSION_OVER);
  const problem = (await response?.json().catch(() => undefined)) as { detail?: unknown } | undefined;
  throw new Error(typeof problem?.detail === 'string' ? problem.detail : 'The hemocast service could not be reached.');
}
