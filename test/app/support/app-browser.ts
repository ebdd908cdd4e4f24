/** The SMART app in Chromium, launched by the sandbox EHR or opened as a launch leaves it, on the service as its user runs it. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import type { Browser, BrowserContext, BrowserContextOptions, Locator, Page } from 'playwright-core';
import { appIsStale } from '../../../scripts/smart-app.mjs';
import { onPath, repositoryRoot } from '../../support/paths.ts';
import { ServiceProcess } from '../../support/service-process.ts';

const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Builds the app where its sources are newer than what was built, as `npm start` does. */
export function buildApp(): void {
  if (!appIsStale()) return;
  const vite = join(repositoryRoot, 'node_modules/vite/bin/vite.js');
  const build = spawnSync(process.execPath, [vite, 'build', 'smart-app', '--logLevel', 'error'], {
    cwd: repositoryRoot,
    env: { ...process.env, NODE_ENV: 'production' }, // Jest's own would bundle React's development build
  });
  if (build.status !== 0) throw new Error(`The app could not be built:\n${build.stderr.toString()}`);
}

export function openChromium(): Promise<Browser> {
  return chromium.launch({ executablePath: onPath('chromium'), args: ARGUMENTS });
}

/** The built app, on a service of its own, with a browser. */
export async function startApp(env: Record<string, string> = {}): Promise<[ServiceProcess, Browser]> {
  buildApp();
  return Promise.all([ServiceProcess.start(env), openChromium()]);
}

/** Also where it did not start as a whole. */
export async function stopApp(service: ServiceProcess | undefined, browser: Browser | undefined): Promise<void> {
  await browser?.close();
  await service?.stopAndForget();
}

export interface AppPage {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Whatever the page complained of: script errors, content the policy refused, dialogs. */
  readonly complaints: string[];
  /** Every address that was asked for. */
  readonly requested: string[];
  close(): Promise<void>;
}

/** The sandbox's chart under another address: an EHR that is not the sandbox. */
export const HOSPITAL = '/hospital/fhir';

/**
 * Opens the app for a patient. The state that fhirclient keeps after the EHR's redirect is put into the tab's own storage:
 * the sandbox's chart answers this machine without a token, so that screens can be tested without a launch each.
 * `fhir` is the path of the EHR on the service.
 */
export async function openApp(
  browser: Browser,
  service: ServiceProcess,
  patient: string,
  options: BrowserContextOptions & LaunchOptions & { readonly context?: BrowserContext } = {},
): Promise<AppPage> {
  const { appContext, fhir, token, ...contextOptions } = options;
  const app = await newAppPage(browser, contextOptions);
  if (fhir === HOSPITAL) await openHospital(app.context, service);
  await app.page.addInitScript(
    `sessionStorage.setItem('${patient}-state', ${JSON.stringify(JSON.stringify(launchedState(service, patient, { appContext, fhir, token })))})`,
  );
  await app.page.goto(`${service.url}/app/index.html?state=${patient}-state`);
  return app;
}

/** Opens the app by an EHR launch: SMART App Launch through the sandbox's authorization server, with a token for this patient. */
export async function launchApp(
  browser: Browser,
  service: ServiceProcess,
  patient: string,
  options: BrowserContextOptions & { readonly context?: BrowserContext } = {},
): Promise<AppPage> {
  const app = await newAppPage(browser, options);
  await app.page.goto(await launchUrl(service, { patient }));
  return app;
}

/** Where an EHR sends the browser to launch the app; `context` as in SMART App Launch 2.2. */
export async function launchUrl(service: ServiceProcess, context: object): Promise<string> {
  const response = await fetch(`${service.url}/sandbox/launch`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(context),
  });
  const { launch } = (await response.json()) as { launch: string };
  return `${service.url}/app/launch.html?${new URLSearchParams({ iss: `${service.url}/sandbox/fhir`, launch })}`;
}

async function newAppPage(
  browser: Browser,
  options: BrowserContextOptions & { readonly context?: BrowserContext },
): Promise<AppPage> {
  const { context: given, ...contextOptions } = options;
  const context = given ?? (await browser.newContext({ viewport: { width: 1280, height: 800 }, ...contextOptions }));
  const page = await context.newPage();
  const [complaints, requested]: string[][] = [[], []];
  page.on('pageerror', (error) => void complaints.push(error.message));
  page.on('console', (message) => void (message.type() === 'error' && complaints.push(message.text())));
  page.on('dialog', (dialog) => (complaints.push(`dialog ${dialog.message()}`), dialog.dismiss()));
  page.on('request', (request) => void requested.push(request.url()));
  return { page, context, complaints, requested, close: () => (given === undefined ? context.close() : page.close()) };
}

interface LaunchOptions {
  readonly appContext?: object;
  readonly fhir?: string;
  /** What the EHR's authorization server answered; without it the app reads as this machine. */
  readonly token?: object;
}

async function openHospital(context: BrowserContext, service: ServiceProcess): Promise<void> {
  const issuers = [{ iss: `${service.url}${HOSPITAL}`, clientId: 'hemocast-app' }];
  await context.route('**/app/config.json', async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...(await response.json()), issuers } });
  });
  await context.route(`${service.url}${HOSPITAL}/**`, (route) =>
    route.continue({ url: route.request().url().replace(HOSPITAL, '/sandbox/fhir') }),
  );
}

export function launchedState(
  service: ServiceProcess,
  patient: string,
  { appContext, fhir = '/sandbox/fhir', token }: LaunchOptions = {},
): object {
  return {
    key: `${patient}-state`,
    clientId: 'hemocast-app',
    serverUrl: `${service.url}${fhir}`,
    redirectUri: `${service.url}/app/index.html`,
    completeInTarget: true,
    tokenResponse: { ...token, patient, ...(appContext && { appContext: JSON.stringify(appContext) }) },
  };
}

export async function stateOf(page: Page, state: string): Promise<void> {
  await page.waitForSelector(`main[data-state="${state}"]`, { timeout: 30_000 });
}

/** What happens when someone comes back to the tab: the chart is looked at again at once. */
export async function lookAgain(page: Page): Promise<void> {
  await page.evaluate('document.dispatchEvent(new Event("visibilitychange"))');
}

export async function viewerReady(page: Page): Promise<void> {
  await page.waitForSelector('.viewer-tools[data-ready="true"]', { timeout: 30_000 });
  await settled(page);
}

/** Two frames: what was asked for has been drawn. */
export async function settled(page: Page): Promise<void> {
  await page.evaluate(
    'new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 60))))',
  );
}

/** The violations of a state; with HEMOCAST_PICTURES=1 its picture replaces that of docs/images/states. */
export async function inspect(page: Page, state: string, shown?: Locator): Promise<readonly string[]> {
  if (process.env.HEMOCAST_PICTURES === '1') {
    const folder = join(repositoryRoot, 'docs/images/states');
    mkdirSync(folder, { recursive: true });
    const size = page.viewportSize()!;
    await page.setViewportSize({ width: 1000, height: 640 });
    await shown?.scrollIntoViewIfNeeded();
    await settled(page);
    await page.screenshot({ path: join(folder, `${state}.png`) });
    await page.setViewportSize(size);
  }
  return violations(page);
}

const AXE = readFileSync(join(repositoryRoot, 'node_modules/axe-core/axe.min.js'), 'utf8');

/**
 * WCAG 2.2 A and AA violations as "rule: element", with every disclosure opened first: as the page is, and dark on 320 CSS pixels,
 * where nothing may reach beyond the screen either (WCAG 1.4.10).
 */
export async function violations(page: Page): Promise<string[]> {
  await page.evaluate('document.querySelectorAll("details").forEach((element) => { element.open = true })');
  for (const frame of page.frames()) await frame.evaluate(AXE); // evaluated by the test, outside of the page's own policy
  await page.emulateMedia({ reducedMotion: 'reduce' }); // what is half faded in has half its contrast
  const found = await axe(page);
  const size = page.viewportSize()!;
  await page.setViewportSize({ width: 320, height: 700 });
  await page.emulateMedia({ colorScheme: 'dark' });
  const narrow = await axe(page);
  const beyond = (await page.evaluate('document.documentElement.scrollWidth - innerWidth')) as number;
  await page.setViewportSize(size);
  await page.emulateMedia({ colorScheme: null });
  await settled(page);
  return [...found, ...narrow.map((line) => `dark, 320 px: ${line}`), ...(beyond > 0 ? [`${beyond} px too wide`] : [])];
}

async function axe(page: Page): Promise<string[]> {
  await settled(page);
  const run = `axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
    .then(({ violations }) => violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => id + ': ' + html.slice(0, 160))))`;
  return (await page.evaluate(run)) as string[];
}

/** PUTs a changed resource into the sandbox's chart, as an EHR user would. */
export async function changeResource(
  service: ServiceProcess,
  reference: string,
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  change: (resource: any) => void,
): Promise<void> {
  const resource = await service.fhir(reference);
  change(resource);
  await putResource(service, resource);
}

export async function putResource(
  service: ServiceProcess,
  resource: { resourceType: string; id: string },
): Promise<void> {
  const response = await fetch(`${service.url}/sandbox/fhir/${resource.resourceType}/${resource.id}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/fhir+json' },
    body: JSON.stringify(resource),
  });
  if (!response.ok) throw new Error(`PUT ${resource.resourceType}: ${response.status} ${await response.text()}`);
}

/** The forecast in the chart of a patient. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export async function forecastsOf(service: ServiceProcess, patient: string): Promise<any[]> {
  const bundle = await service.fhir(`RiskAssessment?subject=Patient/${patient}`);
  return (bundle.entry ?? []).map(({ resource }: { resource: unknown }) => resource);
}
