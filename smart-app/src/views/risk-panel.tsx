/** The number first, with its interval and the base rate beside it. The band is a word; nothing hangs on a colour. */
import type { ReactNode } from 'react';
import { dateTimeText } from '../chart/fhir-text.ts';
import type { Forecast, Standing } from '../chart/forecast.ts';

const NOT_COUNTED: Partial<Record<Standing, string>> = { past: 'not a current risk', unsettled: 'does not count' };

export function RiskPanel({
  forecast,
  standing,
}: {
  readonly forecast: Forecast;
  readonly standing: Standing;
}): ReactNode {
  const { probabilityPercent: percent, interval, assumedPrevalencePercent: base, band, bandBounds, window } = forecast;
  const heading = (
    <h2 id="risk-heading" tabIndex={-1}>
      Risk of hemorrhage within 72 hours
    </h2>
  );
  if (percent === undefined) {
    return (
      <section className="panel risk" aria-labelledby="risk-heading">
        {heading}
        <p>The assessment in the chart states no probability.</p>
      </section>
    );
  }
  const time = window !== undefined && (
    <p className="quiet">
      Forecast for {dateTimeText(window.start) ?? 'an unknown start'} to {dateTimeText(window.end) ?? 'an unknown end'}
    </p>
  );
  if (standing !== 'current') {
    return (
      <section className="panel risk" aria-labelledby="risk-heading">
        {heading}
        <p className="number void" data-testid="risk">
          <s>{percentText(percent)}</s> <span className="band">{NOT_COUNTED[standing] ?? 'no longer counts'}</span>
        </p>
        {standing === 'past' && time}
      </section>
    );
  }
  // The number is a share of those it was fitted to, and says so.
  const patients = forecast.label?.includes('simulated data')
    ? 'simulated patients'
    : 'patients of its calibration data';
  return (
    <section className="panel risk" aria-labelledby="risk-heading">
      {heading}
      <p className="number" data-testid="risk">
        <strong>{percentText(percent)}</strong>
        {band && <span className="band">{band} risk</span>}
      </p>
      {forecast.cautions.map((text) => (
        <p key={text} className="caution">
          {text}
        </p>
      ))}
      {interval ? (
        <p>
          {interval.levelPercent} % interval {percentText(interval.lowPercent).replace(/\s%$/, '')} to{' '}
          {percentText(interval.highPercent)}
          <br />
          <small>It covers the calibration on {patients} only, not the uncertainty for this patient.</small>
        </p>
      ) : (
        <p>No interval is available.</p>
      )}
      <RiskScale percent={percent} interval={interval} base={base} />
      <p className="frequency">
        Of 100 {patients} with such a scan, <strong>{countText(percent)}</strong> bleed
        {base !== undefined && `, if ${base} of 100 do overall (assumed base rate)`}.
      </p>
      {time}
      <details>
        <summary>Show as 100 {patients}</summary>
        <IconArray percent={percent} patients={patients} />
      </details>
      <details>
        <summary>What the number means</summary>
        {bandBounds && (
          <p>
            Bands: low below {bandBounds.moderatePercent} %, moderate up to {bandBounds.highPercent} %, high from there.
          </p>
        )}
        {interval && <p>{interval.method}</p>}
      </details>
    </section>
  );
}

function RiskScale({
  percent,
  interval,
  base,
}: {
  percent: number;
  interval: Forecast['interval'];
  base: number | undefined;
}): ReactNode {
  const words = [
    `${percentText(percent)} on a scale from 0 to 100 %`,
    interval && `interval ${interval.lowPercent} to ${interval.highPercent} %`,
    base !== undefined && `assumed base rate ${base} %`,
  ];
  // Across in percent, down in em of its labels: these keep their size on every screen.
  return (
    <svg className="scale" role="img" aria-label={words.filter(Boolean).join(', ')}>
      <line className="axis" x1="0%" x2="100%" y1="2em" y2="2em" />
      {[0, 25, 50, 75, 100].map((tick) => (
        <g key={tick}>
          <line className="axis" x1={`${tick}%`} x2={`${tick}%`} y1="1.7em" y2="2.3em" />
          <text x={`${tick}%`} y="3.8em">
            {tick}
          </text>
        </g>
      ))}
      {interval && (
        <rect
          className="interval"
          x={`${interval.lowPercent}%`}
          y="1.4em"
          width={`${Math.max(0.5, interval.highPercent - interval.lowPercent)}%`}
          height="1.2em"
        />
      )}
      {base !== undefined && <line className="base" x1={`${base}%`} x2={`${base}%`} y1="1em" y2="2.9em" />}
      <circle className="point" cx={`${percent}%`} cy="2em" r="0.5em" />
      {base !== undefined && (
        <text className="base-text" x={`${base}%`} y="0.8em">
          base
        </text>
      )}
    </svg>
  );
}

function IconArray({ percent, patients }: { percent: number; patients: string }): ReactNode {
  const filled = Math.round(percent);
  return (
    <svg
      className="people"
      viewBox="0 0 100 100"
      role="img"
      aria-label={`Of 100 ${patients}, ${countText(percent)} bleed`}
    >
      {Array.from({ length: 100 }, (_, at) => (
        <circle
          key={at}
          className={at < filled ? 'bleeds' : 'spared'}
          cx={(at % 10) * 10 + 5}
          cy={Math.floor(at / 10) * 10 + 5}
          r="3.6"
        />
      ))}
    </svg>
  );
}

/** "about 62" of 100; as with `percentText`, a small share is never none and a large one never all. */
function countText(percent: number): string {
  if (percent > 0 && percent < 1) return 'fewer than 1';
  if (percent > 99 && percent < 100) return 'more than 99';
  return `about ${Math.round(percent)}`;
}

/** "62 %" that no line breaks; below 1 and above 99 with what is stated, so that a small risk is never none. */
export function percentText(percent: number): string {
  if (percent > 0 && percent < 1) return '<\u00a01\u00a0%';
  if (percent > 99 && percent < 100) return '>\u00a099\u00a0%';
  return `${Math.round(percent)}\u00a0%`;
}
