/** What is read does not move: the measurements, the viewer, a newer CT and the work on it come while someone looks at the number. */
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { describeWith } from '../support/components.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { lookAgain, openApp, putResource, settled, startApp, stopApp, viewerReady } from './support/app-browser.ts';

/** Where these stood in each frame since they came, px from the top; and the sum of the layout shifts (Layout Instability, W3C). */
const WATCH = `
  window.tops = {};
  window.shifted = 0;
  new PerformanceObserver((list) => list.getEntries().forEach(({ value }) => (window.shifted += value)))
    .observe({ type: 'layout-shift', buffered: true });
  const look = () => {
    for (const at of ['.disclaimer', '[data-testid="risk"]', '.viewer h2']) {
      const top = document.querySelector(at)?.getBoundingClientRect().top;
      if (top !== undefined) (window.tops[at] ??= new Set()).add(Math.round(top));
    }
    requestAnimationFrame(look);
  };
  look();`;

describeWith('Chromium', 'The screen of the app', () => {
  let service: ServiceProcess;
  let browser: Browser;
  beforeAll(async () => {
    [service, browser] = await startApp();
  });
  afterEach(() => service.fetch('/sandbox/fhir/ImagingStudy/day-after', { method: 'DELETE' }));
  afterAll(() => stopApp(service, browser));

  it.each([
    ['a desktop', { width: 1500, height: 950 }, ['.disclaimer', '[data-testid="risk"]', '.viewer h2']],
    ['the frame of an EHR', { width: 900, height: 600 }, ['.disclaimer', '[data-testid="risk"]', '.viewer h2']],
    ['a phone', { width: 360, height: 740 }, ['.disclaimer', '[data-testid="risk"]']],
  ])(
    'moves neither the number nor the label on %s, whatever comes late',
    async (_where, viewport, still) => {
      const context = await browser.newContext({ viewport });
      await context.addInitScript(WATCH);
      const late = Promise.withResolvers<void>();
      await context.route(/\/fhir\/(ImagingStudy\?|Observation\/|Provenance\?)/, (route) =>
        late.promise.then(() => route.continue()),
      );
      const { page } = await openApp(browser, service, 'lindqvist-maja', { context });
      await page.getByTestId('risk').waitFor();
      await settled(page);
      late.resolve();
      await page.getByText('The forecast rests on the CT of 10 Mar 2026, 01:05 (UTC+01:00), the newest.').waitFor();
      await viewerReady(page);
      await page.getByRole('button', { name: 'Attention' }).waitFor();

      const study = await service.fhir('ImagingStudy/lindqvist-maja-ct');
      const uid = { system: 'urn:dicom:uid', value: 'urn:oid:2.25.4711' };
      await putResource(service, {
        ...study,
        id: 'day-after',
        started: '2026-03-11T09:00:00+01:00',
        identifier: [uid],
      });
      await lookAgain(page);
      await page
        .getByText('A newer CT is in the chart: 11 Mar 2026, 09:00 (UTC+01:00). The forecast rests on the earlier one.')
        .waitFor();

      const work = {
        id: 'of-the-newer-ct',
        patient: 'Patient/lindqvist-maja',
        imagingStudy: 'ImagingStudy/day-after',
        updatedAt: new Date().toISOString(),
        flags: [],
      };
      const answer = (json: object): Promise<unknown> =>
        context.route('**/v1/assessments?**', (route) => route.fulfill({ json: { items: [{ ...work, ...json }] } }));
      await answer({ status: 'active', stage: 'retrieving', progress: 0.3 });
      await lookAgain(page);
      await page.getByText('11 Mar 2026, 09:00 (UTC+01:00), being assessed.').waitFor();
      await page.getByText('A new assessment is under way').waitFor();
      await answer({ status: 'refused', refusal: { code: 'no-head', message: 'No head was found.', details: {} } });
      await page.getByText('11 Mar 2026, 09:00 (UTC+01:00), not assessed.').waitFor();
      await page.getByText('Another scan was not assessed').waitFor();
      await settled(page);

      const tops = (await page.evaluate(
        'Object.fromEntries(Object.entries(window.tops).map(([at, tops]) => [at, [...tops]]))',
      )) as Record<string, number[]>;
      for (const at of still) expect([at, tops[at]]).toEqual([at, [expect.any(Number)]]);
      // What stands below gives way to a measurement's reason and to the work: 0.1 is "good" to those who named the measure (Web Vitals).
      expect(await page.evaluate('window.shifted')).toBeLessThan(0.05);
      await context.close();
    },
    60_000,
  );
});
