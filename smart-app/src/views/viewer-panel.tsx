/** The viewer's place on the screen. Its code is fetched once the risk has been painted. */
import { Suspense, lazy, useEffect, useState } from 'react';
import type { ReactNode } from 'react';
import type { Details } from '../chart/read-chart.ts';
import type { Forecast, Standing } from '../chart/forecast.ts';
import type { Session } from '../session/launched.ts';
import { Guard } from './guard.tsx';

const Viewer = lazy(() => import('../viewer/viewer.tsx'));
const ComparisonPicture = lazy(() => import('./comparison-picture.tsx'));

const OF_ANOTHER_TIME: Partial<Record<Standing, string>> = {
  past: 'Of the forecast whose 72 hours have passed.',
  superseded: 'Of the assessment that has been replaced.',
  unsettled: 'Of an assessment of which the chart does not say that it counts.',
};
const NOT_STARTED = (
  <p className="viewer-note" role="status">
    The viewer could not be started in this browser.
  </p>
);

interface Props {
  readonly session: Session;
  readonly forecast: Forecast;
  /** Of the initial CT's study, dateTime. */
  readonly startedAt: string | undefined;
  readonly details: Details | undefined;
  readonly standing: Standing;
  /** Whether the forecast is current and as it was filed: the picture of both CTs has the number in its pixels. */
  readonly counts: boolean;
}

export function ViewerPanel({ session, forecast, startedAt, details, standing, counts }: Props): ReactNode {
  const painted = usePainted();
  const { studyReference } = forecast;
  return (
    <section className="panel viewer" aria-labelledby="viewer-heading">
      <h2 id="viewer-heading">Initial CT and generated follow-up CT</h2>
      {OF_ANOTHER_TIME[standing] && <p className="quiet">{OF_ANOTHER_TIME[standing]}</p>}
      {details === undefined || !painted ? (
        <p className="viewer-note">Loading both CTs …</p>
      ) : details.image === undefined || studyReference === undefined ? (
        details.comparison === undefined || !counts ? (
          <p className="viewer-note">
            {details.comparison === undefined
              ? 'The chart holds no generated follow-up CT for this assessment. The forecast does not need it.'
              : 'The picture of both CTs is not shown: the number in it is not that of the assessment as it stands.'}
          </p>
        ) : (
          <Guard fallback={NOT_STARTED}>
            <Suspense fallback={<p className="viewer-note">Loading the picture …</p>}>
              <ComparisonPicture key={forecast.reference} ehr={session.ehr} picture={details.comparison} />
            </Suspense>
          </Guard>
        )
      ) : (
        <Guard fallback={NOT_STARTED}>
          <Suspense fallback={<p className="viewer-note">Loading both CTs …</p>}>
            <Viewer
              key={[forecast.reference, studyReference, details.image.binaryReference].join(' ')}
              session={session}
              studyReference={studyReference}
              forecastReference={forecast.reference}
              startedAt={startedAt}
              image={details.image}
            />
          </Suspense>
        </Guard>
      )}
    </section>
  );
}

/** Whether one frame with what is on the screen has been painted. */
function usePainted(): boolean {
  const [painted, setPainted] = useState(false);
  useEffect(() => {
    const frame = requestAnimationFrame(() => requestAnimationFrame(() => setPainted(true)));
    return () => cancelAnimationFrame(frame);
  }, []);
  return painted;
}
