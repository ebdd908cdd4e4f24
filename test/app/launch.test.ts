/** The launches of SMART App Launch 2.2, from the sandbox EHR through its authorization server into the app, with real tokens. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Browser, Page, Request } from 'playwright-core';
import { describeWith } from '../support/components.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import {
  changeResource,
  inspect,
  launchUrl,
  lookAgain,
  startApp,
  stateOf,
  stopApp,
  viewerReady,
  violations,
} from './support/app-browser.ts';

describeWith('Chromium', 'The app launched', () => {
  let service: ServiceProcess;
  let browser: Browser;
  beforeAll(async () => {
    [service, browser] = await startApp({ CHART_WATCH_MS: '500' });
  });
  afterAll(() => stopApp(service, browser));

  const watch = (page: Page): Request[] => {
    const requests: Request[] = [];
    page.on('request', (request) => void requests.push(request));
    return requests;
  };

  it('from the chart asks with PKCE S256, reads with the user’s token only, and shows the patient of the launch', async () => {
    const page = await browser.newPage();
    const requests = watch(page);
    await page.goto(await launchUrl(service, { patient: 'lindqvist-maja' }));
    await stateOf(page, 'current');
    expect(await page.locator('.who h1').innerText()).toContain('LINDQVIST');
    await viewerReady(page);

    const authorize = requests
      .map((request) => new URL(request.url()))
      .find(({ searchParams }) => searchParams.has('code_challenge'))!;
    expect(authorize.searchParams.get('code_challenge_method')).toBe('S256');
    expect(authorize.searchParams.get('state')).toMatch(/^[A-Za-z0-9_-]{43}$/);
    const reads = requests.filter((request) => /\/(sandbox\/fhir\/(?!\.well-known)|v1\/)/.test(request.url()));
    expect(reads.length).toBeGreaterThan(8);
    const headers = await Promise.all(reads.map((request) => request.headerValue('authorization')));
    for (const header of headers) expect(header).toMatch(/^Bearer \S+$/);
    expect(page.url()).not.toContain('code=');
    await page.reload();
    await stateOf(page, 'current');
    await page.close();
  });

  it('without a patient in hand lets one be chosen first', async () => {
    const page = await browser.newPage();
    await page.goto(`${service.url}/app/launch.html`);
    await page.getByText('Choose a patient').first().waitFor();
    expect(await violations(page)).toEqual([]);
    await page
      .getByText(/Rivera/)
      .first()
      .click();
    await stateOf(page, 'current');
    expect(await page.locator('.who h1').innerText()).toContain('RIVERA');
    await page.close();
  });

  it('is as accessible where it is not opened, or an EHR has to be chosen first', async () => {
    const page = await browser.newPage();
    const listed = [1, 2].map((at) => ({ iss: `https://ehr-${at}.example/fhir`, clientId: 'hemocast' }));
    await page.goto(`${service.url}/app/launch.html?iss=https%3A%2F%2Fevil.test%2Ffhir`);
    await page.getByText('not on the list').waitFor();
    expect(await violations(page)).toEqual([]);
    await page.route('**/app/config.json', (route) => route.fulfill({ json: { issuers: listed, disclaimer: '' } }));
    await page.goto(`${service.url}/app/launch.html`);
    await page.getByRole('link', { name: 'https://ehr-2.example/fhir' }).waitFor();
    expect(await violations(page)).toEqual([]);
    await page.goto(`${service.url}/sandbox/auth/interaction/unknown`);
    await page.getByText('The app was not opened').waitFor();
    expect(await violations(page)).toEqual([]);
    await page.close();
  });

  it('gets neither chart nor pixels of another patient with its token', async () => {
    const page = await browser.newPage();
    const requests = watch(page);
    await page.goto(await launchUrl(service, { patient: 'rivera-ana' }));
    await stateOf(page, 'current');
    const own = requests.find((request) => request.url().includes('/RiskAssessment?'))!;
    const authorization = (await own.headerValue('authorization'))!;
    const status = async (path: string): Promise<number> =>
      (await fetch(`${service.url}${path}`, { headers: { authorization } })).status;
    expect(await status('/v1/imaging-studies/rivera-ana-ct/geometry')).toBe(200);
    expect(await status('/v1/imaging-studies/lindqvist-maja-ct/geometry')).toBe(404);
    expect(await status('/v1/imaging-studies/lindqvist-maja-ct/initial-ct')).toBe(404);
    expect(await status('/v1/assessments?patient=Patient/lindqvist-maja')).toBe(403);
    expect([403, 404]).toContain(await status('/sandbox/fhir/Patient/lindqvist-maja'));
    await page.close();
  });

  it('assesses, follows and shows with the user’s token', async () => {
    const page = await browser.newPage();
    await page.goto(await launchUrl(service, { patient: 'okafor-james', imagingStudy: 'okafor-james-ct' }));
    await stateOf(page, 'none-idle');
    await page.getByRole('button', { name: 'Assess this CT' }).click();
    await stateOf(page, 'current');
    await page.close();
  });

  it('strikes the number through before the eyes of who reads it, when its study is taken back', async () => {
    const page = await browser.newPage();
    await page.goto(await launchUrl(service, { patient: 'lindqvist-maja' }));
    await stateOf(page, 'current');
    await changeResource(service, 'ImagingStudy/lindqvist-maja-ct', (study) => void (study.status = 'cancelled'));
    await stateOf(page, 'withdrawn');
    expect(await page.locator('[data-testid="risk"] s').count()).toBe(1);
    expect(await page.locator('[data-testid="risk"] strong').count()).toBe(0);
    expect(await page.getByText('Withdrawn with the assessment.').count()).toBe(2); // measurements and CTs
    expect(await page.locator('main').innerText()).not.toMatch(/does not need it|No measurements are in the chart/);
    await page.reload();
    await page.waitForSelector('main[data-state^="none-"]');
    await page.getByRole('heading', { name: 'No current assessment: the last one was withdrawn' }).waitFor();
    await page.getByText(/^Why: \S/).waitFor();
    expect(await page.locator('[data-testid="risk"]').count()).toBe(0);
    await page.close();
  }, 60_000);

  it('says that the session has ended when the EHR’s token has, and to open it again, which alone helps', async () => {
    const page = await browser.newPage();
    const requests = watch(page);
    await page.goto(await launchUrl(service, { patient: 'rivera-ana' }));
    await stateOf(page, 'current');
    const token = (await requests
      .find((each) => each.url().includes('/RiskAssessment?'))!
      .headerValue('authorization'))!.replace('Bearer ', '');
    const revoked = await fetch(`${service.url}/sandbox/auth/token/revocation`, {
      method: 'POST',
      body: new URLSearchParams({ token, client_id: 'hemocast-app' }),
    });
    expect(revoked.status).toBe(200);
    await lookAgain(page);
    const ended = 'Your session has ended. Open hemocast again from the chart.';
    await page.getByRole('alert').getByText(`${ended} What is shown was read earlier.`).waitFor();
    await page.reload();
    await page.getByRole('alert').getByText(ended, { exact: true }).waitFor();
    expect(await page.locator('main').innerText()).not.toMatch(/401/);
    expect(await page.getByRole('button').count()).toBe(0);
    expect(await inspect(page, 'session-ended')).toEqual([]);
    await page.close();
  });

  it('shows what a card asked for only where it is this patient’s', async () => {
    const other = (await service.fhir('RiskAssessment?subject=Patient/lindqvist-maja')).entry[0].resource.id;
    const page = await browser.newPage();
    const appContext = JSON.stringify({
      riskAssessment: `RiskAssessment/${other}`,
      imagingStudy: 'ImagingStudy/lindqvist-maja-ct',
    });
    await page.goto(await launchUrl(service, { patient: 'rivera-ana', appContext }));
    await stateOf(page, 'current');
    expect(await page.locator('#app').innerText()).not.toContain(other);
    expect(await page.locator('.who h1').innerText()).toContain('RIVERA');
    await page.close();
  });
});
