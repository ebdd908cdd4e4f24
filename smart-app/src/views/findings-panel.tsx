import type { ReactNode } from 'react';
import { FINDING_LABELS } from '../chart/findings.ts';
import type { Finding } from '../chart/findings.ts';
import type { Standing } from '../chart/forecast.ts';
import type { Details } from '../chart/read-chart.ts';

const OF_ANOTHER_TIME: Partial<Record<Standing, string>> = {
  past: 'Measured for the forecast whose 72 hours have passed.',
  superseded: 'Measured for the assessment that has been replaced.',
  unsettled: 'Measured for an assessment of which the chart does not say that it counts.',
};

const AWAITED: readonly Finding[] = Object.entries(FINDING_LABELS).map(([key, label]) => ({
  key,
  label,
  value: 'reading …',
  absentReason: undefined,
  definition: 'Reading …',
}));

interface Props {
  readonly details: Details | undefined;
  /** Whether the forecast names any. */
  readonly expects: boolean;
  readonly standing: Standing;
  /** Why they are not shown. */
  readonly withheld: string | undefined;
}

export function FindingsPanel({ details, expects, standing, withheld }: Props): ReactNode {
  const heading = <h2 id="findings-heading">What the initial CT shows</h2>;
  if (withheld !== undefined) {
    return (
      <section className="panel findings" aria-labelledby="findings-heading">
        {heading}
        <p>{withheld}</p>
      </section>
    );
  }
  const findings = details?.findings ?? (expects ? AWAITED : []);
  return (
    <section className="panel findings" aria-labelledby="findings-heading">
      {heading}
      {OF_ANOTHER_TIME[standing] && <p className="quiet">{OF_ANOTHER_TIME[standing]}</p>}
      {findings.length === 0 ? (
        <p>No measurements are in the chart.</p>
      ) : (
        <dl aria-busy={details === undefined}>
          {findings.map(({ key, label, value, absentReason }) => (
            <div key={key}>
              <dt>{label}</dt>
              <dd>{value ?? 'not available'}</dd>
              {absentReason && <dd className="absent">{absentReason}</dd>}
            </div>
          ))}
        </dl>
      )}
      {findings.length > 0 && (
        <details>
          <summary>How these are measured</summary>
          {findings.map(
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
