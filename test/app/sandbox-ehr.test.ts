/** The whole loop in two minutes of clicking: the sandbox EHR at `/`, in Chromium. */
import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { describeWith, itWith, testDataDir } from '../support/components.ts';
import { ServiceProcess } from '../support/service-process.ts';
import { buildApp, forecastsOf, openChromium, putResource, settled, violations } from './support/app-browser.ts';

describeWith('Chromium', 'The sandbox EHR', () => {
  let service: ServiceProcess;
  let browser: Browser;
  let page: Page;
  const complaints: string[] = [];
  const requested: string[] = [];

  beforeAll(async () => {
    buildApp();
    service = await ServiceProcess.start();
    browser = await openChromium();
    page = await browser.newPage({ viewport: { width: 1500, height: 950 } });
    page.on('pageerror', (error) => void complaints.push(error.message));
    page.on('console', (message) => void (message.type() === 'error' && complaints.push(message.text())));
    page.on('request', (request) => void requested.push(request.url()));
    await page.goto(service.url);
  }, 180_000);
  beforeEach(async () => {
    await page.getByRole('button', { name: /Lindqvist/ }).click();
    await page.locator('#chart').getByText('Lindqvist').waitFor();
  });
  afterAll(async () => {
    await browser.close();
    await service.stopAndForget();
  });

  const cardOf = (region: string) =>
    page.locator('section', { has: page.getByRole('heading', { name: region }) }).locator('article');

  const signEnoxaparin = async (): Promise<void> => {
    await page.getByRole('combobox').selectOption({ label: 'Enoxaparin 40 mg subcutaneous' });
    await page.getByRole('button', { name: 'Sign' }).click();
  };

  it('shows the patients with what is known of them', async () => {
    expect(await page.getByRole('button', { name: /Lindqvist/ }).innerText()).toMatch(
      /^Lindqvist-Sim, Maja\nfemale, \d\d years\nMechanical thrombectomy\n10 Mar 2026, 00:31 \(UTC\+01:00\)\n\d+\s% high$/,
    );
    expect(await page.getByRole('button', { name: /Moreau/ }).innerText()).toContain('not assessed');
    expect(await page.locator('header').innerText()).toContain('The simulated patients stay in March 2026');
  }, 60_000);

  it('shows in the chart what happened, in order of time', async () => {
    const timeline = page.locator('.timeline li');
    await timeline.getByText('RiskAssessment').first().waitFor();
    const what = (await timeline.allInnerTexts()).map((text) => text.split('\n').slice(0, 2).join(' '));
    expect(what).toEqual([
      '9 Mar 2026, 21:25 (UTC+01:00) Admission',
      '10 Mar 2026, 00:31 (UTC+01:00) Mechanical thrombectomy',
      expect.stringMatching(/^10 Mar 2026, 01:05 \(UTC\+01:00\) CT HEAD WITHOUT CONTRAST, \d+ images$/),
      expect.stringMatching(/RiskAssessment: hemorrhage within 72 h \d+\s% \(high\)$/),
    ]);
  }, 60_000);

  it('shows the forecast as a card when the chart is opened, and when an anticoagulant is signed', async () => {
    await cardOf('Lindqvist-Sim').first().waitFor();
    await signEnoxaparin();
    const card = cardOf('New order').first();
    await card.waitFor();
    expect(await card.innerText()).toMatch(/Hemorrhage within 72 h after thrombectomy: \d+ % \(high\)/);
    expect(await card.innerText()).toContain('not a medical device');
  }, 60_000);

  it('says on an order that the forecast is not ready yet, and has it on the next one', async () => {
    await page.getByRole('button', { name: /Novak/ }).click();
    await page.getByRole('combobox').selectOption({ label: 'Enoxaparin 40 mg subcutaneous' });
    await cardOf('New order').getByText('not ready yet').waitFor();
    while ((await forecastsOf(service, 'novak-petra')).length === 0) await page.waitForTimeout(300);
    await page.getByRole('button', { name: 'Sign' }).click();
    await cardOf('New order')
      .getByText(/Hemorrhage within 72 h after thrombectomy: \d+ % \(\w+\)/)
      .waitFor();
  }, 60_000);

  it('says that the decision support is being asked, and not that it has nothing to say, before it has answered', async () => {
    const held = Promise.withResolvers<void>();
    await page.route('**/cds-services/*', (route) => held.promise.then(() => route.continue()));
    await page.getByRole('button', { name: /Rivera/ }).click();
    await page.getByText('The decision support is asked …').first().waitFor();
    await settled(page);
    expect(await page.getByText('has nothing to say').count()).toBe(0);
    held.resolve();
    await page.getByText('Decision support has nothing to say about this chart.').waitFor();
    await page.unroute('**/cds-services/*');
  }, 60_000);

  it('is silent about a drug that has nothing to do with bleeding', async () => {
    await page.getByRole('combobox').selectOption({ label: 'Acetaminophen 500 mg oral' });
    await page.getByText('No card: nothing useful to say about this order.').waitFor();
    expect(await cardOf('New order').count()).toBe(0);
  }, 60_000);

  it('sends the reason why a card was overridden, and the service counts it', async () => {
    await page.getByRole('combobox').selectOption({ label: 'Aspirin 81 mg oral' });
    await page.getByRole('button', { name: 'Sign' }).click();
    await cardOf('New order').getByRole('button', { name: 'Already considered' }).click();
    await page.getByText('The reason was sent to the service.').waitFor();
    expect(await (await service.fetch('/metrics')).text()).toMatch(/reason="already-considered"[^\n]* 1$/m);
  }, 60_000);

  it('launches the app in a panel by an EHR launch: the risk of this patient, beside both CTs', async () => {
    await page.getByRole('button', { name: 'Open hemocast' }).click();
    const app = page.frameLocator('iframe[title="hemocast"]');
    await app.getByText('LINDQVIST-SIM, Maja').waitFor({ timeout: 30_000 });
    await app.getByTestId('risk').getByText('high risk').waitFor();
    await app.getByText('AI-generated follow-up CT').first().waitFor();
  }, 60_000);

  it('opens no app beside the chart of another patient, who was chosen before the launch was answered', async () => {
    const held = Promise.withResolvers<void>();
    await page.route('**/sandbox/launch', (route) => held.promise.then(() => route.continue()));
    await page.getByRole('button', { name: 'Open hemocast' }).first().click();
    await page.getByRole('button', { name: /Okafor/ }).click();
    const answered = page.waitForResponse('**/sandbox/launch');
    held.resolve();
    await (await answered).finished();
    await settled(page);
    expect(await page.locator('#chart').innerText()).toContain('Okafor');
    expect(await page.locator('iframe').count()).toBe(0);
    await page.unroute('**/sandbox/launch');
    await page.getByRole('button', { name: 'Open hemocast' }).first().click();
    await page.frameLocator('iframe[title="hemocast"]').getByText('OKAFOR').waitFor({ timeout: 30_000 });
  }, 60_000);

  it('opens the app from a card on the CT and the forecast that the card speaks of', async () => {
    const study = await service.fhir('ImagingStudy/lindqvist-maja-ct');
    const [first] = await forecastsOf(service, 'lindqvist-maja');
    // Without the card's word the app shows this one: it is newer.
    await putResource(service, {
      ...study,
      id: 'lindqvist-maja-later',
      started: '2026-03-14T09:00:00+01:00',
      identifier: [{ system: 'urn:dicom:uid', value: 'urn:oid:2.25.4711' }],
    });
    await putResource(service, {
      ...first,
      id: 'of-the-later-ct',
      identifier: [{ ...first.identifier[0], value: 'of-the-later-ct' }],
      basis: [{ reference: 'ImagingStudy/lindqvist-maja-later' }],
      occurrenceDateTime: new Date(Date.now() + 60_000).toISOString(),
      prediction: [{ ...first.prediction[0], probabilityDecimal: 3 }],
    });
    const app = page.frameLocator('iframe[title="hemocast"]');
    await page.getByRole('button', { name: 'Open hemocast' }).first().click();
    await app.getByTestId('risk').getByText('3 %', { exact: true }).waitFor({ timeout: 30_000 });

    await signEnoxaparin();
    const card = cardOf('New order').first();
    const percent = /: (\d+ %) \(high\)/.exec(await card.getByRole('heading').innerText())![1];
    await card.getByRole('button', { name: 'Show the scan and the forecast in hemocast' }).click();
    await app.getByTestId('risk').getByText(percent, { exact: true }).waitFor({ timeout: 30_000 });
    await app.getByText('A newer CT is in the chart').waitFor();
    await service.fetch('/sandbox/fhir/RiskAssessment/of-the-later-ct', { method: 'DELETE' });
    await service.fetch('/sandbox/fhir/ImagingStudy/lindqvist-maja-later', { method: 'DELETE' });
  }, 60_000);

  const upload = async (folder: string): Promise<string> => {
    const directory = join(testDataDir, folder);
    const files = readdirSync(directory).filter((name) => !/\.(txt|md|json)$/i.test(name));
    await page.getByLabel('Files of one head CT').setInputFiles(files.map((name) => join(directory, name)));
    const steps = page.getByRole('status', { name: 'What happens with the upload' });
    await steps.getByText(/The forecast is in the chart|No forecast/).waitFor({ timeout: 90_000 });
    return steps.innerText();
  };

  itWith(
    'test data',
    'stores an uploaded study, opens its patient and says what happens until there is a forecast, or why there is none',
    async () => {
      expect(await upload('ge_hispeed_head_tilt')).toMatch(
        /Storing \d+ files[^]*In the chart of[^]*The forecast is in the chart/,
      );
      await page.getByText(/RiskAssessment: hemorrhage within 72 h/).waitFor();
      expect(await upload('abdomen_ct_3slice_ge')).toMatch(/In the chart of[^]*No forecast: \S+/);
      await page
        .getByLabel('Files of one head CT')
        .setInputFiles({ name: 'a.txt', mimeType: 'text/plain', buffer: Buffer.from('a') });
      await page.getByText('it takes DICOM files only').waitFor();
      expect(complaints.splice(0)).toEqual([expect.stringContaining('409')]); // what Chromium says of that answer
    },
    180_000,
  );

  it('has a patient of whose scan no forecast can be made, and the app says why', async () => {
    await page.getByRole('button', { name: /Marino/ }).click();
    await cardOf('Marino-Sim').getByText('not ready yet').first().waitFor(); // opening the chart has asked for it
    await page.getByRole('button', { name: 'Open hemocast' }).first().click();
    const app = page.frameLocator('iframe[title="hemocast"]');
    await app.getByText('The scan must reach from the vertex at least 90 mm down').waitFor({ timeout: 30_000 });
    await signEnoxaparin();
    await cardOf('New order').getByText('the initial CT cannot be read').first().waitFor();
  }, 60_000);

  it('takes a card away when what its forecast rests on is entered in error, and marks the entry and the forecast', async () => {
    await page.getByRole('button', { name: /Novak/ }).click();
    await page.getByText(/RiskAssessment: hemorrhage/).waitFor({ timeout: 20_000 }); // opening the chart has asked for it
    await cardOf('Novak-Sim').first().waitFor();
    await signEnoxaparin();
    await cardOf('New order').first().waitFor();
    await page.getByRole('button', { name: /^Mark as entered in error: .*thrombectomy/i }).click();
    await page.getByText(/thrombectomy.* \(entered-in-error\)$/i).waitFor();
    await cardOf('Novak-Sim').first().waitFor({ state: 'detached' });
    await cardOf('New order').first().waitFor({ state: 'detached' });
    await page.getByText(/RiskAssessment: .*, withdrawn$/).waitFor({ timeout: 20_000 });
    await page.getByRole('button', { name: /^Restore: .*thrombectomy/i }).click();
    await page.getByRole('button', { name: /^Mark as entered in error: .*thrombectomy/i }).waitFor();
  }, 60_000);

  it('says when hemocast is paused', async () => {
    await service.setMode('paused');
    await page.locator('header').getByText('hemocast is paused').waitFor({ timeout: 10_000 });
    await page.getByRole('button', { name: /Okafor/ }).click();
    await page
      .getByRole('region', { name: 'Decision support for the chart' })
      .getByText('hemocast is paused')
      .waitFor();
    await service.setMode('running');
    await page.getByText('hemocast is paused').first().waitFor({ state: 'detached', timeout: 10_000 });
  }, 60_000);

  it('brings chart and app into view on a phone', async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    const isSeen = async (selector: string): Promise<boolean> => {
      await settled(page);
      const { y: top } = (await page.locator(selector).boundingBox())!;
      return top > -1 && top < 370;
    };
    await page.getByRole('button', { name: /Okafor/ }).click();
    expect(await isSeen('#chart')).toBe(true);
    await page.getByRole('button', { name: 'Open hemocast' }).first().click();
    await page.locator('iframe').waitFor();
    expect(await isSeen('#app')).toBe(true);
    await page.setViewportSize({ width: 1500, height: 950 });
  }, 60_000);

  it('has no accessibility violation that axe finds, with a card on the chart, one on an order and the app in its panel', async () => {
    await cardOf('Lindqvist-Sim').first().waitFor();
    await signEnoxaparin();
    await cardOf('New order').first().waitFor();
    await page.getByRole('button', { name: 'Open hemocast' }).first().click();
    await page
      .frameLocator('iframe[title="hemocast"]')
      .getByTestId('risk')
      .getByText('high risk')
      .waitFor({ timeout: 30_000 });
    expect(await violations(page)).toEqual([]);
  }, 60_000);

  it('asks no one but this machine for anything, and the page has nothing to complain of', () => {
    expect(requested.filter((url) => !url.startsWith(service.url) && !url.startsWith('blob:'))).toEqual([]);
    expect(complaints).toEqual([]);
  });
});
