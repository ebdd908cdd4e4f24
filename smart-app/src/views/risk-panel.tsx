/** The number first, with its interval and the base rate beside it. The band is a word; nothing hangs on a colour. */
import type { ReactNode } from 'react';
import { dateTimeText } from '../chart/fhir-text.ts';
import type { Forecast, Standing } from '../chart/forecast.ts';

export function RiskPanel({
  forecast,
  standing,
}: {
  readonly forecast: Forecast;
  readonly standing: Standing;
}): ReactNode {
  const { probabilityPercent: percent, interval, assumedPrevalencePercent: base, band, bandBounds, window } = forecast;
  const heading = <h2 id="risk-heading">Risk of hemorrhage within 72 hours</h2>;
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
          <s>{percentText(percent)}</s>{' '}
          <span className="band">{standing === 'past' ? 'not a current risk' : 'no longer counts'}</span>
        </p>
        {standing === 'past' && time}
      </section>
    );
  }
  return (
    <section className="panel risk" aria-labelledby="risk-heading">
      {heading}
      <p className="number" data-testid="risk">
        <strong>{percentText(percent)}</strong>
        {band && <span className="band">{band} risk</span>}
      </p>
      {interval ? (
        <p>
          {interval.levelPercent} % interval {Math.round(interval.lowPercent)} to {Math.round(interval.highPercent)} %
        </p>
      ) : (
        <p>No interval is available.</p>
      )}
      <RiskScale percent={percent} interval={interval} base={base} />
      <p className="frequency">
        About <strong>{Math.round(percent)} of 100</strong> patients with such a scan bleed
        {base !== undefined && `; over all patients, ${base} of 100 (assumed base rate)`}.
      </p>
      {time}
      <details>
        <summary>Show as 100 people</summary>
        <IconArray percent={percent} />
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
  // viewBox in percent: 5 at each side for the labels of the ends.
  return (
    <svg className="scale" viewBox="-4 0 108 22" role="img" aria-label={words.filter(Boolean).join(', ')}>
      <line className="axis" x1="0" x2="100" y1="9" y2="9" />
      {[0, 25, 50, 75, 100].map((tick) => (
        <g key={tick}>
          <line className="axis" x1={tick} x2={tick} y1="7.5" y2="10.5" />
          <text x={tick} y="20">
            {tick}
          </text>
        </g>
      ))}
      {interval && (
        <rect
          className="interval"
          x={interval.lowPercent}
          y="6"
          width={Math.max(0.5, interval.highPercent - interval.lowPercent)}
          height="6"
        />
      )}
      {base !== undefined && <path className="base" d={`M${base} 3.5 v11`} />}
      <circle className="point" cx={percent} cy="9" r="2.6" />
      {base !== undefined && (
        <text className="base-text" x={base} y="2.6">
          base
        </text>
      )}
    </svg>
  );
}

function IconArray({ percent }: { percent: number }): ReactNode {
  const filled = Math.round(percent);
  return (
    <svg
      className="people"
      viewBox="0 0 100 100"
      role="img"
      aria-label={`${filled} of 100 people bleed, ${100 - filled} do not`}
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

/** "62 %"; below 1 and above 99 with what is stated, so that a small risk is never none. */
export function percentText(percent: number): string {
  if (percent > 0 && percent < 1) return '< 1 %';
  if (percent > 99 && percent < 100) return '> 99 %';
  return `${Math.round(percent)} %`;
}
