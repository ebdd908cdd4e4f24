import type { Patient, RiskAssessment } from '@medplum/fhirtypes';
import { useCallback, useEffect, useState } from 'react';
import { Chart, nameOf } from './chart.tsx';
import { searchOf } from './fhir.ts';
import { launchUrl } from './launch.ts';
import { OrderEntry } from './order-entry.tsx';
import { Upload } from './upload.tsx';

const DISCLAIMER = 'Research use only, trained on simulated data, not a medical device.';

/** Patient list, chart, order entry, and the panel in which the app runs as in an EHR. */
export function SandboxEhr() {
  const [patients, setPatients] = useState<readonly Patient[]>([]);
  const [assessed, setAssessed] = useState<ReadonlyMap<string, string>>(new Map());
  const [chosen, setChosen] = useState<string>();
  const [app, setApp] = useState<string>();
  const [message, setMessage] = useState('');
  const [revision, setRevision] = useState(0);

  const refresh = useCallback(async () => {
    const [found, forecasts] = await Promise.all([
      searchOf<Patient>('Patient', '_count=100'),
      searchOf<RiskAssessment>('RiskAssessment', '_count=200'),
    ]);
    setPatients(found);
    setAssessed(pills(forecasts));
    setChosen((current) => current ?? found[0]?.id);
  }, []);
  useEffect(() => {
    const read = (): void => void refresh().catch((error: Error) => setMessage(error.message));
    read();
    const timer = setInterval(read, 5_000);
    return () => clearInterval(timer);
  }, [refresh, revision]);

  const open = (id: string): void => {
    setChosen(id);
    setApp(undefined);
  };
  const launch = (id: string, appContext?: string): void => {
    setMessage('');
    launchUrl(id, appContext).then(setApp, (error: Error) => setMessage(error.message));
  };
  const patient = patients.find(({ id }) => id === chosen);
  return (
    <>
      <header>
        <h1>Sandbox EHR - simulated patients</h1>
        <p className="label">{DISCLAIMER}</p>
        <ol className="path" aria-label="Four steps to try">
          <li>Choose a patient and read the chart.</li>
          <li>Open hemocast from it.</li>
          <li>Write an order: enoxaparin, say.</li>
          <li>Upload a head CT of your own.</li>
        </ol>
        <p role="status" className="message">
          {message}
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
                  <span className="quiet">{[each.gender, each.birthDate].filter(Boolean).join(', ')}</span>
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
              patient={patient}
              revision={revision}
              onLaunch={(appContext) => launch(patient.id ?? '', appContext)}
            />
            <OrderEntry patientId={patient.id ?? ''} onOpenApp={(appContext) => launch(patient.id ?? '', appContext)} />
          </main>
        )}
        {app !== undefined && (
          <aside aria-label="hemocast">
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

/** The newest forecast that stands, in words, by patient. */
function pills(forecasts: readonly RiskAssessment[]): ReadonlyMap<string, string> {
  const standing = forecasts
    .filter(({ status }) => status !== 'entered-in-error' && status !== 'cancelled')
    .toSorted((a, b) => Date.parse(a.meta?.lastUpdated ?? '') - Date.parse(b.meta?.lastUpdated ?? ''));
  return new Map(
    standing.map(({ subject, prediction }) => [
      subject?.reference ?? '',
      `${Math.round(prediction?.[0]?.probabilityDecimal ?? 0)} % ${prediction?.[0]?.qualitativeRisk?.text ?? ''}`,
    ]),
  );
}
