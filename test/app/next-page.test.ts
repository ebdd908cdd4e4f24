/** Lists that an EHR gives in pages: all of them, or an error. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { relativeNextLink } from '../../api/ehr/next-page.ts';
import { nextPage } from '../../smart-app/src/session/next-page.ts';
import { describeWith } from '../support/components.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { openApp, startApp, stateOf, stopApp } from './support/app-browser.ts';

const BASE = 'https://ehr.example/fhir';
const linking = (url: string): { link: { relation: string; url: string }[] } => ({ link: [{ relation: 'next', url }] });

describe('A next link', () => {
  it.each([
    [`${BASE}?_getpages=1&_getpagesoffset=50`, '?_getpages=1&_getpagesoffset=50'],
    [`${BASE}/RiskAssessment?page=2`, 'RiskAssessment?page=2'],
    ['RiskAssessment?page=2', 'RiskAssessment?page=2'],
    ['?page=2', '?page=2'],
  ])('%s is followed, as the service follows it', (url, path) => {
    expect(nextPage(linking(url), BASE)).toBe(path);
    expect(relativeNextLink(linking(url), BASE)).toBe(`/${path}`);
  });

  it.each([
    'https://ehr.example.evil.test/fhir/RiskAssessment?page=2',
    'http://ehr.example/fhir/RiskAssessment?page=2',
    'https://ehr.example/fhirx?page=2',
    'https://ehr.example/fhir/../admin',
    'https://ehr.example/fhir/%2e%2e%2fadmin',
    'https://user:word@ehr.example/fhir/RiskAssessment?page=2',
    'https://',
  ])('%s is an error, as it is for the service', (url) => {
    expect(() => nextPage(linking(url), BASE)).toThrow('outside of the EHR');
    expect(() => relativeNextLink(linking(url), BASE)).toThrow('outside');
  });

  it('that is not there ends the list', () => {
    expect(nextPage({}, BASE)).toBeUndefined();
    expect(nextPage({ link: [{ relation: 'self', url: BASE }] }, BASE)).toBeUndefined();
  });
});

describeWith('Chromium', 'The app on an EHR that answers in pages', () => {
  let service: ServiceProcess;
  let browser: Browser;
  beforeAll(async () => {
    [service, browser] = await startApp();
  });
  afterAll(() => stopApp(service, browser));

  /** The app where the first page of the forecasts is empty and links to `next`. */
  const openWithNext = async (next: string) => {
    const app = await openApp(browser, service, 'lindqvist-maja');
    const searchset = { resourceType: 'Bundle', type: 'searchset', ...linking(next) };
    await app.context.route('**/sandbox/fhir/RiskAssessment?**', (route) => route.fulfill({ json: searchset }));
    return app;
  };

  it('shows the forecast of a later page, also where the link is the base with a query', async () => {
    const whole = await service.fhir('RiskAssessment?subject=Patient/lindqvist-maja');
    const { page, context, requested, close } = await openWithNext(`${service.url}/sandbox/fhir?_getpages=2`);
    await context.route('**/sandbox/fhir/?_getpages=2', (route) => route.fulfill({ json: whole }));
    await page.reload();
    await stateOf(page, 'current');
    expect(requested.find((url) => url.includes('/RiskAssessment?'))).toContain('_sort=-date');
    await close();
  });

  it.each([
    ['leads out of the EHR', () => 'https://evil.test/fhir?page=2', 'goes on at an address outside of the EHR'],
    ['never ends', () => 'RiskAssessment?page=2', 'The EHR’s list of RiskAssessment does not end'],
  ])('says so where the list %s, and never takes a part for the whole', async (_what, next, words) => {
    const { page, requested, close } = await openWithNext(next());
    await page.reload();
    await page.getByText(words).waitFor();
    expect(await page.getByText('No assessment yet').count()).toBe(0);
    expect(requested.filter((url) => !url.startsWith(service.url))).toEqual([]);
    await close();
  });

  it('says so where it answers a search with something else than a list', async () => {
    const { page, context, close } = await openApp(browser, service, 'lindqvist-maja');
    await context.route('**/sandbox/fhir/RiskAssessment?**', (route) =>
      route.fulfill({ json: { resourceType: 'OperationOutcome' } }),
    );
    await page.reload();
    await page.getByText('The EHR answered with no list of RiskAssessment').waitFor();
    await close();
  });
});
