/**
 * The whole screen of one patient, in the order in which a clinician needs it. What comes late has its room from the start:
 * under someone who reads a forecast that counts, nothing moves unless it counts no more or the chart cannot be read.
 */
import { useCallback, useEffect, useRef, useState } from 'react';
import type { ReactNode } from 'react';
import { chooseForecast } from '../chart/forecast.ts';
import type { ChosenForecast, Forecast, Standing } from '../chart/forecast.ts';
import {
  readDetails,
  readFirstScreen,
  readStudies,
  readWork,
  requestAssessment,
  wordsOf,
} from '../chart/read-chart.ts';
import type { Details, FirstScreen } from '../chart/read-chart.ts';
import { lacksCtOf, newerThan } from '../chart/studies.ts';
import type { StudyList } from '../chart/studies.ts';
import { judgeFiled } from '../chart/work.ts';
import type { Work } from '../chart/work.ts';
import { SESSION_OVER, isSessionOver } from '../session/launched.ts';
import type { Session } from '../session/launched.ts';
import { Announcement, headlineOf } from './announcement.tsx';
import { Banner } from './banner.tsx';
import { ClosedViewer } from './closed-viewer.tsx';
import { FindingsPanel } from './findings-panel.tsx';
import { useKeptFocus } from './kept-focus.ts';
import { LimitsPanel } from './limits-panel.tsx';
import { CtLine, StandingNotice, WorkNotice } from './notices.tsx';
import { HistoryPanel, OriginPanel } from './origin-panel.tsx';
import { RiskPanel } from './risk-panel.tsx';
import { ViewerPanel } from './viewer-panel.tsx';

/** How often work is looked at: under way, of a service that does not answer, and otherwise. ms */
const LOOK_MS = { open: 1_000, silent: 5_000, idle: 15_000 } as const;
/** Of a forecast that nobody has amended: a picture with the number in its pixels says the same. */
const AS_WRITTEN = new Set(['preliminary', 'final']);
/** How often the chart is, whatever the service does: for what was replaced, taken back or is past. ms */
const CHART_MS = 15_000;

/** Why neither measurements nor CTs are shown: they may be another patient's. */
const WITHHELD: Partial<Record<Standing, string>> = {
  withdrawn: 'Withdrawn with the assessment.',
  ungrounded: 'Not shown: the CT is not in the chart.',
};

const NOT_READ: StudyList = { studies: undefined, standing: undefined, readAt: undefined, problem: undefined };

export function ChartView({ session }: { readonly session: Session }): ReactNode {
  const [requested, setRequested] = useState(session.requested.riskAssessment);
  /** The CT whose assessment is followed: the card's, then the one that was asked for last. */
  const [wanted, setWanted] = useState(session.requested.imagingStudy);
  const [screen, setScreen] = useState<FirstScreen>();
  const [failure, setFailure] = useState<{ words: string; isOver: boolean }>();
  const [details, setDetails] = useState<Details & { of: string }>();
  const [list, setList] = useState<StudyList>(NOT_READ);
  const [work, setWork] = useState<Work>();
  const [asking, setAsking] = useState<{ pending: boolean; problem: string | undefined }>({
    pending: false,
    problem: undefined,
  });

  // What a card names is not followed where this chart does not hold it.
  const isOurs = list.studies?.some(({ reference }) => reference === wanted) ?? true;
  const followed = isOurs ? wanted : undefined;

  const lastShown = useRef<string>(undefined);
  const lastRead = useRef(0);
  const lastScreen = useRef<FirstScreen>(undefined);
  const readScreen = useCallback(async (): Promise<void> => {
    // An answer that comes after a later one is not shown over it.
    const turn = ++lastRead.current;
    try {
      const wish = { riskAssessment: requested, imagingStudy: followed };
      const read = await readFirstScreen(session, wish, lastScreen.current);
      // What is taken back while someone looks at it is struck through before their eyes; it does not just vanish.
      const { chosen } = read;
      const forecasts = chosen.all.map(({ forecast }) => forecast);
      const kept =
        chosen.shown === undefined ? chooseForecast(forecasts, { riskAssessment: lastShown.current }) : chosen;
      if (turn !== lastRead.current) return;
      lastShown.current = kept.shown?.reference;
      lastScreen.current = { ...read, chosen: kept };
      setScreen(lastScreen.current);
      setFailure(undefined);
    } catch (error) {
      if (turn !== lastRead.current) return;
      const isOver = isSessionOver(error);
      setFailure({ words: isOver ? SESSION_OVER : wordsOf(error), isOver });
      // A window ends whether the EHR answers or not: judged anew when drawn.
      setScreen((shown) => shown && { ...shown });
    }
  }, [session, requested, followed]);
  const readList = useCallback(async (): Promise<void> => {
    try {
      setList({ ...(await readStudies(session)), problem: undefined });
    } catch (error) {
      setList((before) => ({ ...before, problem: wordsOf(error) }));
    }
  }, [session]);
  useEffect(() => void readScreen(), [readScreen]);
  useEffect(() => void readList(), [readList]);

  const forecast = screen?.chosen.shown;
  useEffect(() => {
    if (forecast === undefined) return;
    let gone = false;
    void readDetails(session.ehr, session.patientReference, forecast).then((read) => {
      if (!gone) setDetails({ ...read, of: forecast.reference });
    });
    return () => void (gone = true);
  }, [session, forecast?.reference, forecast?.status]);

  const readChart = useCallback(
    () => Promise.all([readScreen(), readList()]).then(() => undefined),
    [readScreen, readList],
  );
  useLooks(readChart, CHART_MS);

  const kind = work?.kind;
  const readWorkNow = useCallback(
    async (isOver: () => boolean): Promise<void> => {
      const found = await readWork(session, followed);
      // First: what was filed is there; and who is told nothing any more may have no session any more.
      if ((kind === 'open' && found.kind !== 'open') || (kind !== undefined && found.kind === 'unknown')) {
        void readList();
        await readScreen(); // and is drawn together with the work that has ended
      }
      if (isOver()) return; // of a CT that is followed no longer
      setWork((before) => (isSameFiled(before, found) ? before : found));
    },
    [session, followed, kind, readScreen, readList],
  );
  useEffect(() => {
    let gone = false;
    if (kind === undefined) void readWorkNow(() => gone);
    return () => void (gone = true);
  }, [kind, readWorkNow]);
  useLooks(readWorkNow, kind === 'open' || kind === 'silent' ? LOOK_MS[kind] : LOOK_MS.idle, kind !== 'unknown');

  const assess = async (study: string): Promise<void> => {
    setWanted(study);
    setAsking({ pending: true, problem: undefined });
    try {
      await requestAssessment(session, study);
      setAsking({ pending: false, problem: undefined });
    } catch (error) {
      setAsking({ pending: false, problem: wordsOf(error) });
    }
    const found = await readWork(session, study);
    if (found.kind === 'unknown') await readScreen(); // the session may have ended
    setWork(found);
  };

  const isObservation =
    work?.kind === 'filed' && work.assessment.resources?.riskAssessment.startsWith('Observation/') === true;
  const filed =
    work?.kind === 'filed' && screen !== undefined
      ? judgeFiled(
          work,
          screen.chosen.all.map((one) => one.forecast.reference),
          { at: screen.readAt, isWhole: failure === undefined && (screen.problem === undefined || !isObservation) },
        )
      : undefined;
  useEffect(() => {
    if (filed === 'not-known') void readChart();
  }, [filed, readChart]);

  const open = (chosen: Forecast): void => setRequested(chosen.reference);
  const study = list.studies?.find(({ reference }) => reference === forecast?.studyReference);
  const current = details?.of === forecast?.reference ? details : undefined;
  const chosen = screen && judgeAgain(screen, session.windowEnds, list);
  const standing = chosen?.standing ?? 'current';
  const withheld = WITHHELD[standing];
  const restsOnCt = forecast !== undefined && (standing === 'current' || standing === 'past');
  const newer = restsOnCt ? newerThan(list.studies ?? [], forecast.studyReference) : undefined;
  // Nothing is told beside a forecast of the refusal of a CT that the chart has no more.
  const isOfLostCt =
    work?.kind === 'refused' &&
    list.standing?.includes(work.assessment.imagingStudy) === false &&
    chosen?.current !== undefined;
  const told = isOfLostCt ? undefined : work;
  const workNotice = screen !== undefined && chosen !== undefined && failure?.isOver !== true && (
    <WorkNotice
      work={told}
      chosen={chosen}
      filed={filed}
      isWhole={screen.problem === undefined}
      list={list}
      wanted={followed}
      asking={asking}
      onAssess={(id) => void assess(id)}
      usualMs={session.config.usualMs}
    />
  );
  const keptFocus = useKeptFocus();
  if (failure !== undefined && screen === undefined) {
    return (
      <>
        <Banner patient={undefined} label={session.config.disclaimer} />
        <Announcement>{''}</Announcement>
        <main {...keptFocus}>
          <section className="panel notice warning" role="alert">
            <h2>The chart could not be read</h2>
            <p>{failure.words}</p>
            {!failure.isOver && (
              <button type="button" className="primary" onClick={() => void readScreen()}>
                Try again
              </button>
            )}
          </section>
        </main>
      </>
    );
  }
  return (
    <>
      {screen && <Banner patient={screen.patient} label={forecast?.label ?? session.config.disclaimer} />}
      <Announcement>
        {chosen === undefined
          ? ''
          : headlineOf({
              chosen,
              work: told,
              filed,
              newer,
              isWhole: screen?.problem === undefined,
              areStudiesRead: list.problem === undefined,
            })}
      </Announcement>
      <main
        key={screen === undefined ? 'reading' : 'read'} // one takes the other's place: nothing has moved
        aria-label="Forecast of hemorrhage"
        aria-busy={screen === undefined}
        data-state={stateName(chosen, work)}
        {...keptFocus}
      >
        {screen === undefined && <h1 className="panel notice">Reading the chart …</h1>}
        {failure !== undefined && (
          <p className="panel notice warning" role="alert">
            {failure.words} What is shown was read earlier.
          </p>
        )}
        {screen !== undefined && screen.foreign > 0 && (
          <p className="panel notice warning" role="alert">
            The EHR returned {screen.foreign} assessment{screen.foreign > 1 ? 's' : ''} of another patient; left out
            here. Tell its administrator.
          </p>
        )}
        {screen?.problem !== undefined && (
          <p className="panel notice warning">
            {screen.problem} Whether the chart holds another forecast is not known.
          </p>
        )}
        {chosen !== undefined && <StandingNotice chosen={chosen} withdrawnAt={current?.withdrawnAt} onOpen={open} />}
        {restsOnCt && failure?.isOver !== true && (
          <CtLine list={list} studyReference={forecast.studyReference} work={work} />
        )}
        {chosen?.current === undefined && workNotice}
        {chosen !== undefined && forecast !== undefined && (
          <div className="forecast">
            <div className="column">
              <RiskPanel forecast={forecast} standing={standing} />
              <FindingsPanel
                details={current}
                expects={forecast.observationReferences.length > 0}
                standing={standing}
                withheld={withheld}
              />
              {chosen.current !== undefined && workNotice}
            </div>
            {withheld === undefined ? (
              <ViewerPanel
                session={session}
                forecast={forecast}
                startedAt={study?.startedAt}
                details={current}
                standing={standing}
                counts={standing === 'current' && AS_WRITTEN.has(forecast.status)}
              />
            ) : (
              <ClosedViewer why={withheld} />
            )}
            <div className="column">
              {withheld === undefined && <LimitsPanel forecast={forecast} details={current} />}
              <OriginPanel session={session} forecast={forecast} study={study} details={current} />
              <HistoryPanel chosen={chosen} onOpen={open} />
            </div>
          </div>
        )}
        {chosen !== undefined && forecast === undefined && chosen.all.length > 0 && (
          <HistoryPanel chosen={chosen} onOpen={open} />
        )}
      </main>
    </>
  );
}

/** Looks again and again while the screen is visible, and at once when it becomes so; never twice at a time. */
function useLooks(look: (isOver: () => boolean) => Promise<void>, everyMs: number, wanted = true): void {
  useEffect(() => {
    let [gone, busy] = [false, false];
    const again = (): void => {
      if (document.hidden || busy || !wanted) return;
      busy = true;
      void look(() => gone).finally(() => (busy = false));
    };
    const timer = setInterval(again, everyMs);
    document.addEventListener('visibilitychange', again);
    return () => {
      gone = true;
      clearInterval(timer);
      document.removeEventListener('visibilitychange', again);
    };
  }, [look, everyMs, wanted]);
}

/** What is shown stays; whether it counts is judged by the time it is now, and by the studies where they are known. */
function judgeAgain(
  { chosen: { all, shown }, firstSeen, readAt }: FirstScreen,
  windowEnds: boolean,
  list: StudyList,
): ChosenForecast {
  const forecasts = all.map(({ forecast }) => forecast);
  const lacksCt = (forecast: Forecast): boolean =>
    lacksCtOf(forecast, list, firstSeen.get(forecast.reference) ?? readAt);
  return chooseForecast(forecasts, { riskAssessment: shown?.reference }, windowEnds ? new Date() : undefined, lacksCt);
}

function isSameFiled(before: Work | undefined, found: Work): boolean {
  return before?.kind === 'filed' && found.kind === 'filed' && before.assessment.id === found.assessment.id;
}

/** For tests and support: which of the screen's states this is. */
function stateName(chosen: ChosenForecast | undefined, work: Work | undefined): string {
  if (chosen === undefined) return 'loading';
  if (chosen.shown !== undefined) return chosen.standing;
  return work === undefined ? 'loading' : `none-${work.kind}`;
}
