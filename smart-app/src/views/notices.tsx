/** Everything that is not a current forecast: none yet, under way, refused, failed, out of date, withdrawn. */
import type { ReactNode } from 'react';
import { dateTimeText } from '../chart/fhir-text.ts';
import type { ChosenForecast, Forecast } from '../chart/forecast.ts';
import type { Study } from '../chart/studies.ts';
import { nextStep, stageText } from '../chart/work.ts';
import type { Work } from '../chart/work.ts';

export interface WorkNoticeProps {
  readonly work: Work | undefined;
  readonly hasForecast: boolean;
  readonly studies: readonly Study[] | undefined;
  readonly asking: { readonly pending: boolean; readonly problem: string | undefined };
  readonly onAssess: (study: string) => void;
}

export function WorkNotice({ work, hasForecast, studies, asking, onAssess }: WorkNoticeProps): ReactNode {
  if (work === undefined)
    return hasForecast ? null : (
      <p className="panel notice" role="status">
        Looking for an assessment …
      </p>
    );
  switch (work.kind) {
    case 'open':
      return (
        <section className="panel notice" aria-labelledby="work-heading" role="status">
          <h2 id="work-heading">{hasForecast ? 'A new assessment is under way' : 'The scan is being assessed'}</h2>
          <p>{stageText(work.assessment)}.</p>
          <progress max={1} value={work.assessment.progress} aria-label="Share of the work done" />
          <p className="quiet">
            It usually takes a few seconds once every image has arrived. The result appears here by itself.
          </p>
        </section>
      );
    case 'refused':
      return (
        <section className="panel notice" aria-labelledby="work-heading">
          <h2 id="work-heading">{hasForecast ? 'The newest scan was not assessed' : 'No forecast for this scan'}</h2>
          <p>{work.assessment.refusal?.message ?? 'The service refused the scan.'}</p>
          <p>{nextStep(work.assessment.refusal?.code ?? '')}</p>
          <p>{studyText(studies, work.assessment.imagingStudy)}</p>
          <p className="quiet">For support: code {work.assessment.refusal?.code ?? 'not stated'}.</p>
        </section>
      );
    case 'failed':
      return (
        <section className="panel notice" aria-labelledby="work-heading">
          <h2 id="work-heading">The assessment failed</h2>
          <p>The service, or a system it needs, could not do its work. That says nothing about the patient’s images.</p>
          <AskButton study={work.assessment.imagingStudy} asking={asking} onAssess={onAssess}>
            Try again
          </AskButton>
          <p className="quiet">Code: {work.assessment.error?.code ?? 'not stated'}.</p>
        </section>
      );
    default:
      return hasForecast ? null : <NoneYet work={work} studies={studies} asking={asking} onAssess={onAssess} />;
  }
}

/** Which CT it was, in the words of the chart. */
function studyText(studies: readonly Study[] | undefined, reference: string): string {
  const study = studies?.find((one) => one.reference === reference);
  if (study === undefined) return `The CT is ${reference}.`;
  return `The CT is “${study.description}”, ${dateTimeText(study.startedAt) ?? 'time not stated'}.`;
}

function NoneYet({ work, studies, asking, onAssess }: Omit<WorkNoticeProps, 'hasForecast'>): ReactNode {
  const study = studies?.[0];
  return (
    <section className="panel notice" aria-labelledby="work-heading">
      <h2 id="work-heading">No assessment yet</h2>
      {studies === undefined ? (
        <p className="quiet">Looking for CT studies …</p>
      ) : study === undefined ? (
        <p>The chart holds no CT study of this patient.</p>
      ) : (
        <>
          <p>
            The newest CT is “{study.description}”, {dateTimeText(study.startedAt) ?? 'time not stated'}.
          </p>
          {work?.kind === 'idle' ? (
            <AskButton study={study.reference} asking={asking} onAssess={onAssess}>
              Assess this CT
            </AskButton>
          ) : (
            <p>
              The service has not assessed it. You cannot ask for it from here: your EHR has not given the app that
              right.
            </p>
          )}
        </>
      )}
    </section>
  );
}

function AskButton({
  study,
  asking,
  onAssess,
  children,
}: Pick<WorkNoticeProps, 'asking' | 'onAssess'> & { study: string; children: ReactNode }): ReactNode {
  return (
    <>
      <button
        type="button"
        className="primary"
        aria-disabled={asking.pending}
        onClick={() => asking.pending || onAssess(study)}
      >
        {asking.pending ? 'Asking …' : children}
      </button>
      {asking.problem && <p role="alert">{asking.problem}</p>}
    </>
  );
}

function Withdrawal({ forecast: { withdrawal } }: { readonly forecast: Forecast }): ReactNode {
  if (withdrawal === undefined) return <p>The chart does not say why.</p>;
  const at = dateTimeText(withdrawal.at);
  return (
    <p>
      Why: {withdrawal.words}
      {at !== undefined && ` (${at})`}
    </p>
  );
}

/** Why what is shown does not count, with the way to what does. */
export function StandingNotice({
  chosen,
  onOpen,
}: {
  chosen: ChosenForecast;
  onOpen: (forecast: Forecast) => void;
}): ReactNode {
  if (chosen.standing === 'current' || chosen.shown === undefined) return null;
  const withdrawn = chosen.standing === 'withdrawn';
  return (
    <section className="panel notice warning" aria-labelledby="standing-heading">
      <h2 id="standing-heading">{withdrawn ? 'This assessment was withdrawn' : 'This assessment has been replaced'}</h2>
      <p>
        {withdrawn
          ? 'It is marked as entered in error in the chart. Do not use its number.'
          : 'A later assessment of this patient counts instead. Do not use its number.'}
      </p>
      {withdrawn && <Withdrawal forecast={chosen.shown} />}
      {chosen.current ? (
        <button type="button" className="primary" onClick={() => onOpen(chosen.current!)}>
          Show the current assessment
        </button>
      ) : (
        <p>There is no current assessment.</p>
      )}
    </section>
  );
}

export function NewerStudyNotice({ study }: { readonly study: Study | undefined }): ReactNode {
  if (study === undefined) return null;
  return (
    <p className="panel notice warning" role="status">
      A newer CT is in the chart: “{study.description}”, {dateTimeText(study.startedAt) ?? 'time not stated'}. The
      forecast below rests on the earlier one.
    </p>
  );
}
