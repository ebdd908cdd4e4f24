/**
 * From what is known to the one card that is worth a clinician's seconds, or to none. The table of when a card appears is
 * `isWorthShowing`; every text that does not stem from this file is escaped.
 */
import type { FlagCode } from '../prediction/flags.ts';
import type { Measured, Measurements } from '../prediction/prediction.ts';
import { cardUuid } from './card.ts';
import type { Card, CardLink } from './card.ts';
import type { Forecast } from './forecast.ts';
import type { ForecastCt } from './forecast-ct.ts';
import type { HookName } from './hook-call.ts';
import { escapeMarkdown } from './markdown.ts';
import type { PatientState } from './patient-state.ts';
import { OVERRIDE_REASONS, TOPIC } from './value-sets.ts';
import type { OrderConcept } from './value-sets.ts';

export interface CardSetting {
  readonly hook: HookName;
  readonly hookInstance: string;
  /** The order the card is about; undefined in patient-view. */
  readonly order: OrderConcept | undefined;
  /** Where browsers reach this service, without trailing slash. */
  readonly publicUrl: string;
  /** The label of the network in use: a result carries that of the network that made it, where that is known. */
  readonly disclaimer: string;
}

type Shown = Exclude<PatientState, { kind: 'none' | 'unknown' }>;

/** The confounder of every result (prediction/flags.ts); also said where only the chart tells of the result. */
const CONTRAST_FLAG: FlagCode = 'contrast-can-look-like-blood';

/** Limits of a result that a card spells out; the app lists the rest. */
const MOST_FLAGS = 3;

/** At most one card; undefined where there is nothing useful to say. */
export function toCard(state: PatientState, setting: CardSetting): Card | undefined {
  if (state.kind === 'none' || state.kind === 'unknown' || !isWorthShowing(state, setting)) return undefined;
  const { hook, hookInstance, publicUrl, disclaimer } = setting;
  const { summary, detail } = WORDS[state.kind](state as never, setting);
  const isResult = state.kind === 'result';
  return {
    uuid: cardUuid(hookInstance, hook, state.kind, isResult ? state.forecast.reference : state.study),
    summary,
    detail: [...detail, `_${escapeMarkdown((isResult && state.forecast.label) || disclaimer)}_`].join('\n\n'),
    indicator: isResult && state.forecast.band === 'high' ? 'warning' : 'info',
    source: { label: 'hemocast, research use only', url: `${publicUrl}/docs`, topic: TOPIC },
    links: [toAppLink(state, publicUrl)],
    ...(isResult && { overrideReasons: OVERRIDE_REASONS }),
  };
}

/**
 * A low forecast never stands beside an order for the next CT, where it could be read as advice to skip it; elsewhere it is
 * said once, when a drug is signed. What went wrong is said once as well, at the same moment.
 */
function isWorthShowing(state: Shown, { hook, order }: CardSetting): boolean {
  const isDrug = order?.kind === 'antithrombotic' || order?.kind === 'thrombolysis';
  const signsDrug = hook === 'order-sign' && isDrug;
  if (hook !== 'patient-view' && order === undefined) return false;
  switch (state.kind) {
    case 'result':
      if (state.forecast.band === 'low') return signsDrug;
      return hook === 'patient-view' || isDrug || hook === 'order-sign';
    case 'pending':
    case 'unassessed':
      return hook === 'patient-view' || isDrug;
    case 'not-begun':
    case 'refused':
    case 'failed':
      return signsDrug;
  }
}

interface Words {
  readonly summary: string;
  readonly detail: readonly string[];
}

const WORDS: { readonly [K in Shown['kind']]: (state: Extract<Shown, { kind: K }>, setting: CardSetting) => Words } = {
  result: ({ forecast, windowEnd, ct }, { order, disclaimer }) => {
    const { probability, band, interval } = forecast;
    const range =
      interval === null
        ? ''
        : `, ${percent(interval.level)} interval ${percent(interval.low)} to ${percent(interval.high)}`;
    return {
      summary: `Hemorrhage within 72 h after thrombectomy: ${percent(probability)} (${band})${range}`,
      detail: [
        `**${percent(probability)} (${band})** forecast risk of intracranial hemorrhage within 72 h after thrombectomy${range}. ${frequency(forecast, disclaimer)}`,
        facts(forecast, windowEnd, ct).join('\n'),
        inform(order),
      ],
    };
  },
  pending: ({ waitsForImages }) => ({
    summary: 'Forecast of hemorrhage: not ready yet, follow it live in the app',
    detail: [
      waitsForImages
        ? 'The initial CT is still arriving. The forecast starts when all of its images are there.'
        : 'The initial CT is being read. The result appears in the app, and here at the next step.',
    ],
  }),
  unassessed: () => ({
    summary: 'Forecast of hemorrhage: not ready yet, it has been asked for',
    detail: [
      'The forecast from the first CT after the thrombectomy has been asked for. If it can be made, it appears in the app, and here at a later step.',
    ],
  }),
  'not-begun': ({ fault }) => {
    const why =
      fault === null ? 'a technical fault.' : `${escapeMarkdown(fault.message)} (${escapeMarkdown(fault.code)})`;
    return {
      summary: 'No forecast of hemorrhage: reading the initial CT could not be started',
      detail: [
        `Why: ${why} It is tried again at a later step, and can be in the app. The absence of a forecast says nothing about the risk.`,
      ],
    };
  },
  refused: ({ refusal }) => ({
    summary: 'No forecast of hemorrhage: the initial CT cannot be read',
    detail: [
      `Why: ${escapeMarkdown(refusal.message)} (${escapeMarkdown(refusal.code)}) The absence of a forecast says nothing about the risk.`,
    ],
  }),
  failed: () => ({
    summary: 'No forecast of hemorrhage: a technical fault of the service stopped it',
    detail: [
      'The fault is ours, not the scan’s. It can be tried again in the app. The absence of a forecast says nothing about the risk.',
    ],
  }),
};

/** "about 62" of 100; a small share is never none and a large one never all. */
function count(percent: number): string {
  if (percent > 0 && percent < 1) return 'fewer than 1';
  return percent > 99 && percent < 100 ? 'more than 99' : `about ${Math.round(percent)}`;
}

/** The base rate beside the number, in natural frequencies. */
function frequency({ probability, assumedPrevalence, label }: Forecast, disclaimer: string): string {
  const patients = (label ?? disclaimer).includes('simulated data')
    ? 'simulated patients'
    : 'patients of its calibration data';
  const base =
    assumedPrevalence === null
      ? ''
      : `, if ${Math.round(assumedPrevalence * 100)} of 100 do overall (assumed base rate)`;
  return `Of 100 ${patients} with such a scan, ${count(probability * 100)} bleed${base}.`;
}

function facts(forecast: Forecast, windowEnd: string | null, ct: ForecastCt | undefined): string[] {
  const { measurements, flags, model } = forecast;
  const more = flags.length - MOST_FLAGS;
  return [
    ...(measurements === null ? [] : [`- Measured on the first CT: ${measured(measurements)}`]),
    ...(ct === undefined ? [] : ctFacts(ct)),
    ...(windowEnd === null ? [] : [`- Forecast until ${inWords(windowEnd)}`]),
    ...flags.slice(0, MOST_FLAGS).map(({ message }) => `- Limit: ${escapeMarkdown(message)}`),
    ...(more > 0 ? [`- ${more} more ${more === 1 ? 'limit' : 'limits'} in the app`] : []),
    ...(flags.some(({ code }) => code === CONTRAST_FLAG)
      ? []
      : ['- Leftover contrast can look like blood on the first CT.']),
    ...(model === null ? [] : [`- Model ${escapeMarkdown(model)}`]),
  ];
}

function ctFacts({ startedAt, newerStartedAt }: ForecastCt): string[] {
  const own = `- CT of ${inWords(startedAt)}`;
  if (newerStartedAt === null) return [own];
  return [own, `- A newer CT is in the chart: ${inWords(newerStartedAt)}. The forecast rests on the earlier one.`];
}

function measured({ hyperdenseVolumeMl, maxHu, meanHu, side }: Measurements): string {
  const number = (value: Measured<number>, unit: string): string =>
    value.value === null ? 'not available' : `${Math.round(value.value * 10) / 10} ${unit}`;
  if (hyperdenseVolumeMl.value === 0) return 'no hyperdense area above 50 HU';
  const where = side.value === null ? '' : `, ${side.value}`;
  return `hyperdense ${number(hyperdenseVolumeMl, 'mL')}${where}, maximum ${number(maxHu, 'HU')}, mean ${number(meanHu, 'HU')}`;
}

/** "2026-03-13, 00:31 (+01:00)": the chart's own clock, not the server's. */
function inWords(dateTime: string): string {
  const match = /^(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2})(?::\d{2}(?:\.\d+)?)?(Z|[+-]\d{2}:\d{2})$/.exec(dateTime);
  if (match === null) return escapeMarkdown(dateTime);
  const [, day, time, zone] = match;
  return `${day}, ${time} (${zone === 'Z' ? 'UTC' : zone})`;
}

/** Informs, and advises neither for nor against the order; never that a CT may be left out. */
function inform(order: OrderConcept | undefined): string {
  const neutral = 'This card advises neither for nor against the order.';
  switch (order?.kind) {
    case 'thrombolysis':
      return `Worth weighing before ${order.name} is given. ${neutral}`;
    case 'antithrombotic':
      return `Worth weighing when ${order.name} is timed, with blood pressure and the follow-up CT. ${neutral}`;
    case 'head-ct':
      return 'Worth weighing when the CT is timed. The generated follow-up image replaces no scan.';
    default:
      return 'Worth knowing for blood pressure, the timing of the follow-up CT and the start of antithrombotic drugs.';
  }
}

function toAppLink(state: Shown, publicUrl: string): CardLink {
  const imagingStudy = state.kind === 'result' ? state.forecast.study : state.study;
  const shown = state.kind === 'result' ? state.forecast.reference : undefined;
  const context = shown === undefined ? { imagingStudy } : { riskAssessment: shown, imagingStudy };
  const label = shown === undefined ? 'Open hemocast' : 'Show the scan and the forecast in hemocast';
  return { label, url: `${publicUrl}/app/launch.html`, type: 'smart', appContext: JSON.stringify(context) };
}

/** Whole percents; a small risk is never rounded to none, nor a large one to certainty. */
function percent(share: number): string {
  if (share > 0 && share < 0.005) return 'below 1 %';
  if (share < 1 && share >= 0.995) return 'above 99 %';
  return `${Math.round(share * 100)} %`;
}
