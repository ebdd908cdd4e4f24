/**
 * The forecast as the screen shows it: a RiskAssessment (api/ehr/risk-assessment.ts), or the Observation that stands for it in a chart
 * without (api/ehr/degraded.ts). What the service states in notes is read back here.
 */
import type { CodeableConcept, Observation, Period, Reference, RiskAssessment } from '@medplum/fhirtypes';
import { conceptText, hasCode, isResource, listOf, numberOf, textOf, timeOf } from './fhir-text.ts';

export interface Forecast {
  /** "RiskAssessment/<id>" or "Observation/<id>" */
  readonly reference: string;
  /** Of the resource: preliminary, final, entered-in-error ... */
  readonly status: string;
  readonly madeAt: string | undefined;
  readonly studyReference: string | undefined;
  readonly observationReferences: readonly string[];
  readonly deviceReference: string | undefined;
  /** 0..100; probabilityDecimal is a percentage in R4. Undefined where none is stated or it is out of range. */
  readonly probabilityPercent: number | undefined;
  readonly band: 'low' | 'moderate' | 'high' | undefined;
  readonly interval:
    | {
        readonly lowPercent: number;
        readonly highPercent: number;
        readonly levelPercent: number;
        readonly method: string;
      }
    | undefined;
  readonly assumedPrevalencePercent: number | undefined;
  readonly bandBounds: { readonly moderatePercent: number; readonly highPercent: number } | undefined;
  readonly window: { readonly start: string | undefined; readonly end: string | undefined } | undefined;
  /** What the network that made it was trained on and is not; undefined where the chart does not tell. */
  readonly label: string | undefined;
  /** Those of the limits that put the number itself in doubt, the gravest first. */
  readonly cautions: readonly string[];
  readonly limits: readonly string[];
  /** Notes that are none of the above: read, not interpreted. */
  readonly notes: readonly string[];
  readonly method: string | undefined;
  /** Why it was taken back, as the service noted it, and when. */
  readonly withdrawal: { readonly words: string; readonly at: string | undefined } | undefined;
  /** Its CT is filed under a record that the chart has merged into this patient's: a search of this patient need not list it. */
  readonly isOfMergedRecord: boolean;
  /** The forecast that this one supersedes. */
  readonly supersedes: string | undefined;
}

const PERCENT = '([\\d.]+) %';
const INTERVAL = new RegExp(`^${PERCENT} interval of the probability: ${PERCENT} to ${PERCENT}\\. Method: ([^]*)$`);
const PREVALENCE = new RegExp(`^Assumed share of patients who bleed \\(prevalence\\): ${PERCENT};`);
const BANDS = new RegExp(`^Risk bands: low below ${PERCENT}, moderate from ${PERCENT} to below ${PERCENT}, high from`);
const LIMIT = /^Limit of this result \(([a-z0-9-]+)\): ([^]*)$/;
/** Says more than the flag does that every forecast carries as well. */
const CONFOUNDER = /^Contrast agent left in the brain /;
const CONFOUNDER_FLAG = 'contrast-can-look-like-blood';
/** Flags (api/prediction/flags.ts) that put the number itself in doubt, the gravest first: said beside it. */
const CAUTIONS = [
  'out-of-distribution',
  'tasks-disagree',
  'procedure-unknown',
  'first-ct-uncertain',
  'time-since-procedure-unknown',
  'age-unknown',
];
/** The note with which every forecast begins; the cards know it by the same words (api/cds/chart-forecasts.ts). */
const LABEL = 'not a medical device';
/** The service notes it last (api/ehr/withdraw.ts). */
const WITHDRAWN = /^Withdrawn: ([^]+)$/;
const MERGED = /^The imaging study names \S+, which the chart has replaced by /;
const SUPERSEDES =
  /^(?:This is revision \d+; it|It) supersedes ((?:RiskAssessment|Observation)\/[A-Za-z0-9\-.]{1,64})[.,]/;

/**
 * @param patientReference "Patient/<id>" of the launch
 * @returns undefined for what is no forecast of ours; 'foreign' for one of another patient, which is never shown
 */
export function toForecast(value: unknown, patientReference: string): Forecast | 'foreign' | undefined {
  const stated = fieldsOf(value);
  if (stated === undefined || !hasCode(stated.resource.code, 'hemorrhage-forecast')) return undefined;
  const { resource } = stated;
  if (localReference(resource.subject?.reference) !== patientReference) return 'foreign';
  const notes = listOf(resource.note)
    .map(({ text }) => textOf(text) ?? '')
    .filter((text) => text !== '');
  const match = (pattern: RegExp): RegExpExecArray | undefined =>
    notes.map((note) => pattern.exec(note)).find((found) => found !== null) ?? undefined;
  const label = notes.find((note) => note.includes(LABEL));
  const known = [INTERVAL, PREVALENCE, BANDS, LIMIT, CONFOUNDER, SUPERSEDES, WITHDRAWN];
  const confounder = notes.filter((note) => CONFOUNDER.test(note));
  const limits = notes.map((note) => LIMIT.exec(note)).filter((limit) => limit !== null);
  const cautions = CAUTIONS.flatMap((caution) => limits.find(([, code]) => code === caution)?.[2] ?? []);
  const basis = listOf(stated.basis).map(({ reference }) => localReference(reference) ?? '');
  const interval = match(INTERVAL);
  const bands = match(BANDS);
  return {
    reference: `${resource.resourceType}/${resource.id}`,
    status: textOf(resource.status) ?? 'unknown',
    madeAt: textOf(stated.madeAt),
    studyReference: basis.find((reference) => reference.startsWith('ImagingStudy/')),
    observationReferences: basis.filter((reference) => reference.startsWith('Observation/')),
    deviceReference: localReference(stated.device?.reference),
    probabilityPercent: percentOf(stated.percent),
    band: bandOf(listOf(stated.band?.coding)[0]?.code),
    interval: interval && {
      levelPercent: Number(interval[1]),
      lowPercent: Number(interval[2]),
      highPercent: Number(interval[3]),
      method: interval[4],
    },
    assumedPrevalencePercent: percentOf(Number(match(PREVALENCE)?.[1])),
    bandBounds: bands && { moderatePercent: Number(bands[2]), highPercent: Number(bands[3]) },
    window: stated.window ? { start: textOf(stated.window.start), end: textOf(stated.window.end) } : undefined,
    label,
    cautions,
    limits: [
      ...cautions,
      ...confounder,
      ...limits
        .filter(([, code, text]) => !cautions.includes(text) && (confounder.length === 0 || code !== CONFOUNDER_FLAG))
        .map(([, , text]) => text),
    ],
    notes: notes.filter((note) => note !== label && !known.some((pattern) => pattern.test(note))),
    method: conceptText(resource.method),
    withdrawal: withdrawalOf(resource),
    isOfMergedRecord: match(MERGED) !== undefined,
    supersedes: match(SUPERSEDES)?.[1],
  };
}

/** What the two resource types call by different names. */
interface Stated {
  readonly resource: RiskAssessment | Observation;
  readonly percent: unknown;
  readonly band: CodeableConcept | undefined;
  readonly window: Period | undefined;
  readonly madeAt: unknown;
  readonly device: Reference | undefined;
  readonly basis: readonly Reference[] | undefined;
}

function fieldsOf(value: unknown): Stated | undefined {
  if (isResource<RiskAssessment>(value, 'RiskAssessment')) {
    const prediction = listOf(value.prediction)[0];
    return {
      resource: value,
      percent: prediction?.probabilityDecimal, // a percentage in R4
      band: prediction?.qualitativeRisk,
      window: prediction?.whenPeriod,
      madeAt: value.occurrenceDateTime,
      device: value.performer,
      basis: value.basis,
    };
  }
  if (!isResource<Observation>(value, 'Observation')) return undefined;
  const { valueQuantity, interpretation, component, issued, device, derivedFrom } = value;
  return {
    resource: value,
    percent: valueQuantity?.code === '%' ? valueQuantity.value : undefined,
    band: listOf(interpretation)[0],
    window: listOf(component).find(({ code }) => hasCode(code, 'forecast-window'))?.valuePeriod,
    madeAt: issued,
    device,
    basis: derivedFrom,
  };
}

function withdrawalOf({ note }: RiskAssessment | Observation): Forecast['withdrawal'] {
  const line = listOf(note).findLast(({ text }) => WITHDRAWN.test(textOf(text) ?? ''));
  return line && { words: WITHDRAWN.exec(line.text!.trim())![1], at: textOf(line.time) };
}

function percentOf(value: unknown): number | undefined {
  const percent = numberOf(value);
  return percent !== undefined && percent >= 0 && percent <= 100 ? percent : undefined;
}

function bandOf(code: unknown): Forecast['band'] {
  return code === 'low' || code === 'moderate' || code === 'high' ? code : undefined;
}

const RELATIVE = /(?:^|\/)([A-Z][A-Za-z]{1,63}\/[A-Za-z0-9\-.]{1,64})(?:\/_history\/[^/]+)?$/;

/** "Type/id" of a reference to this EHR, with or without base and version. */
export function localReference(reference: unknown): string | undefined {
  return RELATIVE.exec(textOf(reference) ?? '')?.[1];
}

/**
 * 'past': it would count, and the time it is about is over. 'ungrounded': it would count, and the chart does not list its CT.
 * 'unsettled': its status does not say that there is a result (ObservationStatus registered, unknown), or is none.
 */
export type Standing = 'current' | 'past' | 'superseded' | 'ungrounded' | 'unsettled' | 'withdrawn';

/** As the cards hold it (api/cds/chart-forecasts.ts). */
export const SETTLED = new Set(['preliminary', 'final', 'amended', 'corrected']);

export interface ChosenForecast {
  /** Undefined where the chart has none that may be shown. */
  readonly shown: Forecast | undefined;
  readonly standing: Standing;
  /** What counts instead of `shown`, or `shown` itself: of the same CT where there is one. */
  readonly current: Forecast | undefined;
  /** Newest first, `shown` among them. */
  readonly all: readonly { readonly forecast: Forecast; readonly standing: Standing }[];
}

/** What a card, or the user, asked to see. */
export interface Requested {
  readonly riskAssessment?: string;
  readonly imagingStudy?: string;
}

/**
 * Of one CT one forecast counts, until its window ends: the newest that is neither withdrawn (entered-in-error) nor superseded (the
 * service marks it cancelled, a later one names it) nor unsettled. Every other of that CT counts no more, whether or not a later one
 * names it. A forecast from another CT replaces none: a card speaks of the first CT also where a later one was assessed since.
 * The requested one is shown where it is one of this patient's, else the one that counts of the requested CT, else the newest that
 * counts, else the newest that is past.
 *
 * @param now undefined where no window ends (Session.windowEnds)
 * @param lacksCt whether the chart lists the CT of a forecast no more
 */
export function chooseForecast(
  forecasts: readonly Forecast[],
  requested: Requested = {},
  now?: Date,
  lacksCt: (forecast: Forecast) => boolean = () => false,
): ChosenForecast {
  const newestFirst = [...forecasts].sort((a, b) => (timeOf(b.madeAt) || 0) - (timeOf(a.madeAt) || 0));
  const standing = newestFirst.filter((forecast) => !isWithdrawn(forecast));
  const replaced = new Set(standing.map(({ supersedes }) => supersedes));
  const isReplaced = ({ reference, status }: Forecast): boolean => status === 'cancelled' || replaced.has(reference);
  const valid = standing.filter((forecast) => !isReplaced(forecast) && SETTLED.has(forecast.status));
  const standingOf = (forecast: Forecast): Standing => {
    if (isWithdrawn(forecast)) return 'withdrawn';
    if (!isReplaced(forecast) && !SETTLED.has(forecast.status)) return 'unsettled';
    const newest = valid.find(({ studyReference }) => studyReference === forecast.studyReference);
    if (forecast !== newest) return 'superseded';
    if (lacksCt(forecast)) return 'ungrounded';
    return now !== undefined && hasEnded(forecast, now) ? 'past' : 'current';
  };
  const all = newestFirst.map((forecast) => ({ forecast, standing: standingOf(forecast) }));
  const counting = all.filter((one) => one.standing === 'current').map(({ forecast }) => forecast);
  const countingOf = (study: string | undefined): Forecast | undefined =>
    counting.find(({ studyReference }) => studyReference === study) ?? counting[0];
  const shown =
    all.find(({ forecast }) => forecast.reference === requested.riskAssessment)?.forecast ??
    countingOf(requested.imagingStudy) ??
    valid[0];
  const current = shown && countingOf(shown.studyReference);
  return { shown, standing: shown === undefined ? 'current' : standingOf(shown), current, all };
}

function isWithdrawn({ status }: Forecast): boolean {
  return status === 'entered-in-error';
}

const HOUR_MS = 3_600_000;

/** As the cards hold it (api/cds/chart-forecasts.ts): without an end, 72 h after it was made; without any time, always. */
function hasEnded({ window, madeAt }: Forecast, now: Date): boolean {
  const isDay = window?.end?.includes('T') === false;
  const stated = timeOf(window?.end) + (isDay ? 36 * HOUR_MS : 0);
  const end = Number.isNaN(stated) ? timeOf(madeAt) + 72 * HOUR_MS : stated;
  return !(end >= now.getTime());
}
