import type { ReactNode } from 'react';
import type { Standing } from '../chart/forecast.ts';
import type { Details } from '../chart/read-chart.ts';

const OF_ANOTHER_TIME: Partial<Record<Standing, string>> = {
  past: 'Measured for the forecast whose 72 hours have passed.',
  superseded: 'Measured for the assessment that has been replaced.',
};

interface Props {
  readonly details: Details | undefined;
  readonly standing: Standing;
  /** Why they are not shown. */
  readonly withheld: string | undefined;
}

export function FindingsPanel({ details, standing, withheld }: Props): ReactNode {
  const heading = <h2 id="findings-heading">What the initial CT shows</h2>;
  if (withheld !== undefined) {
    return (
      <section className="panel findings" aria-labelledby="findings-heading">
        {heading}
        <p>{withheld}</p>
      </section>
    );
  }
  return (
    <section className="panel findings" aria-labelledby="findings-heading">
      {heading}
      {OF_ANOTHER_TIME[standing] && <p className="quiet">{OF_ANOTHER_TIME[standing]}</p>}
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
