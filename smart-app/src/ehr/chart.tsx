import type { Encounter, ImagingStudy, Patient, Procedure, RiskAssessment } from '@medplum/fhirtypes';
import { useEffect, useState } from 'react';
import { dateTimeText } from '../chart/fhir-text.ts';
import { ageOf } from '../chart/patient.ts';
import { percentText } from '../views/risk-panel.tsx';
import { Cards, PUT_ASIDE } from './cards.tsx';
import { fireHook } from './cds.ts';
import type { ShownCard } from './cds.ts';
import { searchOf, update } from './fhir.ts';

export interface ChartContent {
  readonly encounters: readonly Encounter[];
  readonly studies: readonly ImagingStudy[];
  readonly procedures: readonly Procedure[];
  readonly forecasts: readonly RiskAssessment[];
}

export async function readChart(patientId: string): Promise<ChartContent> {
  const of = `patient=${encodeURIComponent(`Patient/${patientId}`)}`;
  const [encounters, studies, procedures, forecasts] = await Promise.all([
    searchOf<Encounter>('Encounter', of),
    searchOf<ImagingStudy>('ImagingStudy', of),
    searchOf<Procedure>('Procedure', of),
    searchOf<RiskAssessment>('RiskAssessment', of),
  ]);
  return { encounters, studies, procedures, forecasts };
}

const ASKED = 'The decision support is asked …';

interface ChartProps {
  readonly patient: Patient;
  readonly onLaunch: (appContext?: string) => void;
  /** Why no card comes; empty where they come. */
  readonly silenced: string;
  /** An entry was marked or restored. */
  readonly onEdited: () => void;
  /** Raised when something was written into the chart. */
  readonly revision: number;
}

/** One patient: what happened, in order of time, and what decision support says when the chart is opened. */
export function Chart({ patient, onLaunch, silenced, onEdited, revision }: ChartProps) {
  const [content, setContent] = useState<ChartContent>();
  const [cards, setCards] = useState<readonly ShownCard[]>([]);
  const [silence, setSilence] = useState(ASKED);
  const [fault, setFault] = useState('');
  const id = patient.id ?? '';

  useEffect(() => {
    let current = true;
    const read = (): void =>
      void readChart(id).then(
        (chart) => current && setContent(chart),
        () => undefined,
      );
    read();
    const timer = setInterval(read, 3_000);
    return () => {
      current = false;
      clearInterval(timer);
    };
  }, [id, revision]);
  // A chart whose forecasts or their grounds have changed is looked at anew.
  const standing = content === undefined ? undefined : standingOf(content);
  useEffect(() => {
    if (standing === undefined) return undefined;
    let current = true;
    setSilence(ASKED);
    void fireHook('patient-view', id).then(({ cards: shown, silent }) => {
      if (!current) return;
      setCards(shown);
      setSilence(
        silent > 0 ? 'The decision support did not answer.' : 'Decision support has nothing to say about this chart.',
      );
    });
    return () => {
      current = false;
    };
  }, [id, standing]);
  const edit = (resource: ImagingStudy | Procedure): void => {
    setFault('');
    enterInError(resource).then(onEdited, (error: Error) => setFault(error.message));
  };

  const events = content === undefined ? [] : timeline(content);
  return (
    <section aria-labelledby="chart">
      <h2 id="chart">
        {nameOf(patient)}{' '}
        <span className="quiet">
          {[sexAndAge(patient), patient.birthDate && `born ${dateTimeText(patient.birthDate) ?? patient.birthDate}`]
            .filter(Boolean)
            .join(', ')}
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
        silence={silenced || silence}
        onOpenApp={onLaunch}
        onOverridden={(card) => {
          setCards((shown) => shown.filter(({ uuid }) => uuid !== card.uuid));
          setSilence(PUT_ASIDE);
        }}
      />
      <p role="status">{fault}</p>
      <ol className="timeline">
        {events.map(({ at, what, resource }) => (
          <li key={`${resource.resourceType}/${resource.id}`}>
            <span className="quiet">{at}</span>
            <span>{what}</span>
            {isEditable(resource) && (
              <button
                type="button"
                className="plain"
                aria-label={`${editName(resource)}: ${what}`}
                onClick={() => edit(resource)}
              >
                {editName(resource)}
              </button>
            )}
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
  readonly resource: Encounter | ImagingStudy | Procedure | RiskAssessment;
}

function timeline({ encounters, studies, procedures, forecasts }: ChartContent): readonly ChartEvent[] {
  const event = (time: string | undefined, what: string, resource: ChartEvent['resource']): ChartEvent => ({
    time: time ?? '',
    at: dateTimeText(time) ?? 'time not stated',
    what,
    resource,
  });
  return [
    ...encounters.map((encounter) =>
      event(
        encounter.period?.start,
        `${encounter.class?.code === 'IMP' ? 'Admission' : 'Visit'}${AS_EXPECTED.has(encounter.status) ? '' : ` (${encounter.status})`}`,
        encounter,
      ),
    ),
    ...procedures.map((procedure) =>
      event(performedAt(procedure), `${procedure.code?.text ?? 'Procedure'}${unlessStanding(procedure)}`, procedure),
    ),
    ...studies.map((study) =>
      event(
        study.started,
        `${study.description ?? 'Imaging study'}, ${study.numberOfInstances ?? '?'} images${unlessStanding(study)}`,
        study,
      ),
    ),
    ...forecasts.map((forecast) => event(forecast.occurrenceDateTime, forecastWords(forecast), forecast)),
  ].sort((a, b) => Date.parse(a.time) - Date.parse(b.time));
}

/** When a procedure ended, or was done. */
export function performedAt({ performedPeriod, performedDateTime }: Procedure): string | undefined {
  return performedPeriod?.end ?? performedDateTime;
}

/** What decision support may answer differently to: which entries there are, and whether they stand. */
function standingOf({ studies, procedures, forecasts }: ChartContent): string {
  const entries = [...studies, ...procedures, ...forecasts];
  return entries.map(({ resourceType, id, status }) => `${resourceType}/${id} ${status}`).join();
}

const AS_EXPECTED = new Set(['in-progress', 'finished']);
const STANDING = { ImagingStudy: 'available', Procedure: 'completed' } as const;

function isEditable(resource: ChartEvent['resource']): resource is ImagingStudy | Procedure {
  return resource.resourceType in STANDING;
}

function unlessStanding({ resourceType, status }: ImagingStudy | Procedure): string {
  return status === STANDING[resourceType] ? '' : ` (${status})`;
}

function editName({ status }: ImagingStudy | Procedure): string {
  return status === 'entered-in-error' ? 'Restore' : 'Mark as entered in error';
}

/** Or restores it, as available or completed; then tells hemocast to look, as an EHR's Subscription does. */
async function enterInError(resource: ImagingStudy | Procedure): Promise<void> {
  const status = resource.status === 'entered-in-error' ? STANDING[resource.resourceType] : 'entered-in-error';
  await update({ ...resource, status } as ImagingStudy | Procedure);
  await fetch('/v1/notifications', { method: 'POST' });
}

function forecastWords({ prediction, status }: RiskAssessment): string {
  const [first] = prediction ?? [];
  const risk = `${percentText(first?.probabilityDecimal ?? 0)} (${first?.qualitativeRisk?.text ?? 'no band'})`;
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

export function sexAndAge({ gender, birthDate }: Patient): string {
  const age = ageOf(birthDate, new Date());
  return [gender, age !== undefined && `${age} years`].filter(Boolean).join(', ');
}
