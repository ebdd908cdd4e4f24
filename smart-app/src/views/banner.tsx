import type { ReactNode } from 'react';
import type { PatientSummary } from '../chart/patient.ts';

interface Props {
  readonly patient: PatientSummary | undefined;
  /** Of the network that made the forecast shown, or of the one in use. */
  readonly label: string;
}

/** Shown also where the EHR has a banner of its own: who the number is about is part of the number. */
export function Banner({ patient, label }: Props): ReactNode {
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
      </div>
      <p className="disclaimer">
        <strong>{label}</strong>
      </p>
    </header>
  );
}
