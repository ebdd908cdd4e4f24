/** Every state of the app's screen, in Chromium, on the real service and its sandbox. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { gzipSync } from 'node:zlib';
import { encode } from 'fast-png';
import type { Browser, Route } from 'playwright-core';
import { FLAGS } from '../../api/prediction/flags.ts';
import { launchFromEhr } from '../authorization/support/browser.ts';
import { describeWith } from '../support/components.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import {
  changeResource,
  forecastsOf,
  inspect,
  launchApp,
  lookAgain,
  openApp,
  putResource,
  startApp,
  stateOf,
  stopApp,
  viewerReady,
  violations,
} from './support/app-browser.ts';
import { fileInPlainForm } from './support/plain-chart.ts';

const OTHER_PICTURE = Buffer.from(encode({ width: 2, height: 2, channels: 1, data: new Uint8Array(4) }));

describeWith('Chromium', 'The screen of the app', () => {
  let service: ServiceProcess;
  let browser: Browser;
  beforeAll(async () => {
    [service, browser] = await startApp();
  });
  afterAll(() => stopApp(service, browser));

  it('shows the risk with its interval, base rate, band and measurements, and what limits it', async () => {
    const { page, complaints, close } = await openApp(browser, service, 'lindqvist-maja');
    await stateOf(page, 'current');
    const [{ prediction, note }] = await forecastsOf(service, 'lindqvist-maja');
    const risk = await page.locator('.risk').innerText();
    const percent = Math.round(prediction[0].probabilityDecimal);
    expect(risk).toContain(`${percent}\u00a0%`);
    expect(risk).toContain('high risk');
    expect(risk).toMatch(/90 % interval [\d.]+ to [\d.]+\s%/);
    expect(risk).toContain(
      'It covers the calibration on simulated patients only, not the uncertainty for this patient.',
    );
    expect(risk).toContain(
      `Of 100 simulated patients with such a scan, about ${percent} bleed, if 35 of 100 do overall (assumed base rate).`,
    );
    expect(await page.locator('.banner').innerText()).toMatch(
      /LINDQVIST-SIM, Maja[^]*78 years[^]*MRN SIM-0003[^]*Research use only/,
    );
    expect(note.length).toBeGreaterThan(3);
    await page.locator('.findings dd').first().waitFor();
    expect(await page.locator('.findings').innerText()).toMatch(/Hyperdense volume\s+[\d.]+ mL/);
    const limits = await page.locator('.limits li').allInnerTexts();
    expect(limits.filter((limit) => /contrast/i.test(limit))).toEqual([
      expect.stringMatching(/^Contrast agent left in the brain.*can look like blood.*can raise this forecast\.$/),
    ]);
    await viewerReady(page);
    expect(await inspect(page, 'current')).toEqual([]);
    expect(complaints).toEqual([]);
    await close();
  });

  it.each([1280, 360])('is walked with Tab in the order in which it is read, at %d px', async (width) => {
    const { page, close } = await openApp(browser, service, 'lindqvist-maja', { viewport: { width, height: 900 } });
    await viewerReady(page);
    const stops: { panel: string; top: number }[] = [];
    for (;;) {
      await page.keyboard.press('Tab');
      const stop = await page.evaluate<{ panel: string; top: number } | null>(`(() => {
        const at = document.activeElement;
        const panel = at.closest('.risk, .findings, .viewer, .limits, .origin, .history');
        return panel && { panel: panel.classList[1], top: Math.round(panel.getBoundingClientRect().top + scrollY) };
      })()`);
      if (stop === null && stops.length > 0) break;
      if (stop !== null && stop.panel !== stops.at(-1)?.panel) stops.push(stop);
    }
    expect(stops.map(({ panel }) => panel)).toEqual(['risk', 'findings', 'viewer', 'origin']);
    const tops = stops.map(({ top }) => top);
    if (width < 760) expect(tops).toEqual(tops.toSorted((a, b) => a - b));
    await close();
  });

  it('has the number on the screen before a line of the viewer is fetched', async () => {
    const context = await browser.newContext();
    // Frames that come slower than any answer: who fetches with the answers fetches too soon.
    await context.addInitScript(`{
      window.requestAnimationFrame = (draw) => setTimeout(() => draw(performance.now()), 500);
      window.framesWithRisk = 0;
      const look = () => {
        if (document.querySelector('[data-testid="risk"]')) framesWithRisk += 1;
        requestAnimationFrame(look);
      };
      look();
    }`);
    let framesBefore: unknown;
    await context.route(/assets\/viewer-/, async (route) => {
      framesBefore ??= await route.request().frame().evaluate('framesWithRisk');
      await route.continue();
    });
    const { page, requested } = await openApp(browser, service, 'rivera-ana', { context });
    await viewerReady(page);
    expect(framesBefore).toBeGreaterThan(1); // the second frame begins when the first has been painted
    const viewer = requested.findIndex((url) => /assets\/viewer-/.test(url));
    expect(requested.filter((url) => !url.startsWith(service.url))).toEqual([]);
    const scripts = requested.slice(0, viewer).filter((url) => url.endsWith('.js'));
    const compressed = await Promise.all(
      [...new Set(scripts)].map(
        async (url) => gzipSync(Buffer.from(await (await fetch(url)).arrayBuffer())).byteLength,
      ),
    );
    expect(compressed.length).toBeGreaterThan(0);
    expect(compressed.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(150_000);
    await context.close();
  });

  it('offers to assess where nothing is there yet, follows the work, and shows the result by itself', async () => {
    const { page, close } = await openApp(browser, service, 'okafor-james', { colorScheme: 'dark' });
    await stateOf(page, 'none-idle');
    expect(await inspect(page, 'none')).toEqual([]);
    await page.getByRole('button', { name: 'Assess this CT' }).click();
    await page.getByText('The scan is being assessed').waitFor();
    await page.getByText(/The latest ones here took about \d+ seconds? once their turn had come/).waitFor();
    expect(await inspect(page, 'in-progress')).toEqual([]);
    await stateOf(page, 'current');
    expect(await page.locator('[data-testid="risk"]').innerText()).toMatch(/\d+\s%/);
    await viewerReady(page);
    expect(await violations(page)).toEqual([]);
    await close();
  });

  it('carries the label of the network that made the forecast shown, and that of the one in use where none is', async () => {
    const inUse = ((await (await service.fetch('/app/config.json')).json()) as { disclaimer: string }).disclaimer;
    const label = 'Trained on scans of one hospital, not a medical device.';
    const [{ id }] = await forecastsOf(service, 'rivera-ana');
    const relabel = (from: string, to: string): Promise<void> =>
      changeResource(service, `RiskAssessment/${id}`, ({ note }) => {
        note.find(({ text }: { text: string }) => text === from).text = to;
      });
    await relabel(inUse, label);
    const shown = await openApp(browser, service, 'rivera-ana');
    await stateOf(shown.page, 'current');
    expect(await shown.page.locator('.disclaimer').innerText()).toBe(label);
    expect(await shown.page.locator('.limits').innerText()).not.toContain(label);
    const risk = await shown.page.locator('.risk').innerText();
    expect(risk).toContain('Of 100 patients of its calibration data with such a scan');
    expect(risk).not.toContain('simulated patients');
    await shown.close();
    await relabel(label, inUse);
    const none = await openApp(browser, service, 'novak-petra');
    await stateOf(none.page, 'none-idle');
    expect(await none.page.locator('.disclaimer').innerText()).toBe(inUse);
    await none.close();
  });

  it.each([320, 1280, 3840])('keeps the words of the scale legible, and off its bars, at %d px', async (width) => {
    const { page, close } = await openApp(browser, service, 'lindqvist-maja', { viewport: { width, height: 1000 } });
    await stateOf(page, 'current');
    const boxOf = async (part: string): Promise<{ y: number; height: number }> =>
      (await page.locator(`.scale ${part}`).first().boundingBox())!;
    const [base, interval, tick] = await Promise.all(['.base-text', '.interval', 'g text'].map(boxOf));
    for (const { height } of [base, tick]) {
      expect(height).toBeGreaterThan(11);
      expect(height).toBeLessThan(26);
    }
    expect(base.y + base.height).toBeLessThanOrEqual(interval.y + 1);
    expect(tick.y).toBeGreaterThanOrEqual(interval.y + interval.height - 1);
    await close();
  });

  it('uses a 4K screen for the images, and prints one light page with the number, both CTs and the label', async () => {
    const workstation = { viewport: { width: 3840, height: 2160 }, colorScheme: 'dark' } as const;
    const { page, close } = await openApp(browser, service, 'lindqvist-maja', workstation);
    await viewerReady(page);
    const pane = (await page.locator('.pane.generated').boundingBox())!;
    expect(pane.width).toBeGreaterThan(900);
    for (const margin of ['0', '1cm']) {
      const margins = { top: margin, right: margin, bottom: margin, left: margin };
      const pdf = (await page.pdf({ format: 'A4', margin: margins })).toString('latin1');
      expect(pdf.match(/\/Type\s*\/Page\b/g)).toHaveLength(1);
    }
    await page.emulateMedia({ media: 'print', colorScheme: 'dark' });
    await page.setViewportSize({ width: 720, height: 1000 });
    expect(await page.evaluate('getComputedStyle(document.querySelector(".risk")).backgroundColor')).toBe(
      'rgb(255, 255, 255)',
    );
    for (const kept of ['.disclaimer', '[data-testid="risk"]', '.pane.initial', '.pane.generated', '.limits']) {
      expect(await page.locator(kept).isVisible()).toBe(true);
    }
    expect(await page.locator('.buttons').isVisible()).toBe(false);
    const [risk, limits, viewer] = await Promise.all(
      ['.risk', '.limits', '.forecast > .viewer'].map((part) => page.locator(part).boundingBox()),
    );
    expect(viewer!.x).toBeGreaterThan(risk!.x + risk!.width);
    expect(limits!.y).toBeGreaterThan(viewer!.y + viewer!.height); // below both

    await page.emulateMedia({ media: null, colorScheme: null });
    await page.setViewportSize(workstation.viewport);
    expect(await violations(page)).toEqual([]);
    await close();
  });

  it('says in plain words why a scan was refused, and what to do', async () => {
    await changeResource(service, 'Patient/silva-bento', (patient) => void (patient.birthDate = '1950-01-01'));
    const { body } = await service.assess('ImagingStudy/silva-bento-ct');
    expect((await service.finished(body.id)).status).toBe('refused');
    const { page, close } = await launchApp(browser, service, 'silva-bento');
    await stateOf(page, 'none-refused');
    const text = await page.locator('main').innerText();
    expect(text).toContain('No forecast for this scan');
    expect(text).toContain('identity-conflict');
    expect(text).toContain('Have the identity of the images checked');
    expect(text).not.toMatch(/\d+\s%/);
    expect(await inspect(page, 'refused')).toEqual([]);
    await close();
  });

  it('says that a failure tells nothing about the images, and offers to try again', async () => {
    const { page, context, close } = await openApp(browser, service, 'novak-petra');
    await stateOf(page, 'none-idle');
    const answer = { ...(await service.assess('ImagingStudy/lindqvist-maja-ct')).body };
    const failed = {
      ...answer,
      status: 'failed',
      patient: 'Patient/novak-petra',
      imagingStudy: 'ImagingStudy/novak-petra-ct',
      prediction: null,
      resources: null,
      error: { code: 'upstream-slow', message: 'The archive did not answer.' },
    };
    await context.route('**/v1/assessments?**', (route) => route.fulfill({ json: { items: [failed], next: null } }));
    await page.reload();
    await stateOf(page, 'none-failed');
    expect(await page.locator('main').innerText()).toContain('That says nothing about the patient’s images');
    expect(await page.getByRole('button', { name: 'Try again' }).count()).toBe(1);
    expect(await inspect(page, 'failed')).toEqual([]);
    await close();
  });

  it('does not offer what the service would not let this user do', async () => {
    const scope = 'launch openid fhirUser patient/Patient.r patient/ImagingStudy.rs patient/Observation.rs';
    const token = await launchFromEhr(service.url, { patient: 'novak-petra' }, scope);
    const { page, context, close } = await openApp(browser, service, 'novak-petra', { token });
    // An EHR that keeps no RiskAssessment, and gives no right to them.
    await context.route('**/sandbox/fhir/RiskAssessment?**', (route) => route.fulfill({ status: 404, json: {} }));
    const refused = page.waitForResponse('**/v1/assessments?**');
    await page.reload();
    expect((await refused).status()).toBe(403);
    await stateOf(page, 'none-unknown');
    await page.getByText('your EHR has not given the app that right').waitFor();
    expect(await page.getByRole('button', { name: 'Assess this CT' }).count()).toBe(0);
    expect(await inspect(page, 'not-offered')).toEqual([]);
    await close();
  });

  it('says that the chart is being read, and why an assessment could not be asked for', async () => {
    const { page, context, close } = await openApp(browser, service, 'haddad-omar');
    const held = Promise.withResolvers<void>();
    await context.route('**/sandbox/fhir/RiskAssessment?**', (route) => held.promise.then(() => route.continue()));
    await page.reload();
    await page.getByText('Reading the chart …').waitFor();
    expect(await violations(page)).toEqual([]);
    held.resolve();
    const detail = 'Too many assessments are waiting; ask again later.';
    await context.route('**/v1/assessments', (route) => route.fulfill({ status: 429, json: { detail } }));
    await page.getByRole('button', { name: 'Assess this CT' }).click();
    await page.getByRole('alert').getByText(detail).waitFor();
    expect(await inspect(page, 'not-asked')).toEqual([]);
    await close();
  });

  it('says beside the number what puts it in doubt, the gravest first, and lists it first among the limits', async () => {
    const { page, context, close } = await openApp(browser, service, 'rivera-ana');
    await context.route('**/sandbox/fhir/RiskAssessment?**', async (route) => {
      const response = await route.fetch();
      const bundle = (await response.json()) as { entry: { resource: { note: { text: string }[] } }[] };
      for (const { resource } of bundle.entry) {
        for (const code of ['out-of-distribution', 'procedure-unknown', 'tube-voltage-absent'] as const) {
          resource.note.push({ text: `Limit of this result (${code}): ${FLAGS[code]}` });
        }
      }
      await route.fulfill({ response, json: bundle });
    });
    await page.reload();
    await stateOf(page, 'current');
    const doubts = [FLAGS['out-of-distribution'], FLAGS['procedure-unknown']];
    expect(await page.locator('.risk .caution').allInnerTexts()).toEqual(doubts);
    expect((await page.locator('.limits li').allInnerTexts()).slice(0, 2)).toEqual(doubts);
    await viewerReady(page);
    expect(await inspect(page, 'doubtful')).toEqual([]);
    await close();
  });

  it('never rounds an interval to certainty', async () => {
    const [{ id, note }] = await forecastsOf(service, 'lindqvist-maja');
    const text = '90 % interval of the probability: 0.4 % to 99.6 %. Method: a test.';
    const others = note.filter((one: { text: string }) => !/^\d+ % interval/.test(one.text));
    await changeResource(service, `RiskAssessment/${id}`, (risk) => void (risk.note = [...others, { text }]));
    const { page, close } = await openApp(browser, service, 'lindqvist-maja');
    await stateOf(page, 'current');
    expect(await page.locator('.risk').innerText()).toMatch(/90 % interval <\s1 to >\s99\s%/);
    await changeResource(service, `RiskAssessment/${id}`, (risk) => void (risk.note = note));
    await close();
  });

  it('does not say that there is none where the EHR gives only one of the two lists', async () => {
    const { page, context, close } = await openApp(browser, service, 'novak-petra');
    await context.route('**/sandbox/fhir/Observation?**', (route) => route.fulfill({ status: 403, json: {} }));
    await page.reload();
    await stateOf(page, 'none-idle');
    const text = await page.locator('main').innerText();
    expect(text).toContain(
      'The EHR answered 403 for Observation. Whether the chart holds another forecast is not known.',
    );
    expect(text).toContain('Whether there is an assessment is not known');
    expect(text).not.toContain('No assessment yet');
    expect(await page.getByRole('status').innerText()).toBe('Whether there is another assessment is not known');
    expect(await inspect(page, 'list-unread')).toEqual([]);
    await close();
  });

  it('shows the forecast and both CTs of an EHR that keeps neither RiskAssessment nor Media', async () => {
    await fileInPlainForm(service, 'novak-petra', 'lindqvist-maja');
    const { page, context, close } = await openApp(browser, service, 'novak-petra');
    await context.route('**/sandbox/fhir/RiskAssessment?**', (route) => route.fulfill({ status: 404, json: {} }));
    await page.reload();
    await stateOf(page, 'current');
    const [{ prediction }] = await forecastsOf(service, 'lindqvist-maja');
    expect(await page.locator('[data-testid="risk"]').innerText()).toContain(
      `${Math.round(prediction[0].probabilityDecimal)}\u00a0%`,
    );
    expect(await page.locator('.risk').innerText()).toMatch(/Forecast for .+ to .+/);
    expect(await page.locator('.limits').innerText()).toContain('can look like blood');
    const picture = page.getByRole('img', { name: /^Initial CT with the AI-generated follow-up CT/ });
    await page.getByText('this picture of both').waitFor();
    expect((await picture.boundingBox())!.width).toBeGreaterThan(300);
    expect(await inspect(page, 'plain')).toEqual([]);

    // Other bytes than those that were filed may be of anyone.
    const swapped = (route: Route): Promise<void> => route.fulfill({ contentType: 'image/png', body: OTHER_PICTURE });
    await context.route('**/sandbox/fhir/Binary/**', swapped);
    await page.reload();
    await page.getByText('picture of both CTs could not be read').waitFor();
    await context.unroute('**/sandbox/fhir/Binary/**', swapped);

    // Taken back: no picture with the number in its pixels.
    const reference = (await service.fhir('Observation?subject=Patient/novak-petra&_count=50')).entry
      .map(({ resource }: { resource: { id: string; code: { coding: { code: string }[] } } }) => resource)
      .find(({ code }: { code: { coding: { code: string }[] } }) => code.coding[0].code === 'hemorrhage-forecast');
    await changeResource(
      service,
      `Observation/${reference.id}`,
      (forecast) => void (forecast.status = 'entered-in-error'),
    );
    await lookAgain(page);
    await stateOf(page, 'withdrawn');
    expect(await picture.count()).toBe(0);
    expect(await page.locator('[data-testid="risk"] s').count()).toBe(1);

    await context.route('**/sandbox/fhir/Observation?**', (route) => route.fulfill({ status: 403, json: {} }));
    await page.reload();
    await page.getByText('The EHR answered 403 for Observation').waitFor();
    await close();
  });

  it('says that a forecast was filed which the EHR does not list, instead of that there is none', async () => {
    const { page, context, close } = await openApp(browser, service, 'lindqvist-maja');
    await context.route('**/sandbox/fhir/RiskAssessment?**', (route) =>
      route.fulfill({ json: { resourceType: 'Bundle', type: 'searchset', entry: [] } }),
    );
    await page.reload();
    // First it looks for it: the chart's list may come after the service's.
    await page.getByText('A forecast was filed that the app does not find').waitFor();
    await stateOf(page, 'none-filed');
    const text = await page.locator('main').innerText();
    expect(text).not.toContain('No assessment yet');
    expect(await inspect(page, 'not-found')).toEqual([]);
    await close();
  });

  it('strikes a superseded number through and leads to the current one', async () => {
    const [old] = await forecastsOf(service, 'rivera-ana');
    const { body } = await service.assess('ImagingStudy/rivera-ana-ct', { force: true });
    await service.finished(body.id);
    const { page, close } = await openApp(browser, service, 'rivera-ana', {
      appContext: { riskAssessment: `RiskAssessment/${old.id}`, imagingStudy: 'ImagingStudy/rivera-ana-ct' },
    });
    await stateOf(page, 'superseded');
    expect(await page.locator('[data-testid="risk"] s').count()).toBe(1);
    expect(await page.locator('main').innerText()).toContain('This assessment has been replaced');
    await page.getByText('Measured for the assessment that has been replaced.').waitFor();
    await page.locator('.viewer').getByText('Of the assessment that has been replaced.').waitFor();
    await viewerReady(page);
    expect(await inspect(page, 'superseded')).toEqual([]);
    await page.getByRole('button', { name: 'Show the current assessment' }).click();
    await stateOf(page, 'current');
    expect(await page.locator('[data-testid="risk"] s').count()).toBe(0);
    await close();
  });

  it('shows an earlier assessment that is opened from the history, and marks it as not current', async () => {
    const [old] = await forecastsOf(service, 'rivera-ana');
    await service.finished((await service.assess('ImagingStudy/rivera-ana-ct', { force: true })).body.id);
    await changeResource(service, `RiskAssessment/${old.id}`, ({ prediction }) => {
      prediction[0].probabilityDecimal = 3;
    });
    const { page, close } = await openApp(browser, service, 'rivera-ana');
    await stateOf(page, 'current');
    expect(await page.locator('[data-testid="risk"]').innerText()).not.toMatch(/^3\s%/);
    const history = page.locator('.history');
    expect(await history.innerText()).toMatch(/: 3\u00a0%, superseded/);
    await history.getByRole('button', { name: /: 3\s%, superseded/ }).click();
    await stateOf(page, 'superseded');
    await page.getByRole('heading', { name: 'This assessment has been replaced' }).waitFor();
    expect(await page.locator('[data-testid="risk"] s').innerText()).toBe('3\u00a0%');
    expect(await page.locator('[data-testid="risk"] strong').count()).toBe(0);
    expect(await history.locator('[aria-current]').innerText()).toMatch(/3\s%, superseded \(shown\)$/);
    await close();
  });

  it('strikes through the number of an assessment whose status does not say that it counts', async () => {
    const [{ id }] = await forecastsOf(service, 'lindqvist-maja');
    const appContext = { riskAssessment: `RiskAssessment/${id}` };
    await changeResource(service, `RiskAssessment/${id}`, (risk) => void (risk.status = 'unknown'));
    const { page, close } = await openApp(browser, service, 'lindqvist-maja', { appContext });
    await stateOf(page, 'unsettled');
    await page.getByRole('heading', { name: 'The chart does not say that this assessment counts' }).waitFor();
    expect(await page.locator('[data-testid="risk"]').innerText()).toMatch(/does not count$/);
    expect(await page.locator('[data-testid="risk"] s').count()).toBe(1);
    await viewerReady(page);
    expect(await inspect(page, 'unsettled')).toEqual([]);
    await changeResource(service, `RiskAssessment/${id}`, (risk) => void (risk.status = 'preliminary'));
    await close();
  });

  it('never shows a withdrawn assessment as current', async () => {
    const { body } = await service.assess('ImagingStudy/tanaka-hiro-ct');
    const { resources } = await service.finished(body.id);
    const [made] = (await service.fhir(`Provenance?target=${resources!.riskAssessment}`)).entry;
    await putResource(service, {
      ...made.resource,
      id: '0-withdrawal', // before that of the making
      activity: { coding: [{ code: 'NULLIFY' }] },
      recorded: '2026-03-12T10:00:00+01:00',
      entity: [],
      target: [{ reference: resources!.riskAssessment }],
    });
    await changeResource(service, resources!.riskAssessment, (risk) => {
      risk.status = 'entered-in-error';
      risk.note.push({ time: '2026-03-12T08:00:00+01:00', text: "Withdrawn: Another patient's <images>." });
    });
    const plain = await openApp(browser, service, 'tanaka-hiro');
    await plain.page.waitForSelector('main[data-state^="none-"]');
    expect(await plain.page.locator('[data-testid="risk"]').count()).toBe(0);
    expect(await plain.page.locator('.history').innerText()).toContain('withdrawn');
    await plain.page.getByRole('heading', { name: 'No current assessment: the last one was withdrawn' }).waitFor();
    await plain.page.getByText("Why: Another patient's <images>.").waitFor();
    expect(await plain.page.locator('main').innerText()).not.toContain('No assessment yet');
    expect(await inspect(plain.page, 'last-withdrawn')).toEqual([]);
    await plain.close();
    const asked = await openApp(browser, service, 'tanaka-hiro', {
      appContext: { riskAssessment: resources!.riskAssessment },
    });
    await stateOf(asked.page, 'withdrawn');
    expect(await asked.page.locator('.risk').innerText()).not.toMatch(/interval|of 100|high|moderate|low risk/);
    await asked.page.getByText("Why: Another patient's <images>. (12 Mar 2026, 10:00 (UTC+01:00))").waitFor();
    await asked.page.getByText('Model card', { exact: true }).waitFor();
    expect(await asked.page.locator('[data-testid="risk"] s').count()).toBe(1);
    expect(await asked.page.getByText('Withdrawn with the assessment.').count()).toBe(2); // measurements and CTs
    expect(await asked.page.locator('.findings dd, .pane').count()).toBe(0);
    expect(await inspect(asked.page, 'withdrawn')).toEqual([]);
    await asked.close();
  });

  it('shows the model card where the EHR does not open it to the app, of the network that made the forecast only', async () => {
    const { page, context, close } = await openApp(browser, service, 'lindqvist-maja');
    await context.route('**/sandbox/fhir/DocumentReference/**', (route) => route.fulfill({ status: 403, json: {} }));
    const card = page.getByRole('region', { name: 'Model card' });
    await page.getByText('Model card', { exact: true }).click();
    await card.getByRole('heading', { name: /^hemocast-tiny \d/ }).waitFor();
    await card
      .getByRole('row', { name: /^AUC 0\.\d+/ })
      .first()
      .waitFor();
    expect(await card.getByRole('columnheader').count()).toBeGreaterThan(2);
    expect(await card.innerText()).not.toMatch(/\*\*|\|/);
    expect(await card.getByRole('img').count()).toBe(0);
    await card.getByText('[Picture: Decision curve]').waitFor();
    expect(await inspect(page, 'model-card', page.getByText('Model card', { exact: true }))).toEqual([]);
    await context.route('**/sandbox/fhir/Device/**', async (route) => {
      const answer = await route.fetch();
      const device = (await answer.json()) as { identifier: { value: string }[] };
      for (const identifier of device.identifier) identifier.value = 'f'.repeat(64);
      await route.fulfill({ response: answer, json: device });
    });
    await page.reload();
    await page.getByText('Model card', { exact: true }).click();
    await card.getByText('The card of the model that made this forecast could not be read').waitFor();
    await close();
  });

  it('says when a newer CT is in the chart than the one the forecast rests on', async () => {
    const study = await service.fhir('ImagingStudy/lindqvist-maja-ct');
    const newer = { ...study, id: 'lindqvist-maja-later', started: '2026-03-11T09:00:00+01:00' };
    newer.identifier = [{ system: 'urn:dicom:uid', value: 'urn:oid:2.25.4711' }];
    await putResource(service, newer);
    const { page, close } = await openApp(browser, service, 'lindqvist-maja');
    await page.getByText('A newer CT is in the chart').waitFor();
    await viewerReady(page);
    expect(await inspect(page, 'newer-study')).toEqual([]);
    await service.fetch('/sandbox/fhir/ImagingStudy/lindqvist-maja-later', { method: 'DELETE' });
    await close();
  });

  it('strikes the number through at once where its CT was withdrawn, before the service has taken the forecast back', async () => {
    const { page, context, close } = await openApp(browser, service, 'lindqvist-maja');
    await stateOf(page, 'current');
    await viewerReady(page);
    await context.route('**/sandbox/fhir/ImagingStudy?**', async (route) => {
      const response = await route.fetch();
      const bundle = (await response.json()) as { entry: { resource: { status: string } }[] };
      for (const { resource } of bundle.entry) resource.status = 'entered-in-error';
      await route.fulfill({ response, json: bundle });
    });
    await lookAgain(page);
    await stateOf(page, 'ungrounded');
    await page.getByText('does not list the CT that this forecast rests on').waitFor();
    expect(await page.locator('[data-testid="risk"] s').count()).toBe(1);
    expect(await page.locator('[data-testid="risk"] strong').count()).toBe(0);
    expect(await page.getByText('Not shown: the CT is not in the chart.').count()).toBe(2); // measurements and CTs
    expect(await page.locator('.findings dd, .pane').count()).toBe(0);
    expect(await inspect(page, 'study-withdrawn')).toEqual([]);
    await close();
  });

  it('shows the number also where the chart holds no generated image', async () => {
    const { page, close, context } = await openApp(browser, service, 'lindqvist-maja');
    await context.route('**/sandbox/fhir/Media/**', (route) => route.fulfill({ status: 404, json: {} }));
    await page.reload();
    await stateOf(page, 'current');
    await page.getByText('holds no generated follow-up CT').waitFor();
    expect(await inspect(page, 'no-image')).toEqual([]);
    await close();
  });

  it('says that the EHR keeps the generated CT from the user, shows no CT alone, and keeps the number', async () => {
    const { page, context, close } = await openApp(browser, service, 'lindqvist-maja');
    await context.route('**/sandbox/fhir/Binary/**', (route) => route.fulfill({ status: 403, body: 'no' }));
    await page.reload();
    await page
      .getByText('The generated CT cannot be shown, and no CT is shown alone. The EHR answered 403 for Binary.')
      .waitFor();
    expect(await page.locator('.pane').count()).toBe(0);
    await stateOf(page, 'current');
    expect(await inspect(page, 'no-generated-ct')).toEqual([]);
    await close();
  });

  it('says that the initial CT cannot be shown, shows no generated one without it, and keeps the number', async () => {
    const { page, close, context } = await openApp(browser, service, 'lindqvist-maja');
    await context.route('**/v1/imaging-studies/**', (route) => route.fulfill({ status: 503, json: {} }));
    await page.reload();
    await stateOf(page, 'current');
    await page.getByText('The initial CT cannot be shown').waitFor();
    expect(await page.locator('.pane').count()).toBe(0);
    expect(await inspect(page, 'no-initial-ct')).toEqual([]);
    await context.unroute('**/v1/imaging-studies/**');
    await context.route('**/initial-ct', (route) => route.abort());
    const again = page.getByRole('button', { name: 'Try again' });
    await again.press('Enter');
    await page.getByText('The initial CT cannot be shown. The hemocast service could not be reached.').waitFor();
    const focused = (): Promise<unknown> => page.evaluate('document.activeElement.textContent');
    expect(await focused()).toBe('Try again');
    await context.unroute('**/initial-ct');
    await again.press('Enter');
    await viewerReady(page);
    expect(await page.evaluate('document.activeElement.className')).toBe('viewer-tools');
    await close();
  });

  it('says how much of both CTs has arrived, over a slow line', async () => {
    const { page, context, close } = await openApp(browser, service, 'lindqvist-maja');
    await viewerReady(page);
    const line = await context.newCDPSession(page);
    const slow = { offline: false, latency: 20, downloadThroughput: 8e6, uploadThroughput: 8e6 };
    await line.send('Network.emulateNetworkConditions', slow);
    await page.reload();
    const share = async (): Promise<number> => {
      const words = await page.getByText(/Loading both CTs … [1-9]\d* %/).textContent();
      return Number(/(\d+) %/.exec(words!)![1]);
    };
    const first = await share();
    expect(first).toBeLessThan(100);
    await page.waitForFunction(
      `Number(/(\\d+) %/.exec(document.querySelector('.viewer-note')?.textContent)?.[1]) > ${first}`,
    );
    await line.send('Network.emulateNetworkConditions', { ...slow, latency: 0, downloadThroughput: -1 });
    await viewerReady(page);
    await close();
  });

  it('says that the EHR did not answer, and reads the chart when asked again', async () => {
    const { page, context, close } = await openApp(browser, service, 'lindqvist-maja');
    await context.route('**/sandbox/fhir/RiskAssessment?**', (route) => route.fulfill({ status: 503, body: 'no' }));
    await page.reload();
    await page.getByText('The EHR answered 503 for RiskAssessment').waitFor();
    expect(await inspect(page, 'ehr-silent')).toEqual([]);
    await context.unroute('**/sandbox/fhir/RiskAssessment?**');
    await page.getByRole('button', { name: 'Try again' }).click();
    await stateOf(page, 'current');
    await close();
  });
});
