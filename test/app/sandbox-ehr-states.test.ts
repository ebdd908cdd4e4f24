/** The sandbox EHR at `/` in states that pass or that nobody hopes for: everyone can use it there too. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Locator, Page } from 'playwright-core';
import { describeWith, repositoryRoot } from '../support/components.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { startApp, stopApp, violations } from './support/app-browser.ts';

const CT = join(repositoryRoot, 'api/sandbox/patients/novak-petra/ct');

describeWith('Chromium', 'The sandbox EHR has no accessibility violation that axe finds', () => {
  let service: ServiceProcess;
  let browser: Browser;
  let page: Page;
  beforeAll(async () => {
    [service, browser] = await startApp();
    page = await browser.newPage({ viewport: { width: 1500, height: 950 } });
    await page.goto(service.url);
    await page.getByRole('button', { name: /Novak/ }).waitFor();
  }, 180_000);
  afterAll(() => stopApp(service, browser));

  const files = (): Locator => page.getByLabel('Files of one head CT');
  const steps = (): Locator => page.getByRole('status', { name: 'What happens with the upload' });

  it('while an upload goes its way', async () => {
    const held = Promise.withResolvers<void>();
    await page.route('**/v1/assessments/*', (route) => held.promise.then(() => route.continue()));
    await files().setInputFiles(readdirSync(CT).map((name) => join(CT, name)));
    await steps().getByText('In the chart of').waitFor();
    await steps().getByRole('listitem').nth(2).waitFor();
    expect(await files().isDisabled()).toBe(true);
    expect(await violations(page)).toEqual([]);
    held.resolve();
    await steps().getByText('The forecast is in the chart').waitFor();
    await page.unroute('**/v1/assessments/*');
  });

  it('after files were refused', async () => {
    await files().setInputFiles({ name: 'a.txt', mimeType: 'text/plain', buffer: Buffer.from('a') });
    await steps().getByText('it takes DICOM files only').waitFor();
    expect(await violations(page)).toEqual([]);
  });

  it('while hemocast is paused', async () => {
    await service.setMode('paused');
    await page.locator('header').getByText('hemocast is paused').waitFor();
    expect(await violations(page)).toEqual([]);
    await service.setMode('running');
    await page.locator('header').getByText('hemocast is paused').waitFor({ state: 'detached' });
  });

  it('beside the app and a card that say why there is no forecast', async () => {
    await page.getByRole('button', { name: /Marino/ }).click();
    await page.getByRole('button', { name: 'Open hemocast' }).first().click();
    const app = page.frameLocator('iframe[title="hemocast"]');
    await app.getByText('The scan must reach from the vertex at least 90 mm down').waitFor();
    await page.getByRole('combobox').selectOption({ label: 'Enoxaparin 40 mg subcutaneous' });
    await page.getByRole('button', { name: 'Sign' }).click();
    const order = page.getByRole('region', { name: 'Decision support for the order' });
    await order.locator('article').getByText('the initial CT cannot be read').first().waitFor();
    expect(await violations(page)).toEqual([]);
  });

  it('with an entry that is marked as entered in error, and its forecast as withdrawn', async () => {
    await page.getByRole('button', { name: /Lindqvist/ }).click();
    await page.getByRole('button', { name: /^Mark as entered in error: .*thrombectomy/i }).click();
    await page.getByText(/thrombectomy.* \(entered-in-error\)$/i).waitFor();
    await page.getByText(/RiskAssessment: .*, withdrawn$/).waitFor();
    expect(await violations(page)).toEqual([]);
  });
});
