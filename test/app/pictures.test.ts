/** The pictures of the front page, taken anew: with HEMOCAST_PICTURES=1 they replace those of docs/images. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { describeWith, repositoryRoot } from '../support/components.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { openApp, settled, startApp, stopApp, viewerReady } from './support/app-browser.ts';

const PATIENT = 'lindqvist-maja';

describeWith('Chromium', 'The pictures of the front page', () => {
  const temporary = mkdtempSync(join(tmpdir(), 'hemocast-pictures-'));
  const folder = process.env.HEMOCAST_PICTURES === '1' ? join(repositoryRoot, 'docs/images') : temporary;
  let service: ServiceProcess;
  let browser: Browser;
  beforeAll(async () => {
    [service, browser] = await startApp();
  });
  afterAll(async () => {
    await stopApp(service, browser);
    rmSync(temporary, { recursive: true, force: true });
  });

  /** A picture of one colour would be a tenth of this. */
  const LEAST_BYTES = 30_000;
  const take = async (page: Page, name: string): Promise<void> => {
    const path = join(folder, name);
    await settled(page);
    await page.screenshot({ path });
    expect(statSync(path).size).toBeGreaterThan(LEAST_BYTES);
  };

  it('show the app on a workstation, in the frame of an EHR at night, and on a phone', async () => {
    const desk = await openApp(browser, service, PATIENT, { viewport: { width: 1280, height: 800 } });
    await viewerReady(desk.page);
    await take(desk.page, 'app.png');
    await desk.close();

    const night = { viewport: { width: 900, height: 600 }, colorScheme: 'dark' } as const;
    const frame = await openApp(browser, service, PATIENT, night);
    await viewerReady(frame.page);
    await frame.page.locator('.viewer-tools').scrollIntoViewIfNeeded();
    await frame.page.locator('.viewer-tools').focus();
    for (const key of ['d', 'a']) await frame.page.keyboard.press(key);
    await frame.page.getByText('Where both tasks looked').waitFor();
    await frame.page.getByRole('button', { name: /^slice \d+$/ }).click();
    await frame.page.evaluate('document.querySelector(".viewer-tools").scrollIntoView()');
    await take(frame.page, 'app-overlays.png');
    await frame.close();

    const phone = { viewport: { width: 375, height: 800 }, deviceScaleFactor: 2, hasTouch: true };
    const hand = await openApp(browser, service, PATIENT, phone);
    await viewerReady(hand.page);
    await take(hand.page, 'app-phone.png');
    await hand.close();
  });

  it('show the comparison as it lies in the chart', async () => {
    const { entry } = await service.fhir(`Media?subject=Patient/${PATIENT}`);
    const contents = entry.map(({ resource }: { resource: { content: object } }) => resource.content);
    const { url } = contents.find(({ contentType }: { contentType: string }) => contentType === 'image/png');
    const answer = await fetch(`${service.url}/sandbox/fhir/${url}`, { headers: { accept: 'image/png' } });
    const picture = Buffer.from(await answer.arrayBuffer());
    expect(picture.byteLength).toBeGreaterThan(LEAST_BYTES);
    writeFileSync(join(folder, 'comparison.png'), picture);
  });

  it('show the sandbox EHR with a card, and the app that a card at an anticoagulant’s signature opened on its forecast', async () => {
    const page = await browser.newPage({ viewport: { width: 1500, height: 950 } });
    await page.goto(service.url);
    await page.getByRole('button', { name: /Lindqvist/ }).click();
    await page.getByRole('combobox').selectOption({ label: 'Enoxaparin 40 mg subcutaneous' });
    await page.getByRole('button', { name: 'Sign' }).click();
    const order = page.locator('section', { has: page.getByRole('heading', { name: 'New order' }) });
    await order.locator('article').waitFor();
    await order
      .locator('article')
      .getByRole('button', { name: /hemocast/i })
      .first()
      .click();
    const app = page.frameLocator('iframe[title="hemocast"]');
    await app.getByText('LINDQVIST-SIM, Maja').waitFor({ timeout: 30_000 });
    await app.getByTestId('risk').getByText('high risk').waitFor();
    await app.locator('.generated canvas').first().waitFor();
    await page.waitForLoadState('networkidle');
    await page.evaluate('scrollTo(0, 0)');
    await take(page, 'sandbox-ehr.png');
    await page.close();
  });
});
