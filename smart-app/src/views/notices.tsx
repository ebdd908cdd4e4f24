/** Everything that is not a current forecast: none yet, under way, refused, failed, kept, out of date, past, withdrawn. */
import { useState } from 'react';
import type { ReactNode } from 'react';
import { dateTimeText } from '../chart/fhir-text.ts';
import type { ChosenForecast, Forecast, Standing } from '../chart/forecast.ts';
import { LONGEST, ctWords } from '../chart/newest-ct.ts';
import { studyWords } from '../chart/studies.ts';
import type { Study, StudyList } from '../chart/studies.ts';
import { nextStep, stageText, usualText } from '../chart/work.ts';
import type { Filed, Work } from '../chart/work.ts';

export interface WorkNoticeProps {
  readonly work: Work | undefined;
  /** What the chart holds. */
  readonly chosen: ChosenForecast;
  /** Whether that is all of it. */
  readonly isWhole: boolean;
  /** Of work that was filed. */
  readonly filed: Filed | undefined;
  readonly list: StudyList;
  /** The CT that the card, or the user, asked for. */
  readonly wanted: string | undefined;
  readonly asking: { readonly pending: boolean; readonly problem: string | undefined };
  readonly onAssess: (study: string) => void;
  /** What the service says of its latest assessments, ms. */
  readonly usualMs: number | null;
}

export function WorkNotice({ work, chosen, isWhole, filed, usualMs, ...offer }: WorkNoticeProps): ReactNode {
  const hasForecast = chosen.current !== undefined;
  if (work === undefined) return hasForecast ? null : <p className="panel notice">Looking for an assessment …</p>;
  switch (work.kind) {
    case 'open':
      if (work.assessment.paused) {
        return (
          <section className="panel notice warning" aria-labelledby="work-heading">
            <h2 id="work-heading" tabIndex={-1}>
              hemocast is paused here
            </h2>
            <p>
              {hasForecast ? 'A new assessment' : 'The scan'} waits until the service runs again. The result then
              appears here by itself; until then, judge without it.
            </p>
            <p className="quiet">Those who run hemocast here paused it; ask them why, and for how long.</p>
          </section>
        );
      }
      return (
        <section className="panel notice" aria-labelledby="work-heading">
          <h2 id="work-heading" tabIndex={-1}>
            {hasForecast ? 'A new assessment is under way' : 'The scan is being assessed'}
          </h2>
          <p>{stageText(work.assessment)}.</p>
          <progress max={1} value={work.assessment.progress} aria-label="Share of the work done" />
          <p className="quiet">{usualText(usualMs)} The result appears here by itself.</p>
        </section>
      );
    case 'refused': {
      const refused = work.assessment.imagingStudy;
      const others = offer.list.studies?.filter(({ reference }) => reference !== refused);
      return (
        <section className="panel notice" aria-labelledby="work-heading">
          <h2 id="work-heading" tabIndex={-1}>
            {!hasForecast
              ? 'No forecast for this scan'
              : refused === chosen.shown?.studyReference
                ? 'This scan was not assessed again'
                : 'Another scan was not assessed'}
          </h2>
          <p>{work.assessment.refusal?.message ?? 'The service refused the scan.'}</p>
          <p>{nextStep(work.assessment.refusal?.code ?? '')}</p>
          <p>{studyText(offer.list.studies, refused)}</p>
          {!hasForecast && others !== undefined && others.length > 0 && (
            <OfferCt {...offer} list={{ ...offer.list, studies: others }} />
          )}
          <p className="quiet">For support: code {work.assessment.refusal?.code ?? 'not stated'}.</p>
        </section>
      );
    }
    case 'failed':
      return (
        <section className="panel notice" aria-labelledby="work-heading">
          <h2 id="work-heading" tabIndex={-1}>
            The assessment failed
          </h2>
          <p>The service, or a system it needs, could not do its work. That says nothing about the patient’s images.</p>
          <AskButton study={work.assessment.imagingStudy} {...offer}>
            Try again
          </AskButton>
          <p className="quiet">Code: {work.assessment.error?.code ?? 'not stated'}.</p>
        </section>
      );
    case 'kept':
      return (
        <section className="panel notice" aria-labelledby="work-heading">
          <h2 id="work-heading" tabIndex={-1}>
            The scan was assessed, and the result is kept but not shown
          </h2>
          <p>
            The service was in shadow operation: it keeps its results for those who evaluate it. They are not in the
            chart and say nothing here.
          </p>
          {/* Where it is the only one, the offer names it. */}
          {(hasForecast || offer.list.studies?.length !== 1) && (
            <p>{studyText(offer.list.studies, work.assessment.imagingStudy)}</p>
          )}
          {!hasForecast && <OfferCt {...offer} />}
        </section>
      );
    case 'silent':
      return (
        <section className="panel notice warning" aria-labelledby="work-heading">
          <h2 id="work-heading" tabIndex={-1}>
            The hemocast service does not answer
          </h2>
          <p>
            Whether a scan of this patient is being assessed is not known. The service is asked again by itself; what
            the chart holds is shown here all the same.
          </p>
        </section>
      );
    case 'filed': {
      if (filed === 'listed') break;
      if (filed === 'not-known') {
        return hasForecast ? null : <p className="panel notice">A forecast was filed; looking for it in the chart …</p>;
      }
      const { imagingStudy, resources } = work.assessment;
      const others = offer.list.studies?.filter(({ reference }) => reference !== imagingStudy);
      return (
        <section className="panel notice warning" aria-labelledby="work-heading">
          <h2 id="work-heading" tabIndex={-1}>
            A forecast was filed that the app does not find
          </h2>
          <p>
            The service wrote {resources?.riskAssessment ?? 'it'} into the chart, and the EHR does not list it: it was
            removed there, or is not open to you. Ask its administrator.
          </p>
          <p>{studyText(offer.list.studies, imagingStudy)}</p>
          {!hasForecast && others !== undefined && others.length > 0 && (
            <OfferCt {...offer} list={{ ...offer.list, studies: others }} />
          )}
        </section>
      );
    }
  }
  if (hasForecast) return null;
  // What does not count and is shown says itself why.
  const last = chosen.shown === undefined ? chosen.all[0] : undefined;
  const isWithdrawn = isWhole && last?.standing === 'withdrawn';
  return (
    <section className="panel notice" aria-labelledby="work-heading">
      <h2 id="work-heading" tabIndex={-1}>
        {!isWhole
          ? 'Whether there is an assessment is not known'
          : isWithdrawn
            ? 'No current assessment: the last one was withdrawn'
            : chosen.all.length === 0
              ? 'No assessment yet'
              : 'No current assessment'}
      </h2>
      {isWithdrawn && last.forecast.withdrawal && <p>Why: {last.forecast.withdrawal.words}</p>}
      {work.kind === 'unknown' ? (
        <p>You cannot ask for one from here: your EHR has not given the app that right.</p>
      ) : (
        <OfferCt {...offer} />
      )}
    </section>
  );
}

/** Which CT it was, in the words of the chart. */
function studyText(studies: readonly Study[] | undefined, reference: string): string {
  const study = studies?.find((one) => one.reference === reference);
  return `The CT is ${study === undefined ? reference : studyWords(study)}.`;
}

/** Offers the CT that was wanted, or the only one. Where there are several it is the user who knows which one counts. */
function OfferCt({
  list: { studies, problem },
  wanted,
  ...ask
}: Omit<WorkNoticeProps, 'work' | 'chosen' | 'isWhole' | 'filed' | 'usualMs'>): ReactNode {
  const [chosen, setChosen] = useState<string>();
  if (studies === undefined) {
    return problem === undefined ? (
      <p className="quiet">Looking for CT studies …</p>
    ) : (
      <p role="alert">The CT studies could not be read. {problem} The app tries again by itself.</p>
    );
  }
  if (studies.length === 0) return <p>The chart holds no CT study of this patient, or none that was not taken back.</p>;
  const named = (reference: string | undefined): Study | undefined =>
    studies.find((study) => study.reference === reference);
  const study = named(chosen) ?? named(wanted) ?? (studies.length === 1 ? studies[0] : undefined);
  return (
    <>
      {studies.length === 1 ? (
        <p>The CT is {studyWords(studies[0])}.</p>
      ) : (
        <p>
          <label>
            Which CT? A forecast is made from the first one after the thrombectomy.{' '}
            <select value={study?.reference ?? ''} onChange={({ target }) => setChosen(target.value)}>
              <option value="" disabled>
                choose …
              </option>
              {studies.map((one) => (
                <option key={one.reference} value={one.reference}>
                  {dateTimeText(one.startedAt) ?? 'Time not stated'}: {one.description}
                </option>
              ))}
            </select>
          </label>
        </p>
      )}
      <AskButton study={study?.reference} {...ask}>
        Assess this CT
      </AskButton>
    </>
  );
}

function AskButton({
  study,
  asking,
  onAssess,
  children,
}: Pick<WorkNoticeProps, 'asking' | 'onAssess'> & { study: string | undefined; children: ReactNode }): ReactNode {
  return (
    <>
      <button
        type="button"
        className="primary"
        disabled={study === undefined}
        aria-disabled={asking.pending}
        onClick={() => asking.pending || study === undefined || onAssess(study)}
      >
        {asking.pending ? 'Asking …' : children}
      </button>
      {asking.problem && <p role="alert">{asking.problem}</p>}
    </>
  );
}

function Withdrawal({
  forecast: { withdrawal },
  recordedAt,
}: {
  readonly forecast: Forecast;
  readonly recordedAt: string | undefined;
}): ReactNode {
  if (withdrawal === undefined) return <p>The chart does not say why.</p>;
  const at = dateTimeText(recordedAt ?? withdrawal.at);
  return (
    <p>
      Why: {withdrawal.words}
      {at !== undefined && ` (${at})`}
    </p>
  );
}

const STANDING: Readonly<Record<Exclude<Standing, 'current'>, readonly [heading: string, meaning: string]>> = {
  past: [
    'Its 72 hours have passed: it says nothing about now',
    'The forecast below was about the time stated beside it. Do not use its number for what comes next.',
  ],
  superseded: [
    'This assessment has been replaced',
    'A later assessment of this patient counts instead. Do not use its number.',
  ],
  unsettled: [
    'The chart does not say that this assessment counts',
    'Its status in the chart, stated below, is none of a result. Do not use its number.',
  ],
  ungrounded: [
    'The chart does not list the CT that this forecast rests on',
    'It may have been withdrawn, or filed under another patient. Do not use the number.',
  ],
  withdrawn: ['This assessment was withdrawn', 'It is marked as entered in error in the chart. Do not use its number.'],
};

/** Why what is shown does not count, with the way to what does. */
export function StandingNotice({
  chosen: { shown, standing, current },
  withdrawnAt,
  onOpen,
}: {
  readonly chosen: ChosenForecast;
  readonly withdrawnAt: string | undefined;
  readonly onOpen: (forecast: Forecast) => void;
}): ReactNode {
  if (standing === 'current' || shown === undefined) return null;
  const [heading, meaning] = STANDING[standing];
  return (
    <section className="panel notice warning" aria-labelledby="standing-heading">
      <h2 id="standing-heading" tabIndex={-1}>
        {heading}
      </h2>
      <p>{meaning}</p>
      {standing === 'withdrawn' && <Withdrawal forecast={shown} recordedAt={withdrawnAt} />}
      {current ? (
        <button type="button" className="primary" onClick={() => onOpen(current)}>
          Show the current assessment
        </button>
      ) : (
        <p>There is no current assessment.</p>
      )}
    </section>
  );
}

/** Which CT the forecast rests on, and whether that is the newest. Its room is there before its words are. */
export function CtLine({
  list,
  studyReference,
  work,
}: {
  readonly list: StudyList;
  readonly studyReference: string | undefined;
  readonly work: Work | undefined;
}): ReactNode {
  const { text, warns } = ctWords(list, studyReference, work);
  return (
    <p className={`panel notice ct-line${warns ? ' warning' : ''}`} data-room={LONGEST}>
      <span>{text}</span>
    </p>
  );
}
