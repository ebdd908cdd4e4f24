import type { Flag } from './prediction.ts';

/** What limits a result without forbidding it, the gravest first. Codes are stable; the words are what a clinician reads. */
export const FLAGS = {
  'out-of-distribution': 'This scan differs from what the network was trained on; the forecast may be off.',
  'tasks-disagree':
    'The generated follow-up and the probability do not say the same of hemorrhage; rely on neither without looking.',
  'procedure-unknown': 'No thrombectomy was found in the chart; the forecast assumes one took place.',
  'first-ct-uncertain': 'It is not certain that this is the first CT after the thrombectomy, the only one in scope.',
  'time-since-procedure-unknown':
    'It is not certain that the CT was taken within 24 h after the procedure, the only time in scope.',
  'age-unknown': 'The age of the patient is not known; adults only are in scope.',
  'contrast-can-look-like-blood': 'Leftover contrast can look like blood on the first CT.',
  'window-from-ct': 'The end of the procedure is not known: the 72 h window is counted from the CT.',
  'identity-partial': 'Some patient identifiers could not be compared between chart and images.',
  'tube-voltage-absent': 'The tube voltage is not stated.',
  'slice-thickness-absent': 'The slice thickness is not stated; gaps were judged by slice positions alone.',
  'body-part-absent': 'The body part is not stated; the head was recognized by its content.',
  'slice-gap-wide': 'Slices are wider apart than they are thick; small findings between them may be missed.',
  'vertex-not-covered': 'The very top of the head is outside the scan.',
  'lossy-compression': 'The images were compressed with loss.',
  'gantry-tilt-corrected': 'The gantry was tilted; the geometry was corrected exactly.',
  'interval-absent': 'No interval is available for this model.',
  'derived-outputs-degraded': 'The EHR does not accept every resource; some results were written in a simpler form.',
  'earlier-forecast-unmarked':
    'The EHR did not let the earlier forecast of this study be marked as superseded; this one counts.',
  'shadow-operation': 'Computed in shadow operation: nothing was written to the chart or shown there.',
} as const;

export type FlagCode = keyof typeof FLAGS;

export function flag(code: FlagCode): Flag {
  return { code, message: FLAGS[code] };
}

const GRAVITY: readonly string[] = Object.keys(FLAGS);

/** Each once, in the order in which they are told everywhere: a reader who has time for one reads the gravest. */
export function gravestFirst(flags: readonly Flag[]): readonly Flag[] {
  const once = [...new Map(flags.map((one) => [one.code, one])).values()];
  return once.toSorted((a, b) => GRAVITY.indexOf(a.code) - GRAVITY.indexOf(b.code));
}
