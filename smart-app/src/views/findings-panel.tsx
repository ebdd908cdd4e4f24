import type { ReactNode } from 'react';
import type { Details } from '../chart/read-chart.ts';

export function FindingsPanel({ details }: { readonly details: Details | undefined }): ReactNode {
  return (
    <section className="panel findings" aria-labelledby="findings-heading">
      <h2 id="findings-heading">What the initial CT shows</h2>
      {details === undefined ? (
        <p className="quiet">Reading the measurements …</p>
      ) : details.findings.length === 0 ? (
        <p>No measurements are in the chart.</p>
      ) : (
        <dl>
          {details.findings.map(({ key, label, value, absentReason }) => (
            <div key={key}>
              <dt>{label}</dt>
              <dd>{value ?? 'not available'}</dd>
              {absentReason && <dd className="absent">{absentReason}</dd>}
            </div>
          ))}
        </dl>
      )}
      {details !== undefined && details.findings.length > 0 && (
        <details>
          <summary>How these are measured</summary>
          {details.findings.map(
            ({ key, label, definition }) =>
              definition && (
                <p key={key}>
                  <strong>{label}.</strong> {definition}
                </p>
              ),
          )}
        </details>
      )}
    </section>
  );
}
