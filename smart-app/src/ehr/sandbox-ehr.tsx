import type { Patient, Procedure, RiskAssessment } from '@medplum/fhirtypes';
import { useCallback, useEffect, useRef, useState } from 'react';
import { dateTimeText, timeOf } from '../chart/fhir-text.ts';
import { SETTLED } from '../chart/forecast.ts';
import { percentText } from '../views/risk-panel.tsx';
import { Chart, nameOf, performedAt, sexAndAge } from './chart.tsx';
import { searchOf } from './fhir.ts';
import { launchUrl } from './launch.ts';
import { OrderEntry } from './order-entry.tsx';
import { Upload } from './upload.tsx';

const DISCLAIMER = 'Research use only, trained on simulated data, not a medical device.';

/** Patient list, chart, order entry, and the panel in which the app runs as in an EHR. */
export function SandboxEhr() {
  const [patients, setPatients] = useState<readonly Patient[]>([]);
  const [procedures, setProcedures] = useState<ReadonlyMap<string, string>>(new Map());
  const [assessed, setAssessed] = useState<ReadonlyMap<string, string>>(new Map());
  const [chosen, setChosen] = useState<string>();
  const [app, setApp] = useState<string>();
  const [message, setMessage] = useState('');
  const [unread, setUnread] = useState('');
  const [switched, setSwitch] = useState('');
  const [revision, setRevision] = useState(0);
  /** Counts what was opened, charts and launches: the answer to an earlier launch is about another patient, or late. */
  const opened = useRef(0);
  const [turns, setTurns] = useState(0);

  const refresh = useCallback(async () => {
    const [found, performed, forecasts, operation] = await Promise.all([
      searchOf<Patient>('Patient', '_count=100'),
      searchOf<Procedure>('Procedure', '_count=200'),
      searchOf<RiskAssessment>('RiskAssessment', '_count=200'),
      fetch('/v1/operation').then((response) => response.json() as Promise<{ mode?: string }>),
    ]);
    setSwitch(SWITCHED[operation.mode ?? ''] ?? '');
    setPatients(found);
    setProcedures(lastProcedures(performed));
    setAssessed(pills(forecasts));
    setChosen((current) => current ?? found[0]?.id);
  }, []);
  useEffect(() => {
    const read = (): void =>
      void refresh().then(
        () => setUnread(''),
        (error: Error) => setUnread(error.message),
      );
    read();
    const timer = setInterval(read, 5_000);
    return () => clearInterval(timer);
  }, [refresh, revision]);

  const open = (id: string): void => {
    opened.current += 1;
    setTurns(opened.current);
    setChosen(id);
    setApp(undefined);
  };
  const launch = (id: string, appContext?: string): void => {
    const turn = (opened.current += 1);
    setMessage('');
    launchUrl(id, appContext).then(
      (url) => turn === opened.current && setApp(url),
      (error: Error) => turn === opened.current && setMessage(error.message),
    );
  };
  const patient = patients.find(({ id }) => id === chosen);
  // On a narrow screen chart and app are below what was pressed.
  useEffect(() => {
    if (turns > 0) bringIntoView(document.getElementById(app === undefined ? 'chart' : 'app'));
  }, [turns, patient?.id, app]);
  return (
    <>
      <header>
        <h1>Sandbox EHR - simulated patients</h1>
        <p className="label">{DISCLAIMER}</p>
        <p className="quiet">
          The simulated patients stay in March 2026: a forecast made today is about the days after their scan.
        </p>
        <ol className="path" aria-label="Five steps to try">
          <li>Choose a patient and read the chart.</li>
          <li>Open hemocast from it.</li>
          <li>Write an order: enoxaparin, say.</li>
          <li>Mark the CT or the thrombectomy as entered in error: its forecast is withdrawn.</li>
          <li>Upload a head CT of your own.</li>
        </ol>
        <p role="status" className="message">
          {[message, unread, switched].filter(Boolean).join(' ')}
        </p>
      </header>
      <div className="columns">
        <nav aria-label="Patients">
          <h2>Patients</h2>
          <ul>
            {patients.map((each) => (
              <li key={each.id}>
                <button type="button" aria-current={each.id === chosen} onClick={() => open(each.id ?? '')}>
                  <span>{nameOf(each)}</span>
                  <span className="quiet">{sexAndAge(each)}</span>
                  <span className="quiet procedure">{procedures.get(`Patient/${each.id}`) ?? 'no procedure'}</span>
                  <span className="pill">{assessed.get(`Patient/${each.id}`) ?? 'not assessed'}</span>
                </button>
              </li>
            ))}
          </ul>
          <Upload
            onStored={(id) => {
              open(id);
              setRevision((value) => value + 1);
            }}
          />
        </nav>
        {patient !== undefined && (
          <main>
            <Chart
              key={patient.id}
              patient={patient}
              silenced={switched}
              onEdited={() => setRevision((value) => value + 1)}
              revision={revision}
              onLaunch={(appContext) => launch(patient.id ?? '', appContext)}
            />
            <OrderEntry
              patientId={patient.id ?? ''}
              silenced={switched}
              revision={revision}
              onOpenApp={(appContext) => launch(patient.id ?? '', appContext)}
            />
          </main>
        )}
        {app !== undefined && (
          <aside id="app" aria-label="hemocast">
            <p className="actions">
              <button type="button" className="plain" onClick={() => setApp(undefined)}>
                Close hemocast
              </button>
            </p>
            <iframe key={app} src={app} title="hemocast" />
          </aside>
        )}
      </div>
    </>
  );
}

const SWITCHED: Readonly<Record<string, string>> = {
  paused: 'hemocast is paused: no cards, nothing is written, and what is asked for is done later.',
  shadow: 'hemocast runs in shadow: it computes, shows no card and writes nothing.',
};

function bringIntoView(element: HTMLElement | null): void {
  const top = element?.getBoundingClientRect().top ?? 0;
  if (top < 0 || top > window.innerHeight / 2) element?.scrollIntoView({ block: 'start' });
}

/** What was done last and when it ended, in words, by patient. */
function lastProcedures(procedures: readonly Procedure[]): ReadonlyMap<string, string> {
  const done = procedures
    .filter(({ status }) => status === 'completed')
    .toSorted((a, b) => (timeOf(performedAt(a)) || 0) - (timeOf(performedAt(b)) || 0));
  return new Map(
    done.map((procedure) => [
      procedure.subject.reference ?? '',
      `${procedure.code?.text ?? 'Procedure'}\n${dateTimeText(performedAt(procedure)) ?? 'time not stated'}`,
    ]),
  );
}

/** The newest forecast that stands, in words, by patient. */
function pills(forecasts: readonly RiskAssessment[]): ReadonlyMap<string, string> {
  const standing = forecasts
    .filter(({ prediction }) => prediction?.[0]?.probabilityDecimal !== undefined)
    .filter(({ status }) => SETTLED.has(status))
    .toSorted((a, b) => Date.parse(a.meta?.lastUpdated ?? '') - Date.parse(b.meta?.lastUpdated ?? ''));
  return new Map(
    standing.map(({ subject, prediction }) => [
      subject?.reference ?? '',
      `${percentText(prediction?.[0]?.probabilityDecimal ?? 0)} ${prediction?.[0]?.qualitativeRisk?.text ?? ''}`,
    ]),
  );
}
