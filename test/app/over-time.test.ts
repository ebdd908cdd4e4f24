/** The app while time passes, and while the chart, the service and the EHR behind it change. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { describeWith } from '../support/components.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import {
  HOSPITAL,
  changeResource,
  forecastsOf,
  inspect,
  lookAgain,
  openApp,
  putResource,
  startApp,
  stateOf,
  stopApp,
  viewerReady,
  violations,
} from './support/app-browser.ts';

const HOUR_MS = 3_600_000;

describeWith('Chromium', 'The app over time', () => {
  let service: ServiceProcess;
  let browser: Browser;
  beforeAll(async () => {
    [service, browser] = await startApp();
  });
  afterAll(() => stopApp(service, browser));

  /** Another CT of a patient, as the chart tells of it; its images are nowhere. */
  const fileStudy = async (patient: string, id: string, started: string): Promise<void> =>
    putResource(service, {
      ...(await service.fhir(`ImagingStudy/${patient}-ct`)),
      id,
      started,
      identifier: [{ system: 'urn:dicom:uid', value: `urn:oid:2.25.${id.length}4711` }],
    });

  it('shows a forecast whose 72 hours have passed as past, in an EHR that lives in our time', async () => {
    const { page, close } = await openApp(browser, service, 'lindqvist-maja', { fhir: HOSPITAL });
    await stateOf(page, 'past');
    await page.getByRole('heading', { name: 'Its 72 hours have passed: it says nothing about now' }).waitFor();
    expect(await page.locator('main').innerText()).toContain('There is no current assessment');
    const risk = await page.locator('.risk').innerText();
    expect(risk).toMatch(/not a current risk[^]*Forecast for \d+ Mar 2026/);
    expect(risk).not.toMatch(/interval|of 100|high risk/i);
    await page.getByText('Measured for the forecast whose 72 hours have passed.').waitFor();
    expect(await page.locator('[data-testid="risk"] s').count()).toBe(1);
    expect(await page.locator('.history').innerText()).toContain('its 72 hours have passed');
    await viewerReady(page);
    expect(await inspect(page, 'past')).toEqual([]);

    const [{ id }] = await forecastsOf(service, 'lindqvist-maja');
    const end = new Date(Date.now() + HOUR_MS).toISOString();
    await changeResource(service, `RiskAssessment/${id}`, (risk) => void (risk.prediction[0].whenPeriod.end = end));
    await lookAgain(page);
    await stateOf(page, 'current');
    await close();
  });

  it('goes on asking a service that did not answer, and says that it does not', async () => {
    const { page, context, close } = await openApp(browser, service, 'okafor-james');
    await stateOf(page, 'none-idle');
    await context.route('**/v1/assessments?**', (route) => route.fulfill({ status: 503, json: {} }));
    await lookAgain(page);
    await stateOf(page, 'none-silent');
    const text = await page.locator('main').innerText();
    expect(text).toContain('The hemocast service does not answer');
    expect(text).not.toContain('given the app that right');
    expect(await inspect(page, 'service-silent')).toEqual([]);
    await context.unroute('**/v1/assessments?**');
    await stateOf(page, 'none-idle');
    await close();
  });

  it('strikes through what is taken back also while another CT is being assessed, or the service hangs', async () => {
    const [{ id }] = await forecastsOf(service, 'rivera-ana');
    const takeBack = (status: string): Promise<void> =>
      changeResource(service, `RiskAssessment/${id}`, (risk) => void (risk.status = status));
    const appContext = { riskAssessment: `RiskAssessment/${id}` };
    const { page, context, close } = await openApp(browser, service, 'rivera-ana', { appContext });
    const work = {
      id: 'under-way',
      status: 'active',
      patient: 'Patient/rivera-ana',
      imagingStudy: 'ImagingStudy/rivera-ana-ct',
      updatedAt: new Date().toISOString(),
      flags: [],
      progress: 0.1,
      stage: 'waiting-for-instances',
    };
    await context.route('**/v1/assessments?**', (route) => route.fulfill({ json: { items: [work] } }));
    await lookAgain(page);
    await page.getByText('A new assessment is under way').waitFor();
    await stateOf(page, 'current');
    await takeBack('entered-in-error');
    await lookAgain(page);
    await stateOf(page, 'withdrawn');

    await takeBack('preliminary');
    await context.unroute('**/v1/assessments?**');
    await context.route('**/v1/assessments?**', () => new Promise(() => undefined));
    await page.reload();
    await stateOf(page, 'current');
    await takeBack('entered-in-error');
    await lookAgain(page);
    await stateOf(page, 'withdrawn');
    await page.getByText('The hemocast service does not answer').waitFor();
    await takeBack('preliminary');
    await close();
  });

  it('says that the studies could not be read, and not that there are none', async () => {
    const { page, context, close } = await openApp(browser, service, 'okafor-james');
    await context.route('**/sandbox/fhir/ImagingStudy?**', (route) => route.fulfill({ status: 503, body: 'no' }));
    await page.reload();
    await page.getByText('The CT studies could not be read. The EHR answered 503 for ImagingStudy.').waitFor();
    expect(await page.locator('main').innerText()).not.toContain('holds no CT study');
    await context.unroute('**/sandbox/fhir/ImagingStudy?**');
    await lookAgain(page);
    await page.getByRole('button', { name: 'Assess this CT' }).waitFor();
    await close();
  });

  it('says by itself when a newer CT comes into the chart, and when that cannot be known', async () => {
    const { page, context, close } = await openApp(browser, service, 'rivera-ana');
    await stateOf(page, 'current');
    await context.route('**/sandbox/fhir/ImagingStudy?**', (route) => route.fulfill({ status: 503, body: 'no' }));
    await lookAgain(page);
    await page.getByText('whether a newer CT is in the chart is not known').waitFor();
    await context.unroute('**/sandbox/fhir/ImagingStudy?**');
    await fileStudy('rivera-ana', 'rivera-ana-later', '2026-04-01T09:00:00+02:00');
    await lookAgain(page);
    await page.getByText('A newer CT is in the chart').waitFor();
    await page.getByRole('status').getByText('Newer CT in the chart').waitFor({ state: 'attached' });
    await close();
  });

  it('offers the card’s CT first, follows the one that was asked for instead, and says how that ended', async () => {
    await changeResource(service, 'Patient/silva-bento', (patient) => void (patient.birthDate = '1950-01-01'));
    await fileStudy('silva-bento', 'silva-bento-day-after', '2026-04-01T09:00:00+02:00');
    const appContext = { imagingStudy: 'ImagingStudy/silva-bento-day-after' };
    const { page, close } = await openApp(browser, service, 'silva-bento', { appContext });
    await stateOf(page, 'none-idle');
    const choice = page.getByRole('combobox', { name: 'Which CT?' });
    expect(await choice.inputValue()).toBe('ImagingStudy/silva-bento-day-after');
    expect(await choice.locator('option').allInnerTexts()).toEqual([
      'choose …',
      expect.stringMatching(/^1 Apr 2026, 09:00 \(UTC\+02:00\): \S/),
      expect.stringMatching(/^\d+ Mar 2026, \d\d:\d\d \(UTC\+01:00\): \S/),
    ]);
    await choice.selectOption('ImagingStudy/silva-bento-ct');
    await page.getByRole('button', { name: 'Assess this CT' }).click();
    await stateOf(page, 'none-refused');
    expect(await page.locator('main').innerText()).toContain('identity-conflict');
    await lookAgain(page);
    await page.waitForTimeout(500);
    await stateOf(page, 'none-refused');
    expect(await page.getByText(/^The CT is “[^”]+”, 1 Apr 2026/).count()).toBe(1); // the other one, to be asked for
    expect(await violations(page)).toEqual([]);
    await close();
  });

  it('leaves it to the user which of several CTs is assessed, where no card names one of this patient’s', async () => {
    await fileStudy('novak-petra', 'novak-petra-day-after', '2026-04-01T09:00:00+02:00');
    const appContext = { imagingStudy: 'ImagingStudy/lindqvist-maja-ct' };
    const { page, close } = await openApp(browser, service, 'novak-petra', { appContext });
    await stateOf(page, 'none-idle');
    const choice = page.getByRole('combobox', { name: 'Which CT?' });
    expect(await choice.inputValue()).toBe('');
    expect(await page.getByRole('button', { name: 'Assess this CT' }).isDisabled()).toBe(true);
    expect(await inspect(page, 'choose')).toEqual([]);
    await choice.selectOption('ImagingStudy/novak-petra-ct');
    await page.getByRole('button', { name: 'Assess this CT' }).click();
    await stateOf(page, 'current');
    await close();
  });

  it('tells a screen reader what the headline is now, each time once, and keeps focus where the work goes on', async () => {
    const { page, complaints, close } = await openApp(browser, service, 'tanaka-hiro');
    await stateOf(page, 'none-idle');
    await page.evaluate(`{
      window.said = [];
      const status = document.querySelector('[role="status"]');
      new MutationObserver(() => {
        if (status.textContent !== said.at(-1)) said.push(status.textContent);
      }).observe(status, { childList: true, characterData: true, subtree: true });
      window.headings = [];
      addEventListener('focusin', ({ target }) => target.matches('h2') && headings.push(target.textContent));
    }`);
    const focused = (): Promise<string> => page.evaluate('document.activeElement.textContent');
    // The list of CTs comes late: what is said meanwhile must be true.
    const late = Promise.withResolvers<void>();
    await page.route('**/sandbox/fhir/ImagingStudy?**', (route) => late.promise.then(() => route.continue()));
    const assess = page.getByRole('button', { name: 'Assess this CT' });
    await assess.focus();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'The scan is being assessed' }).waitFor();
    expect(await focused()).toBe('The scan is being assessed');
    await stateOf(page, 'current');
    await page.getByRole('heading', { name: 'under way' }).waitFor({ state: 'detached' });
    expect(await focused()).toBe('Risk of hemorrhage within 72 hours');
    late.resolve();
    expect(await page.evaluate('headings')).toEqual([
      'The scan is being assessed',
      'Risk of hemorrhage within 72 hours',
    ]);
    await viewerReady(page);
    expect(await page.getByRole('status').count()).toBe(1); // nothing else speaks, the viewer neither
    const result = (await page.locator('[data-testid="risk"]').innerText()).replace(/%\s*/, '%, ');

    const [first] = await forecastsOf(service, 'tanaka-hiro');
    await service.finished((await service.assess('ImagingStudy/tanaka-hiro-ct', { force: true })).body.id);
    await lookAgain(page);
    const earlier = page.locator('.history').getByRole('button', { name: 'superseded' });
    await earlier.press('Enter');
    await stateOf(page, 'superseded');
    expect(await focused()).toBe('This assessment has been replaced');
    await page.getByRole('button', { name: 'Show the current assessment' }).press('Enter');
    await stateOf(page, 'current');
    expect(await focused()).toBe('Risk of hemorrhage within 72 hours');
    await viewerReady(page); // and is taken off the screen again
    await earlier.press('Enter');
    await stateOf(page, 'superseded');
    await changeResource(service, `RiskAssessment/${first.id}`, (risk) => void (risk.status = 'entered-in-error'));
    await lookAgain(page);
    await stateOf(page, 'withdrawn');
    expect(await page.evaluate('said')).toEqual([
      'In progress',
      `Result: ${result}`,
      'Replaced',
      `Result: ${result}`,
      'Replaced',
      'Withdrawn',
    ]);
    expect(await page.getByRole('status').count()).toBe(1);
    expect(complaints).toEqual([]);
    await close();
  });

  it('takes no focus where nothing had it', async () => {
    const { page, close } = await openApp(browser, service, 'rivera-ana');
    await stateOf(page, 'current');
    const [{ id }] = await forecastsOf(service, 'rivera-ana');
    const isBody = 'document.activeElement === document.body';
    expect(await page.evaluate(isBody)).toBe(true);
    await changeResource(service, `RiskAssessment/${id}`, (risk) => void (risk.status = 'entered-in-error'));
    await lookAgain(page);
    await stateOf(page, 'withdrawn');
    expect(await page.evaluate(isBody)).toBe(true);
    const card = page.getByText('Model card', { exact: true });
    await card.focus();
    await changeResource(service, `RiskAssessment/${id}`, (risk) => void (risk.status = 'preliminary'));
    await lookAgain(page);
    await stateOf(page, 'current');
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Model card');
    await close();
  });

  it('says while the service is paused that the scan waits, and in shadow operation that the result is kept and not shown', async () => {
    await service.setMode('paused');
    const { page, close } = await openApp(browser, service, 'okafor-james');
    await page.getByRole('button', { name: 'Assess this CT' }).click();
    await page.getByText('The scan waits until the service runs again').waitFor();
    expect(await page.getByRole('progressbar').count()).toBe(0);
    expect(await inspect(page, 'paused')).toEqual([]);
    await service.setMode('shadow');
    await stateOf(page, 'none-kept');
    const text = await page.locator('main').innerText();
    expect(text).toContain('the result is kept but not shown');
    expect(text).not.toMatch(/\d+\s%/);
    expect(await inspect(page, 'kept')).toEqual([]);
    await service.setMode('running');
    await page.getByRole('button', { name: 'Assess this CT' }).click();
    await stateOf(page, 'current');
    await close();
  });
});
