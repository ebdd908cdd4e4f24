/** From a hook call to at most one card. A hook never waits for the model, and for the EHR only as long as DEADLINE_MS. */
import type { ImagingStudy, Observation, Procedure, Resource } from '@medplum/fhirtypes';
import type { AssessmentRecords } from '../assessment/assessment-records.ts';
import type { OperationMode } from '../assessment/operation.ts';
import type { StudyReference } from '../assessment/ports.ts';
import { parseStudyReference } from '../assessment/assessment.ts';
import { HemocastError } from '../errors.ts';
import { isWellFormed } from '../fhir-form.ts';
import type { Card } from './card.ts';
import { toCard } from './cards.ts';
import { isCurrent, newestFirst, readChartForecasts, readChartObservations } from './chart-forecasts.ts';
import { toForecast } from './forecast.ts';
import type { Forecast } from './forecast.ts';
import { toForecastCt } from './forecast-ct.ts';
import type { StudyList } from './forecast-ct.ts';
import { findStudy, hasLostItsGround } from './ground.ts';
import type { Ground } from './ground.ts';
import type { HookCall } from './hook-call.ts';
import { findOrder } from './orders.ts';
import { choosePatientState, isTooOld } from './patient-state.ts';
import type { BeginFault, Evidence, PatientState } from './patient-state.ts';
import { readPrefetch } from './prefetch.ts';
import { isPatient } from './reference.ts';
import type { PrefetchKey } from './services.ts';

export interface ChartSearch {
  readonly resourceType: 'RiskAssessment' | 'ImagingStudy' | 'Procedure' | 'Observation';
  readonly parameters: Readonly<Record<string, string>>;
}

/** Where a search goes: the EHR of this call, with the token lent for it, or with our own credential for our own EHR. */
export type ChartAccess = Pick<HookCall, 'fhirServer' | 'accessToken'> & { readonly isOwnEhr: boolean };

export interface HookParts {
  readonly records: Pick<AssessmentRecords, 'list'>;
  /** Every match, or an error. */
  searchChart(search: ChartSearch, access: ChartAccess, signal: AbortSignal): Promise<readonly Resource[]>;
  /** The initial CT after the latest thrombectomy; `now` undefined = however long ago. */
  findEligibleStudy(
    studies: readonly ImagingStudy[],
    procedures: readonly Procedure[],
    now: Date | undefined,
  ): string | undefined;
  /** Asks for the assessment and returns at once. */
  requestInBackground(study: StudyReference): void;
  /** Why nothing began when it was last asked for; undefined where that is not known to have failed. */
  beginFault(study: StudyReference): BeginFault | undefined;
  mode(): OperationMode;
  publicUrl(): string;
  /** The label of the network in use. */
  disclaimer(): string;
  now(): Date;
  /** False in the sandbox, whose simulated patients stay where they were in time. */
  readonly windowEnds: boolean;
}

/** Longest time the EHR may take for what the client did not send along, ms. The whole answer aims at 500 ms. */
const DEADLINE_MS = 300;

const ASSESSMENTS_READ = 20;

/** CDS Hooks 2.0.1, "HTTP Status Codes" of the response. */
export class PrefetchMissingError extends HemocastError {
  constructor() {
    super(
      'prefetch-missing',
      'Send the prefetch key riskAssessments, or fhirServer with fhirAuthorization: without them it cannot be told whether a result still stands.',
      { status: 412, issueType: 'required' },
    );
  }
}

export interface HookAnswer {
  readonly cards: readonly Card[];
  /** What the answer rests on, for /metrics. */
  readonly state: PatientState['kind'] | 'irrelevant' | 'paused';
}

/** Throws PrefetchMissingError. */
export async function answerHook(call: HookCall, isOwnEhr: boolean, parts: HookParts): Promise<HookAnswer> {
  const mode = parts.mode();
  if (mode === 'paused') return { cards: [], state: 'paused' };
  const order = findOrder(call);
  if (call.hook !== 'patient-view' && order === undefined) return { cards: [], state: 'irrelevant' };

  const { hook, hookInstance } = call;
  const publicUrl = parts.publicUrl();
  const cardOf = (state: PatientState): Card | undefined =>
    mode === 'shadow'
      ? undefined
      : toCard(state, { hook, hookInstance, order, publicUrl, disclaimer: parts.disclaimer() });
  const search = chartSearch(call, isOwnEhr, parts);
  const isShown = (forecast: Forecast): boolean => cardOf({ kind: 'result', forecast, windowEnd: null }) !== undefined;
  const evidence = await gatherEvidence(call, isOwnEhr, parts, search, isShown);
  const found = choosePatientState(evidence);
  if (found.kind === 'unknown') throw new PrefetchMissingError();
  if (found.kind === 'unassessed' && !isOwnEhr) return { cards: [], state: 'none' }; // its images are out of our reach
  const state = found.kind === 'unassessed' ? askFor(found.study, parts) : found;
  const card = cardOf(state);
  if (card === undefined) return { cards: [], state: state.kind };
  if (state.kind !== 'result') return { cards: [card], state: state.kind };
  const sources = { ...call, search };
  if (await hasLostItsGround(groundOf(state.forecast, evidence), sources)) return { cards: [], state: 'none' };
  // Its ground was just looked up: the EHR is not asked again.
  const ct = toForecastCt(await findStudy(state.forecast.study, sources), evidence.studies);
  return { cards: [cardOf({ ...state, ct })!], state: state.kind };
}

/** Asks for the assessment of a study that nobody has asked for, or for which nothing came of it. */
function askFor(study: string, parts: HookParts): PatientState {
  const reference = parseStudyReference(study);
  const fault = parts.beginFault(reference);
  parts.requestInBackground(reference);
  return fault === undefined ? { kind: 'unassessed', study } : { kind: 'not-begun', study, fault };
}

/** Undefined where it could not be had, or not in the form of R4. `mayBeUnknown`: an EHR that does not know the type holds none of it. */
type Search = (
  resourceType: ChartSearch['resourceType'],
  parameters: ChartSearch['parameters'],
  mayBeUnknown?: boolean,
) => Promise<readonly Resource[] | undefined>;

/** All searches of one call share its deadline, and the same one is made once. */
function chartSearch(call: HookCall, isOwnEhr: boolean, parts: HookParts): Search {
  const signal = AbortSignal.timeout(DEADLINE_MS);
  const asked = new Map<string, ReturnType<Search>>();
  const ask = async (...[resourceType, parameters, mayBeUnknown]: Parameters<Search>): ReturnType<Search> => {
    try {
      const found = await parts.searchChart({ resourceType, parameters }, { ...call, isOwnEhr }, signal);
      return found.every(isWellFormed) ? found : undefined;
    } catch (error) {
      if (!(error instanceof HemocastError)) throw error;
      const { status, page } = error.details ?? {};
      return mayBeUnknown && error.code === 'ehr-search-refused' && status === 404 && page === 0 ? [] : undefined;
    }
  };
  return (resourceType, parameters, mayBeUnknown = false) => {
    const key = JSON.stringify([resourceType, parameters, mayBeUnknown]);
    if (!asked.has(key)) asked.set(key, ask(resourceType, parameters, mayBeUnknown));
    return asked.get(key)!;
  };
}

function groundOf(
  { reference, study }: Forecast,
  { assessments, chart }: Pick<Evidence, 'assessments' | 'chart'>,
): Ground {
  const own = assessments.find(({ resources }) => resources?.riskAssessment === reference);
  const filed = chart?.find((forecast) => forecast.reference === reference);
  return {
    study,
    mergedReferences: filed?.mergedReferences ?? [],
    thrombectomy: own?.basis?.thrombectomy ?? null,
  };
}

/** False where the prefetch already says that the chart holds it no more, or no longer as a result. */
function mayStand({ reference }: Forecast, prefetch: HookCall['prefetch']): boolean {
  const { state, resources } = readPrefetch(prefetch, 'riskAssessments', 'RiskAssessment');
  if (state === 'missing' || state === 'partial' || !reference.startsWith('RiskAssessment/')) return true;
  return resources.some(({ id, status }) => `RiskAssessment/${id}` === reference && isCurrent(status));
}

async function gatherEvidence(
  { patientId, prefetch }: HookCall,
  isOwnEhr: boolean,
  parts: HookParts,
  search: Search,
  isShown: (forecast: Forecast) => boolean,
): Promise<Evidence & { readonly studies: StudyList | undefined }> {
  const patientReference = `Patient/${patientId}`;
  const assessments = isOwnEhr ? (await parts.records.list({ patientReference, limit: ASSESSMENTS_READ })).items : [];
  const areFiledAs = (type: string) =>
    assessments.filter(({ resources }) => resources?.riskAssessment.startsWith(`${type}/`));
  const holdsRiskAssessments = areFiledAs('RiskAssessment').length > 0;

  /** Prefetch first, our own query second; `mayAsk` false = what was sent has to do. */
  const read = async <K extends 'RiskAssessment' | 'ImagingStudy' | 'Procedure'>(
    key: PrefetchKey,
    resourceType: K,
    more: Record<string, string>,
    mayAsk: boolean,
  ) => {
    const sent = readPrefetch(prefetch, key, resourceType);
    if (sent.state === 'known') return { resources: sent.resources, isWhole: true };
    const mayBeUnknown = resourceType === 'RiskAssessment' && sent.state === 'missing' && !holdsRiskAssessments;
    const found =
      mayAsk && sent.state !== 'refused'
        ? await search(resourceType, { patient: patientId, ...more }, mayBeUnknown)
        : undefined;
    if (found !== undefined) return { resources: found as typeof sent.resources, isWhole: true };
    return sent.state === 'partial' ? { resources: sent.resources, isWhole: false } : undefined;
  };

  const [newest] = assessments;
  const result = assessments.find(({ status }) => status === 'completed');
  const isUnderWay = newest !== undefined && result === undefined && ['created', 'active'].includes(newest.status);
  const isNew = newest === undefined;
  const now = parts.now();
  const likely = result === undefined || isTooOld(result, { ...parts, now }) ? null : toForecast(result);
  const [riskAssessments, foundStudies, procedures] = await Promise.all([
    read('riskAssessments', 'RiskAssessment', {}, !isUnderWay),
    read('imagingStudies', 'ImagingStudy', { modality: 'CT' }, isNew),
    read('procedures', 'Procedure', { status: 'completed' }, isNew),
    // What the likely card rests on is asked for with the rest, not after it. (Of a merged record one search is in vain.)
    likely !== null &&
      mayStand(likely, prefetch) &&
      isShown(likely) &&
      hasLostItsGround(groundOf(likely, { assessments, chart: null }), { patientId, prefetch, search }),
  ]);

  const degraded = areFiledAs('Observation');
  const ids = degraded.map(({ resources }) => resources!.riskAssessment.slice('Observation/'.length));
  const observations = ids.length === 0 ? [] : await search('Observation', { _id: ids.join(',') });
  // Where every result is an Observation, it is not RiskAssessments that tell whether they stand.
  const filed =
    riskAssessments ?? (degraded.length > 0 && !holdsRiskAssessments ? { resources: [], isWhole: true } : undefined);
  const ofPatient = (reference: string | undefined): boolean => isPatient(reference, patientId);
  const studies = foundStudies && {
    ...foundStudies,
    resources: foundStudies.resources.filter(({ subject }) => ofPatient(subject?.reference)),
  };
  const eligible =
    studies && procedures
      ? parts.findEligibleStudy(
          studies.resources,
          procedures.resources.filter(({ subject }) => ofPatient(subject?.reference)),
          parts.windowEnds ? now : undefined,
        )
      : undefined;
  const chart = filed && [
    ...readChartForecasts(filed.resources, patientId),
    ...readChartObservations((observations ?? []) as readonly Observation[], patientId, degraded),
  ];
  return {
    assessments,
    chart: chart?.sort(newestFirst) ?? null,
    chartIsWhole: filed?.isWhole === true && observations !== undefined,
    eligible,
    studies,
    now,
    windowEnds: parts.windowEnds,
  };
}
