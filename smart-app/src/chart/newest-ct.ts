/** Which CT a forecast rests on, and whether that is the newest: in words that claim no more than the chart's times tell. */
import { dateTimeText, timeOf } from './fhir-text.ts';
import { newerThan } from './studies.ts';
import type { StudyList } from './studies.ts';
import type { Work } from './work.ts';

export interface CtWords {
  readonly text: string;
  /** Whether the forecast does not rest on the newest CT, or that is not known. */
  readonly warns: boolean;
}

export function ctWords(
  { studies, problem }: StudyList,
  studyReference: string | undefined,
  work: Work | undefined,
): CtWords {
  const newer = newerThan(studies ?? [], studyReference);
  if (newer !== undefined) {
    const fate = isAbout(work, newer.reference) ? (FATES[work.kind] ?? '') : '';
    return { text: newerText(dateTimeText(newer.startedAt) ?? 'time not stated', fate), warns: true };
  }
  if (problem !== undefined) {
    const text = `The CT studies could not be read: whether a newer CT is in the chart is not known. ${problem}`;
    return { text, warns: true };
  }
  if (studies === undefined) return { text: 'Looking for newer CT studies …', warns: false };
  const own = studies.find(({ reference }) => reference === studyReference);
  const at = own && dateTimeText(own.startedAt);
  if (at === undefined) {
    return {
      text: 'Whether a newer CT is in the chart is not known: no time is stated for the CT of the forecast.',
      warns: true,
    };
  }
  const areTimed = studies.every(({ startedAt }) => startedAt?.includes('T') && !Number.isNaN(timeOf(startedAt)));
  const newest = areTimed ? 'the newest' : 'the newest whose time is known';
  return { text: `The forecast rests on the CT of ${at}, ${newest}.`, warns: false };
}

/** The longest that comes without a fault, for the room that it needs. */
export const LONGEST = newerText('20 Sep 2026, 00:00 (UTC+00:00)', ', being assessed');

function newerText(at: string, fate: string): string {
  return `A newer CT is in the chart: ${at}${fate}. The forecast rests on the earlier one.`;
}

/** What the service did with a CT so far. */
const FATES: Readonly<Partial<Record<Work['kind'], string>>> = {
  open: ', being assessed',
  refused: ', not assessed',
  failed: ', not assessed',
};

function isAbout(work: Work | undefined, reference: string): work is Extract<Work, { assessment: unknown }> {
  return work !== undefined && 'assessment' in work && work.assessment.imagingStudy === reference;
}
