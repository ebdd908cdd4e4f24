/** Who made what from what, the model card, and earlier assessments. */
import { Suspense, lazy, useState } from 'react';
import type { ReactNode } from 'react';
import { dateTimeText } from '../chart/fhir-text.ts';
import type { ChosenForecast, Forecast } from '../chart/forecast.ts';
import { readModelCard } from '../chart/read-chart.ts';
import type { Details } from '../chart/read-chart.ts';
import { studyWords } from '../chart/studies.ts';
import type { Study } from '../chart/studies.ts';
import type { Session } from '../session/launched.ts';
import { Guard } from './guard.tsx';
import { percentText } from './risk-panel.tsx';

/** Fetched when a card is opened; the card stays plain text where that fails. */
const CardText = lazy(() => import('./card-text.tsx').catch(() => ({ default: PlainText })));

export function OriginPanel({
  session,
  forecast,
  study,
  details,
}: {
  session: Session;
  forecast: Forecast;
  /** The initial CT, where the chart's list has it. */
  study: Study | undefined;
  details: Details | undefined;
}): ReactNode {
  const model = details?.model;
  return (
    <section className="panel origin" aria-labelledby="origin-heading">
      <h2 id="origin-heading">Where this comes from</h2>
      <p>
        Made by {model ? `${model.name} ${model.version}` : 'an artificial intelligence'}
        {forecast.madeAt && <>, {dateTimeText(forecast.madeAt) ?? forecast.madeAt}</>}. Status in the chart:{' '}
        {forecast.status}.
      </p>
      <p className="quiet">From {study ? studyWords(study) : '…'}</p>
      {model?.sha256 && <p className="quiet">Model file SHA-256 {model.sha256.slice(0, 16)} …</p>}
      {forecast.method && (
        <details>
          <summary>Method and training data</summary>
          <p>{forecast.method}</p>
          {[...new Set(model?.notes)].map((note) => (
            <p key={note}>{note}</p>
          ))}
        </details>
      )}
      {details && <ModelCard key={forecast.reference} session={session} details={details} />}
    </section>
  );
}

function ModelCard({ session, details }: { session: Session; details: Details }): ReactNode {
  const [text, setText] = useState<string>();
  const open = (isOpen: boolean): void => {
    if (!isOpen || text !== undefined) return;
    void readModelCard(session, details.origin?.modelCardReference, details.model?.sha256).then((card) =>
      setText(card ?? 'The card of the model that made this forecast could not be read.'),
    );
  };
  return (
    <details onToggle={(event) => open(event.currentTarget.open)}>
      <summary>Model card</summary>
      <div className="card" role="region" aria-label="Model card" tabIndex={0}>
        {text === undefined ? (
          <p>Reading the model card …</p>
        ) : (
          <Guard fallback={<PlainText markdown={text} />}>
            <Suspense fallback={<p>Reading the model card …</p>}>
              <CardText markdown={text} />
            </Suspense>
          </Guard>
        )}
      </div>
    </details>
  );
}

function PlainText({ markdown }: { markdown: string }): ReactNode {
  return <p className="plain">{markdown}</p>;
}

interface HistoryProps {
  readonly chosen: ChosenForecast;
  readonly onOpen: (forecast: Forecast) => void;
}

export function HistoryPanel({ chosen, onOpen }: HistoryProps): ReactNode {
  const words = {
    current: 'current',
    past: 'its 72 hours have passed',
    superseded: 'superseded',
    unsettled: 'not said to count',
    ungrounded: 'its CT is not listed',
    withdrawn: 'withdrawn',
  } as const;
  return (
    <section className="panel history" aria-labelledby="history-heading">
      <h2 id="history-heading">Assessments of this patient</h2>
      {chosen.all.length === 0 && <p>None is in the chart.</p>}
      <ol>
        {chosen.all.map(({ forecast, standing }) => {
          const isShown = forecast.reference === chosen.shown?.reference;
          const risk =
            forecast.probabilityPercent === undefined ? 'no number' : percentText(forecast.probabilityPercent);
          const line = (
            <>
              {dateTimeText(forecast.madeAt) ?? 'time not stated'}: {standing === 'current' ? risk : <s>{risk}</s>},{' '}
              {words[standing]}
            </>
          );
          return (
            <li key={forecast.reference} aria-current={isShown || undefined}>
              {isShown ? (
                <span>{line} (shown)</span>
              ) : (
                <button type="button" className="link" onClick={() => onOpen(forecast)}>
                  {line}
                </button>
              )}
            </li>
          );
        })}
      </ol>
    </section>
  );
}
