/** What a screen reader is told by itself: one headline in one place that stays, so that its changes are announced, and once. */
import type { ReactNode } from 'react';
import type { ChosenForecast, Standing } from '../chart/forecast.ts';
import type { Study } from '../chart/studies.ts';
import type { Filed, Work } from '../chart/work.ts';
import { percentText } from './risk-panel.tsx';

export function Announcement({ children }: { readonly children: string }): ReactNode {
  return (
    <p className="visually-hidden" role="status">
      {children}
    </p>
  );
}

const NOT_CURRENT: Readonly<Record<Exclude<Standing, 'current'>, string>> = {
  past: 'Its 72 hours have passed',
  superseded: 'Replaced',
  unsettled: 'The chart does not say that it counts',
  ungrounded: 'Its CT is not in the chart',
  withdrawn: 'Withdrawn',
};

const WORK: Readonly<Partial<Record<Work['kind'], string>>> = {
  open: 'In progress',
  refused: 'Not assessed',
  failed: 'Failed',
  kept: 'Assessed, not shown',
  silent: 'The service does not answer',
};

export interface Told {
  readonly chosen: ChosenForecast;
  readonly work: Work | undefined;
  readonly filed: Filed | undefined;
  readonly newer: Study | undefined;
  /** Whether every list that may hold forecasts was read, and that of the CTs. */
  readonly isWhole: boolean;
  readonly areStudiesRead: boolean;
}

export function headlineOf({ chosen, work, filed, newer, isWhole, areStudiesRead }: Told): string {
  const words = [
    forecastWords(chosen),
    newer && 'Newer CT in the chart',
    areStudiesRead ? undefined : 'The CT studies could not be read',
    isWhole ? workWords(chosen, work, filed) : 'Whether there is another assessment is not known',
  ];
  return words.filter(Boolean).join('. ');
}

function forecastWords({ shown, standing }: ChosenForecast): string | undefined {
  if (shown === undefined) return undefined;
  if (standing !== 'current') return NOT_CURRENT[standing];
  const { probabilityPercent: percent, band } = shown;
  if (percent === undefined) return 'Result: no probability';
  return `Result: ${percentText(percent)}${band === undefined ? '' : `, ${band} risk`}`;
}

function workWords(
  { current, shown }: ChosenForecast,
  work: Work | undefined,
  filed: Filed | undefined,
): string | undefined {
  if (work?.kind === 'filed' && filed === 'absent') return 'Filed, not found in the chart';
  if (work?.kind === 'filed' && filed === 'not-known' && current === undefined) return WORK.open;
  if (work?.kind === 'open' && work.assessment.paused) return 'The service is paused';
  // Its result is on the screen a moment before it ends, and would be said twice.
  if (work?.kind === 'open' && current !== undefined) return undefined;
  if (work === undefined || WORK[work.kind] !== undefined) return work && WORK[work.kind];
  return shown === undefined ? 'No current assessment' : undefined;
}
