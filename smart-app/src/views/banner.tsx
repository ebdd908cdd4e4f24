import type { ReactNode } from 'react';
import { dateTimeText } from '../chart/fhir-text.ts';
import type { PatientSummary } from '../chart/patient.ts';
import type { Study } from '../chart/studies.ts';

interface Props {
  readonly patient: PatientSummary | undefined;
  readonly study: Study | undefined;
  /** Of the network that made the forecast shown, or of the one in use. */
  readonly label: string;
}

/** Shown also where the EHR has a banner of its own: who the number is about is part of the number. */
export function Banner({ patient, study, label }: Props): ReactNode {
  return (
    <header className="banner" aria-label="Patient and label">
      <div className="who">
        <h1>{patient?.name ?? 'hemocast'}</h1>
        {patient && (
          <p>
            {[
              patient.sex,
              patient.ageYears !== undefined && `${patient.ageYears} years`,
              patient.birthDate && `born ${patient.birthDate}`,
              patient.recordNumber && `MRN ${patient.recordNumber}`,
              patient.deceased && 'deceased',
            ]
              .filter(Boolean)
              .join(' · ')}
          </p>
        )}
        {study && <p className="study">Initial CT {dateTimeText(study.startedAt) ?? 'at an unknown time'}</p>}
      </div>
      <p className="disclaimer">
        <strong>{label}</strong>
      </p>
    </header>
  );
}
