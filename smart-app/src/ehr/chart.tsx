import type { ImagingStudy, Patient, Procedure, RiskAssessment } from '@medplum/fhirtypes';
import { useEffect, useState } from 'react';
import { dateTimeText } from '../chart/fhir-text.ts';
import { Cards } from './cards.tsx';
import { fireHook } from './cds.ts';
import type { ShownCard } from './cds.ts';
import { searchOf } from './fhir.ts';

export interface ChartContent {
  readonly studies: readonly ImagingStudy[];
  readonly procedures: readonly Procedure[];
  readonly forecasts: readonly RiskAssessment[];
}

export async function readChart(patientId: string): Promise<ChartContent> {
  const of = `patient=${encodeURIComponent(`Patient/${patientId}`)}`;
  const [studies, procedures, forecasts] = await Promise.all([
    searchOf<ImagingStudy>('ImagingStudy', of),
    searchOf<Procedure>('Procedure', of),
    searchOf<RiskAssessment>('RiskAssessment', of),
  ]);
  return { studies, procedures, forecasts };
}

interface ChartProps {
  readonly patient: Patient;
  readonly onLaunch: (appContext?: string) => void;
  /** Raised when something was written into the chart. */
  readonly revision: number;
}

/** One patient: what happened, in order of time, and what decision support says when the chart is opened. */
export function Chart({ patient, onLaunch, revision }: ChartProps) {
  const [content, setContent] = useState<ChartContent>();
  const [cards, setCards] = useState<readonly ShownCard[]>([]);
  const [unanswered, setUnanswered] = useState(false);
  const id = patient.id ?? '';

  useEffect(() => {
    let current = true;
    const read = (): void =>
      void readChart(id).then(
        (chart) => current && setContent(chart),
        () => undefined,
      );
    setContent(undefined);
    read();
    const timer = setInterval(read, 3_000);
    return () => {
      current = false;
      clearInterval(timer);
    };
  }, [id, revision]);
  useEffect(() => {
    let current = true;
    setCards([]);
    setUnanswered(false);
    void fireHook('patient-view', id).then(({ cards: shown, silent }) => {
      if (!current) return;
      setCards(shown);
      setUnanswered(silent > 0);
    });
    return () => {
      current = false;
    };
  }, [id]);

  const events = content === undefined ? [] : timeline(content);
  return (
    <section aria-labelledby="chart">
      <h2 id="chart">
        {nameOf(patient)}{' '}
        <span className="quiet">
          {[patient.gender, patient.birthDate && `born ${patient.birthDate}`].filter(Boolean).join(', ')}
        </span>
      </h2>
      <p className="actions">
        <button type="button" className="primary" onClick={() => onLaunch()}>
          Open hemocast
        </button>
      </p>
      <Cards
        about="the chart"
        cards={cards}
        silence={
          unanswered ? 'The decision support did not answer.' : 'Decision support has nothing to say about this chart.'
        }
        onOpenApp={onLaunch}
        onOverridden={(card) => setCards((shown) => shown.filter(({ uuid }) => uuid !== card.uuid))}
      />
      <ol className="timeline">
        {events.map(({ at, what, resource }) => (
          <li key={`${resource.resourceType}/${resource.id}`}>
            <span className="quiet">{at}</span>
            <span>{what}</span>
            <details>
              <summary>raw</summary>
              <pre tabIndex={0}>{JSON.stringify(resource, null, 2)}</pre>
            </details>
          </li>
        ))}
      </ol>
    </section>
  );
}

interface ChartEvent {
  readonly time: string;
  readonly at: string;
  readonly what: string;
  readonly resource: ImagingStudy | Procedure | RiskAssessment;
}

function timeline({ studies, procedures, forecasts }: ChartContent): readonly ChartEvent[] {
  const event = (time: string | undefined, what: string, resource: ChartEvent['resource']): ChartEvent => ({
    time: time ?? '',
    at: dateTimeText(time) ?? 'time not stated',
    what,
    resource,
  });
  return [
    ...procedures.map((procedure) =>
      event(
        procedure.performedPeriod?.end ?? procedure.performedDateTime,
        `${procedure.code?.text ?? 'Procedure'}${procedure.status === 'completed' ? '' : ` (${procedure.status})`}`,
        procedure,
      ),
    ),
    ...studies.map((study) =>
      event(study.started, `${study.description ?? 'Imaging study'}, ${study.numberOfInstances ?? '?'} images`, study),
    ),
    ...forecasts.map((forecast) => event(forecast.occurrenceDateTime, forecastWords(forecast), forecast)),
  ].sort((a, b) => Date.parse(a.time) - Date.parse(b.time));
}

function forecastWords({ prediction, status }: RiskAssessment): string {
  const [first] = prediction ?? [];
  const risk = `${Math.round(first?.probabilityDecimal ?? 0)} % (${first?.qualitativeRisk?.text ?? 'no band'})`;
  const words =
    first?.probabilityDecimal === undefined ? 'RiskAssessment' : `RiskAssessment: hemorrhage within 72 h ${risk}`;
  const standing: Partial<Record<typeof status, string>> = {
    'entered-in-error': ', withdrawn',
    cancelled: ', superseded',
  };
  return `${words}${standing[status] ?? ''}`;
}

export function nameOf({ name }: Patient): string {
  const [{ family = '', given = [] } = {}] = name ?? [];
  return [family, given.join(' ')].filter(Boolean).join(', ') || 'Name not stated';
}
