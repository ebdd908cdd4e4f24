/** A result of which only the chart tells: what the card takes from it. */
import { describe, expect, it } from '@jest/globals';
import { toCard } from '../../api/cds/cards.ts';
import { readChartForecasts } from '../../api/cds/chart-forecasts.ts';
import { toRiskAssessment } from '../../api/ehr/risk-assessment.ts';
import { written } from '../ehr/support/written.ts';
import { MODEL } from '../ehr/support/report.ts';
import { filedForecast } from './support.ts';

const LABEL = 'Research use only, trained on 40 pairs of 40 patients, not a medical device.';
const IN_USE = 'Research use only, trained on 900 pairs of 900 patients, not a medical device.';

const labelOf = (...notes: readonly string[]) => {
  const of = { id: 'r1', study: 'ImagingStudy/s1', patient: 'ana' };
  const filed = filedForecast(of, { note: notes.map((text) => ({ text })) });
  return readChartForecasts([filed], 'ana')[0].forecast!.label;
};

describe('The label of a forecast in the chart', () => {
  it('is the one that the service wrote with it', async () => {
    const context = await written();
    const filed = { ...toRiskAssessment(context), id: 'r1' };
    const [, patientId] = context.report.study.patientReference.split('/');
    expect(readChartForecasts([filed], patientId)[0].forecast!.label).toBe(MODEL.disclaimer);
  });

  it('is found among the other notes, wherever it stands', () => {
    expect(labelOf('Contrast can look like blood.', LABEL, 'Risk bands: …')).toBe(LABEL);
  });

  it('is absent where no note is one', () => {
    expect([labelOf(), labelOf('Seen by Dr. Okafor.')]).toEqual([null, null]);
  });

  it('is what the card carries, and not that of the network in use since', () => {
    const filed = filedForecast({ id: 'r1', study: 'ImagingStudy/s1', patient: 'ana' }, { note: [{ text: LABEL }] });
    const { forecast, windowEnd } = readChartForecasts([filed], 'ana')[0];
    const { detail } = toCard(
      { kind: 'result', forecast: forecast!, windowEnd },
      { hook: 'patient-view', hookInstance: 'h', order: undefined, publicUrl: 'https://x.example', disclaimer: IN_USE },
    )!;
    expect(detail.endsWith(`_${LABEL}_`)).toBe(true);
    expect(detail).not.toContain(IN_USE);
  });
});
