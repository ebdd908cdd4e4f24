import type { ReactNode } from 'react';
import type { Forecast } from '../chart/forecast.ts';
import type { Details } from '../chart/read-chart.ts';

export function LimitsPanel({
  forecast,
  details,
}: {
  readonly forecast: Forecast;
  readonly details: Details | undefined;
}): ReactNode {
  // A reference is for machines.
  const notes = forecast.notes.map((note) => note.replace(/ \([A-Z][A-Za-z]+\/[A-Za-z0-9\-.]+\)/g, ''));
  const missing = details?.missing ?? [];
  return (
    <section className="panel limits" aria-labelledby="limits-heading">
      <h2 id="limits-heading">Limits of this result</h2>
      <ul>
        {[...new Set([...forecast.limits, ...notes])].map((text) => (
          <li key={text}>{text}</li>
        ))}
        {missing.length > 0 && <li>Could not be read from the EHR: {missing.join(', ')}.</li>}
      </ul>
    </section>
  );
}
