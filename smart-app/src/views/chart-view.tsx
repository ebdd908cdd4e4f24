/** The whole screen of one patient, in the order in which a clinician needs it. */
import { useCallback, useEffect, useRef, useState } from 'react';
import type { ReactNode } from 'react';
import { chooseForecast } from '../chart/forecast.ts';
import type { Forecast } from '../chart/forecast.ts';
import { readDetails, readFirstScreen, readStudies, readWork, requestAssessment } from '../chart/read-chart.ts';
import type { Details, FirstScreen } from '../chart/read-chart.ts';
import { newerThan } from '../chart/studies.ts';
import type { Study } from '../chart/studies.ts';
import type { Work } from '../chart/work.ts';
import type { Session } from '../session/session.ts';
import { Banner } from './banner.tsx';
import { FindingsPanel } from './findings-panel.tsx';
import { LimitsPanel } from './limits-panel.tsx';
import { NewerStudyNotice, StandingNotice, WorkNotice } from './notices.tsx';
import { HistoryPanel, OriginPanel } from './origin-panel.tsx';
import { RiskPanel } from './risk-panel.tsx';
import { ViewerPanel } from './viewer-panel.tsx';

/** How often work under way is looked at; how often the chart is, for what began, was replaced or was taken back, ms. */
const LOOK_MS = { open: 1_000, idle: 15_000 } as const;

export function ChartView({ session }: { readonly session: Session }): ReactNode {
  const [requested, setRequested] = useState(session.requested.riskAssessment);
  const [screen, setScreen] = useState<FirstScreen>();
  const [failure, setFailure] = useState<string>();
  const [details, setDetails] = useState<Details & { of: string }>();
  const [studies, setStudies] = useState<readonly Study[]>();
  const [work, setWork] = useState<Work>();
  const [asking, setAsking] = useState<{ pending: boolean; problem: string | undefined }>({
    pending: false,
    problem: undefined,
  });

  const lastShown = useRef<string>(undefined);
  const readScreen = useCallback(async (): Promise<void> => {
    try {
      const { chosen, ...read } = await readFirstScreen(session, requested);
      // What is taken back while someone looks at it is struck through before their eyes; it does not just vanish.
      const forecasts = chosen.all.map(({ forecast }) => forecast);
      const kept = chosen.shown === undefined ? chooseForecast(forecasts, lastShown.current) : chosen;
      lastShown.current = kept.shown?.reference;
      setScreen({ ...read, chosen: kept });
      setFailure(undefined);
    } catch (error) {
      setFailure(error instanceof Error ? error.message : 'The chart could not be read.');
    }
  }, [session, requested]);
  useEffect(() => void readScreen(), [readScreen]);
  useEffect(() => void readStudies(session).then(setStudies, () => setStudies([])), [session]);

  const forecast = screen?.chosen.shown;
  useEffect(() => {
    if (forecast === undefined) return;
    let gone = false;
    void readDetails(session.ehr, session.patientReference, forecast).then((read) => {
      if (!gone) setDetails({ ...read, of: forecast.reference });
    });
    return () => void (gone = true);
  }, [session, forecast?.reference]);

  // Looked at while the screen is visible, and at once when it becomes so: nobody reads what has been taken back since.
  const kind = work?.kind;
  useEffect(() => {
    const look = async (): Promise<void> => {
      if (document.hidden) return;
      const found = kind === 'unknown' ? undefined : await readWork(session, session.requested.imagingStudy);
      if (found !== undefined) setWork(found);
      if (kind !== undefined && (kind !== 'open' || found?.kind === 'idle')) await readScreen();
    };
    if (kind === undefined) void look();
    const timer = setInterval(() => void look(), kind === 'open' ? LOOK_MS.open : LOOK_MS.idle);
    const seen = (): void => void look();
    document.addEventListener('visibilitychange', seen);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', seen);
    };
  }, [session, kind, readScreen]);

  const assess = async (study: string): Promise<void> => {
    setAsking({ pending: true, problem: undefined });
    try {
      await requestAssessment(session, study);
      setAsking({ pending: false, problem: undefined });
    } catch (error) {
      setAsking({ pending: false, problem: error instanceof Error ? error.message : 'It could not be asked for.' });
    }
    const found = await readWork(session);
    setWork(found);
    if (found.kind === 'idle') await readScreen();
  };

  const open = (chosen: Forecast): void => setRequested(chosen.reference);
  const study = studies?.find(({ reference }) => reference === forecast?.studyReference);
  const current = details?.of === forecast?.reference ? details : undefined;
  const standing = screen?.chosen.standing ?? 'current';
  if (failure !== undefined && screen === undefined) {
    return (
      <>
        <Banner patient={undefined} study={undefined} disclaimer={session.config.disclaimer} />
        <main>
          <section className="panel notice warning" role="alert">
            <h2>The chart could not be read</h2>
            <p>{failure}</p>
            <button type="button" className="primary" onClick={() => void readScreen()}>
              Try again
            </button>
          </section>
        </main>
      </>
    );
  }
  return (
    <>
      <Banner patient={screen?.patient} study={study} disclaimer={session.config.disclaimer} />
      <main aria-busy={screen === undefined} data-state={stateName(screen, work)}>
        {screen === undefined && (
          <p className="panel notice" role="status">
            Reading the chart …
          </p>
        )}
        {failure !== undefined && (
          <p className="panel notice warning" role="alert">
            {failure} What is shown was read earlier.
          </p>
        )}
        {screen !== undefined && screen.foreign > 0 && (
          <p className="panel notice warning" role="alert">
            The EHR returned {screen.foreign} assessment{screen.foreign > 1 ? 's' : ''} of another patient; left out
            here. Tell its administrator.
          </p>
        )}
        {screen !== undefined && <StandingNotice chosen={screen.chosen} onOpen={open} />}
        {forecast !== undefined && standing === 'current' && studies !== undefined && (
          <NewerStudyNotice study={newerThan(studies, forecast.studyReference)} />
        )}
        {screen !== undefined && (
          <WorkNotice
            work={work}
            hasForecast={forecast !== undefined}
            studies={studies}
            asking={asking}
            onAssess={(id) => void assess(id)}
          />
        )}
        {forecast !== undefined && (
          <div className="column">
            <RiskPanel forecast={forecast} standing={standing} />
            <FindingsPanel details={current} />
            <LimitsPanel forecast={forecast} disclaimer={session.config.disclaimer} details={current} />
            <OriginPanel ehr={session.ehr} forecast={forecast} details={current} />
          </div>
        )}
        {screen !== undefined && screen.chosen.all.length > 0 && (
          <div className={forecast === undefined ? 'column whole' : 'column'}>
            {forecast !== undefined && <ViewerPanel session={session} forecast={forecast} details={current} />}
            <HistoryPanel chosen={screen.chosen} onOpen={open} />
          </div>
        )}
      </main>
    </>
  );
}

/** For tests and support: which of the screen's states this is. */
function stateName(screen: FirstScreen | undefined, work: Work | undefined): string {
  if (screen === undefined) return 'loading';
  if (screen.chosen.shown !== undefined) return screen.chosen.standing;
  return work === undefined ? 'loading' : `none-${work.kind}`;
}
