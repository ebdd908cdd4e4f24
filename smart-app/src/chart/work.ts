/** What the service is doing for this patient: under way, refused, failed. The chart itself holds completed forecasts only. */
import type { components } from '../../../api/generated/openapi.d.ts';

export type Assessment = components['schemas']['Assessment'];

export type Work =
  /** The service does not tell this user: nothing is offered that it would refuse. */
  | { readonly kind: 'unknown' }
  /** It does not answer at present. */
  | { readonly kind: 'silent' }
  | { readonly kind: 'idle' }
  /** 'kept': completed in shadow operation, so that the chart never holds it. */
  | { readonly kind: 'open' | 'refused' | 'failed' | 'kept'; readonly assessment: Assessment }
  /** Completed: what is read of the chart from `seenAt` (ms) on should hold it. */
  | { readonly kind: 'filed'; readonly assessment: Assessment; readonly seenAt: number };

/** The newest assessment decides, of `studyReference` where given; cancelled ones are as if they had never been asked for. */
export function toWork(items: readonly Assessment[], patientReference: string, studyReference?: string): Work {
  const newest = items
    .filter(({ patient, status }) => patient === patientReference && status !== 'cancelled')
    .filter(({ imagingStudy }) => studyReference === undefined || imagingStudy === studyReference)
    .sort((a, b) => Date.parse(b.updatedAt) - Date.parse(a.updatedAt))[0];
  if (newest === undefined) return { kind: 'idle' };
  if (newest.status === 'completed') {
    const isKept = newest.flags.some(({ code }) => code === 'shadow-operation');
    if (isKept) return { kind: 'kept', assessment: newest };
    return newest.withdrawal === null ? { kind: 'filed', assessment: newest, seenAt: Date.now() } : { kind: 'idle' };
  }
  if (newest.status === 'refused' || newest.status === 'failed') return { kind: newest.status, assessment: newest };
  return { kind: 'open', assessment: newest };
}

/** A forecast is about 72 h, from a CT that may be 72 h old: nobody misses one that was filed before. */
const LONGEST_WINDOW_MS = 2 * 72 * 3_600_000;

/** Whether the chart that was read holds what was filed ('listed': or is so old that nobody misses it); not known where it was read before, or not whole. */
export type Filed = 'listed' | 'not-known' | 'absent';

export function judgeFiled(
  { assessment, seenAt }: Extract<Work, { kind: 'filed' }>,
  references: readonly string[],
  read: { readonly at: number; readonly isWhole: boolean },
): Filed {
  const isOld = Date.parse(assessment.createdAt) < seenAt - LONGEST_WINDOW_MS;
  if (isOld || references.includes(assessment.resources?.riskAssessment ?? '')) return 'listed';
  return read.isWhole && read.at >= seenAt ? 'absent' : 'not-known';
}

const STAGES: Readonly<Record<string, string>> = {
  'waiting-for-instances': 'Waiting for images that have not arrived in the archive yet',
  'choosing-series': 'Choosing the series to read',
  retrieving: 'Fetching the images',
  'reading-scan': 'Reading the scan',
  'writing-back': 'Writing the result into the chart',
};

export function stageText({ stage, status, paused }: Pick<Assessment, 'stage' | 'status' | 'paused'>): string {
  if (paused) return 'The service is paused: the scan waits until it runs again';
  return status === 'created' || stage === null ? 'Waiting for its turn' : (STAGES[stage] ?? 'Working');
}

/** How long it takes here, measured; nothing where the service has not told. */
export function usualText(usualMs: number | null): string {
  if (usualMs === null) return '';
  const seconds = Math.max(1, Math.round(usualMs / 1000));
  const minutes = Math.round(seconds / 60);
  const time = seconds < 100 ? count(seconds, 'second') : count(minutes, 'minute');
  return `The latest ones here took about ${time} once their turn had come.`;
}

const count = (number: number, unit: string): string => `${number} ${unit}${number === 1 ? '' : 's'}`;

const ANOTHER = 'Choose another study, or judge the scan without a forecast.';
const NEXT_STEPS: readonly (readonly [RegExp, string])[] = [
  [/^study-incomplete$/, 'Ask again when every image has arrived in the archive.'],
  [/^identity-conflict$/, 'Have the identity of the images checked before anyone relies on them.'],
  [
    /^(too-long-after-procedure|patient-under-18)$/,
    'The patient is outside what the network was made for: judge the scan without a forecast.',
  ],
  [
    /^(contrast-enhanced|bone-kernel-only|image-type-|synthetic-input)/,
    'Send a non-contrast axial series in a soft-tissue kernel, or choose another study.',
  ],
  [
    /^(model-output-invalid|out-of-distribution|tasks-disagree)$/,
    'Judge the scan without a forecast; the same scan would be refused again.',
  ],
];

/** What a refusal asks of its reader. */
export function nextStep(code: string): string {
  return NEXT_STEPS.find(([pattern]) => pattern.test(code))?.[1] ?? ANOTHER;
}
