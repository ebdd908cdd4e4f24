/**
 * `node test/bench/app.ts`: how long from an EHR launch until the risk is on the screen, in headless Chromium with an empty cache, beside a page of
 * the same service that shows nothing; and how much JavaScript the first screen needs.
 */
import { gzipSync } from 'node:zlib';
import { buildApp, launchApp, openChromium } from '../app/support/app-browser.ts';
import { ServiceProcess } from '../support/service-process.ts';

const REPEATS = Number(process.env.REPEATS ?? 7);
const PATIENT = 'lindqvist-maja';

buildApp();
const service = await ServiceProcess.start({ LOG_LEVEL: 'silent' });
const browser = await openChromium();
try {
  const [empty, risk]: number[][] = [[], []];
  const scripts = new Set<string>();
  for (let i = 0; i < REPEATS; i++) {
    const context = await browser.newContext();
    const page = await context.newPage();
    let began = performance.now();
    await page.goto(`${service.url}/health/live`);
    empty.push(performance.now() - began);
    await context.close();
    began = performance.now();
    const app = await launchApp(browser, service, PATIENT);
    await app.page.locator('[data-testid="risk"]').waitFor();
    risk.push(performance.now() - began);
    const viewer = app.requested.findIndex((url) => /assets\/viewer-/.test(url));
    const before = viewer < 0 ? app.requested : app.requested.slice(0, viewer);
    before.filter((url) => url.endsWith('.js')).forEach((url) => scripts.add(url));
    await app.close();
    process.stderr.write('.');
  }
  process.stderr.write('\n');
  let bytes = 0;
  for (const url of scripts) bytes += gzipSync(Buffer.from(await (await fetch(url)).arrayBuffer())).byteLength;
  const spread = (values: readonly number[]): string => {
    const sorted = [...values].sort((a, b) => a - b);
    return `${sorted[sorted.length >> 1].toFixed(0)} (${sorted[0].toFixed(0)} to ${sorted.at(-1)!.toFixed(0)})`;
  };
  console.log(`The app, ${REPEATS} times with an empty cache, median (least to most)`);
  console.log(`  a page that shows nothing, ms           ${spread(empty)}`);
  console.log(`  launched, the risk is on the screen, ms ${spread(risk)}`);
  console.log(`  JavaScript of launch and first screen, kB ${(bytes / 1000).toFixed(0)} compressed`);
} finally {
  await browser.close();
  await service.stopAndForget();
}
