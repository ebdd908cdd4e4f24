/** Charts that attack their reader, and two patients on one screen. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Browser, BrowserContext, Locator, Page } from 'playwright-core';
import { describeWith } from '../support/components.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import {
  changeResource,
  forecastsOf,
  inspect,
  launchApp,
  launchedState,
  lookAgain,
  openApp,
  putResource,
  startApp,
  stateOf,
  stopApp,
} from './support/app-browser.ts';
import { fileInPlainForm } from './support/plain-chart.ts';

/** Ways in which text has become script or a request elsewhere; each would set `hit` or call the address. */
const PAYLOADS = [
  '<script>window.hit=1</script>',
  '<img src=x onerror=window.hit=1>',
  '<svg/onload=window.hit=1>',
  '"><img src=https://evil.test/a onerror=window.hit=1>',
  "';window.hit=1;//",
  'javascript:window.hit=1',
  '</script><script>window.hit=1</script>',
  '<iframe srcdoc="<script>parent.hit=1</script>"></iframe>',
  '<link rel=stylesheet href=https://evil.test/a.css>',
  '<style>@import "https://evil.test/b.css"</style>',
  '<a href="javascript:window.hit=1" autofocus onfocus=window.hit=1>x</a>',
  '{{constructor.constructor("window.hit=1")()}}',
  '<math><mtext><table><mglyph><style><img src=x onerror=window.hit=1>',
  '![x](https://evil.test/c.png)',
  '\u202Egnp.exe<details open ontoggle=window.hit=1>',
];
const HOSTILE = PAYLOADS.join(' ');

/** Each payload stands there as text. */
async function expectPayloadsIn(place: Locator, payloads: readonly string[] = PAYLOADS): Promise<void> {
  expectPayloads(await place.innerText(), payloads);
}

/** CSS may write it in capitals; a wrapped line may break it. */
function expectPayloads(text: string, payloads: readonly string[] = PAYLOADS): void {
  const plain = (words: string): string => words.toLowerCase().replace(/\s+/g, ' ');
  for (const payload of payloads) expect(plain(text)).toContain(plain(payload));
}

/** What a chart may hold in place of a text. */
const NO_TEXTS: readonly unknown[] = [7, true, null, {}, [HOSTILE], { text: HOSTILE }];

/** One word, longer than any screen is wide. */
const LONG = 'W'.repeat(20_000);

// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Resource = any;

/** The notes that the screen takes apart: the label, and the interval with its method. */
function changeNotes({ note: notes }: Resource, label: unknown, interval: (before: string) => unknown): void {
  for (const note of notes) {
    if (note.text.includes('not a medical device')) note.text = label;
    else if (/interval of the probability/.test(note.text)) note.text = interval(note.text);
  }
}

function attackNotes(resource: Resource, words = HOSTILE): void {
  changeNotes(resource, `${words} not a medical device`, (interval) =>
    interval.replace(/(Method: )[^]*/, `$1${words}`),
  );
}

/** The EHR answers with changed resources: those that its own checks would not take. */
async function changeAnswers(
  context: BrowserContext,
  path: string,
  change: (resource: Resource) => void,
): Promise<void> {
  await context.route(`**/sandbox/fhir/${path}`, async (route) => {
    const response = await route.fetch();
    const json = (await response.json()) as { entry?: { resource: Resource }[] };
    for (const resource of json.entry?.map((entry) => entry.resource) ?? [json]) change(resource);
    await route.fulfill({ response, json });
  });
}

describeWith('Chromium', 'A chart that attacks its reader', () => {
  let service: ServiceProcess;
  let browser: Browser;
  beforeAll(async () => {
    [service, browser] = await startApp();
  });
  afterAll(() => stopApp(service, browser));

  it('runs nothing and calls nobody, whatever stands in its text', async () => {
    const patient = 'lindqvist-maja';
    const [risk] = await forecastsOf(service, patient);
    await changeResource(service, `Patient/${patient}`, (resource) => {
      resource.name = [{ use: 'official', family: HOSTILE, given: PAYLOADS, text: HOSTILE }];
      resource.identifier[0].value = HOSTILE;
    });
    await changeResource(service, `ImagingStudy/${patient}-ct`, (resource) => void (resource.description = HOSTILE));
    await changeResource(service, `RiskAssessment/${risk.id}`, (resource) => {
      resource.method.text = HOSTILE;
      resource.prediction[0].rationale = HOSTILE;
      attackNotes(resource);
      for (const payload of PAYLOADS)
        resource.note.push({ text: payload }, { text: `Limit of this result (x): ${payload}` });
    });
    const [, volume, ...others] = risk.basis;
    await changeResource(service, volume.reference, ({ valueQuantity }) => void (valueQuantity.unit = HOSTILE));
    for (const { reference } of others) {
      await changeResource(service, reference, (resource) => {
        resource.method.text = HOSTILE;
        delete resource.valueQuantity;
        delete resource.valueCodeableConcept;
        delete resource.valueBoolean;
        resource.dataAbsentReason = { text: HOSTILE };
      });
    }
    const [{ resource: procedure }] = (await service.fhir(`Procedure?subject=Patient/${patient}`)).entry;
    await changeResource(service, `Procedure/${procedure.id}`, (resource) => void (resource.code.text = HOSTILE));
    await changeResource(service, risk.performer.reference, (resource) => {
      resource.deviceName[0].name = HOSTILE;
      resource.version[0].value = HOSTILE;
      for (const note of resource.note) note.text = HOSTILE;
    });
    await putResource(service, {
      ...(await service.fhir(`ImagingStudy/${patient}-ct`)),
      id: `${patient}-later`,
      started: '2026-04-01T09:00:00Z',
    });

    const appContext = { riskAssessment: HOSTILE, imagingStudy: HOSTILE };
    const { page, requested, complaints, close } = await openApp(browser, service, patient, { appContext });
    await stateOf(page, 'current');
    await page.locator('.findings dd').first().waitFor();
    await page.getByText('A newer CT is in the chart').waitFor();
    await page.evaluate('document.querySelectorAll("details").forEach((element) => { element.open = true })');
    // The hostile identifier is not that of the images: they are not this patient's until someone has looked.
    await page.getByText('The initial CT cannot be shown').waitFor();
    for (const place of [
      '.who h1',
      '.who h1 + p', // the record number
      '.disclaimer', // the label
      '.risk details:last-child', // the method of the interval
      '.findings dd:not(.absent)', // the unit
      '.findings .absent',
      '.findings details',
      '.limits',
      '.origin h2 + p', // the model
      '.origin details p', // the method
      '.origin details p:last-child', // the notes of the model
    ]) {
      await expectPayloadsIn(page.locator(place).first());
    }
    await expectNothingOf(page, requested, complaints);
    await close();
  });

  it('gets no further by a sex, a time, a status, or the words with which the service refuses', async () => {
    const [{ id }] = await forecastsOf(service, 'rivera-ana');
    const appContext = { riskAssessment: `RiskAssessment/${id}` };
    const { page, context, requested, complaints, close } = await openApp(browser, service, 'rivera-ana', {
      appContext,
    });
    await changeAnswers(context, 'Patient/*', (patient) => void (patient.gender = HOSTILE));
    await changeAnswers(context, 'RiskAssessment?**', (risk) => {
      risk.occurrenceDateTime = HOSTILE;
      risk.status = HOSTILE;
    });
    await context.route('**/v1/imaging-studies/**', (route) =>
      route.fulfill({ status: 422, json: { detail: HOSTILE } }),
    );
    await page.reload();
    await stateOf(page, 'unsettled');
    await page.getByText('The initial CT cannot be shown').waitFor();
    await expectPayloadsIn(page.locator('.who h1 + p'));
    const origin = await page.locator('.origin h2 + p').innerText();
    const [time, status] = origin.split('Status in the chart:');
    expectPayloads(time);
    expectPayloads(status);
    await expectPayloadsIn(page.locator('.viewer'));
    await expectNothingOf(page, requested, complaints);
    await close();

    const asking = await openApp(browser, service, 'okafor-james');
    await asking.context.route('**/v1/assessments', (route) =>
      route.fulfill({ status: 422, json: { detail: HOSTILE } }),
    );
    await asking.page.getByRole('button', { name: 'Assess this CT' }).click();
    await expectPayloadsIn(asking.page.getByRole('alert'));
    await expectNothingOf(asking.page, asking.requested, asking.complaints);
    await asking.close();
  });

  it('gets no further by the words with which an EHR does not open the app', async () => {
    const { page, requested, complaints, close } = await openApp(browser, service, 'rivera-ana');
    await page.goto(
      `${service.url}/app/index.html?${new URLSearchParams({ error: 'x', error_description: HOSTILE, state: 'x' })}`,
    );
    await page.getByText('hemocast was not opened').waitFor();
    await expectPayloadsIn(page.getByRole('alert'));
    await expectNothingOf(page, requested, complaints);
    await close();
  });

  it('gets no further by the Observation of an EHR that keeps no RiskAssessment', async () => {
    await fileInPlainForm(service, 'novak-petra', 'rivera-ana');
    const observations: { id: string }[] = (await service.fhir('Observation?subject=Patient/novak-petra')).entry.map(
      ({ resource }: { resource: { id: string } }) => resource,
    );
    expect(observations.length).toBeGreaterThan(1);
    for (const { id } of observations) {
      await changeResource(service, `Observation/${id}`, (resource) => {
        resource.method.text = HOSTILE;
        resource.interpretation = [{ text: HOSTILE }];
        resource.note ??= [];
        attackNotes(resource);
        for (const payload of PAYLOADS) resource.note.push({ text: payload });
      });
    }
    const { entry } = await service.fhir('DocumentReference?subject=Patient/novak-petra');
    const picture = `DocumentReference/${entry[0].resource.id}`;
    await changeResource(service, picture, (resource) => void (resource.description = HOSTILE));
    const { page, context, requested, complaints, close } = await openApp(browser, service, 'novak-petra');
    await context.route('**/sandbox/fhir/RiskAssessment?**', (route) => route.fulfill({ status: 404, json: {} }));
    await page.reload();
    await stateOf(page, 'current');
    await page.evaluate('document.querySelectorAll("details").forEach((element) => { element.open = true })');
    for (const place of ['.limits', '.disclaimer', '.risk details:last-child']) {
      await expectPayloadsIn(page.locator(place));
    }
    await page.getByText('this picture of both').waitFor();
    expectPayloads((await page.locator('.comparison canvas').getAttribute('aria-label'))!);
    const inserted = 'script, iframe, link, style, img:not([src^="blob:"])';
    await expectNothingOf(page, requested, complaints, { inserted, statuses: '422|404' });

    await changeAnswers(context, 'Observation?**', (observation) => void (observation.status = HOSTILE));
    await lookAgain(page);
    await stateOf(page, 'unsettled');
    await expectPayloadsIn(page.locator('.origin h2 + p'));
    await page.getByText('The picture of both CTs is not shown').waitFor(); // it has the number in its pixels
    await expectNothingOf(page, requested, complaints, { inserted, statuses: '422|404' });
    await close();
  });

  it('shows the number all the same where a label or the method of an interval is no text, and strikes it through where the status is none', async () => {
    const { page, context, requested, complaints, close } = await openApp(browser, service, 'rivera-ana');
    await stateOf(page, 'current');
    const number = await page.getByTestId('risk').innerText();
    const label = await page.locator('.disclaimer').innerText();
    for (const noText of NO_TEXTS) {
      await context.unroute('**/sandbox/fhir/RiskAssessment?**');
      await changeAnswers(context, 'RiskAssessment?**', (risk) => changeNotes(risk, noText, () => noText));
      await page.reload();
      await stateOf(page, 'current');
      expect(await page.getByTestId('risk').innerText()).toBe(number);
      await page.getByText('No interval is available.').waitFor();
      expect(await page.locator('.disclaimer').innerText()).toBe(label); // of the network in use
      await changeAnswers(context, 'RiskAssessment?**', (risk) => void (risk.status = noText));
      await lookAgain(page);
      await stateOf(page, 'unsettled');
      await page.getByText('Status in the chart: unknown.').waitFor();
      expect(await page.locator('[data-testid="risk"] s').count()).toBe(1);
      await expectNothingOf(page, requested, complaints);
    }
    await close();
  });

  it('shows the picture all the same where its description is no text', async () => {
    const { page, context, requested, complaints, close } = await openApp(browser, service, 'novak-petra');
    await context.route('**/sandbox/fhir/RiskAssessment?**', (route) => route.fulfill({ status: 404, json: {} }));
    for (const noText of NO_TEXTS) {
      await context.unroute('**/sandbox/fhir/DocumentReference/*');
      await changeAnswers(context, 'DocumentReference/*', (picture) => void (picture.description = noText));
      await page.reload();
      await stateOf(page, 'current');
      await page.getByText('this picture of both').waitFor();
      expect(await page.locator('.comparison canvas').getAttribute('aria-label')).toBe(
        'Initial CT with the AI-generated follow-up CT.',
      );
      await expectNothingOf(page, requested, complaints, { statuses: '404' });
    }
    await close();
  });

  it('makes nothing wider than the screen of a text without end, and shows it whole', async () => {
    const { page, context, requested, complaints, close } = await openApp(browser, service, 'rivera-ana');
    await stateOf(page, 'current');
    const number = await page.getByTestId('risk').innerText();
    await changeAnswers(context, 'RiskAssessment?**', (risk) => {
      risk.performer.display = LONG;
      risk.method.text = LONG;
      attackNotes(risk, LONG);
    });
    await page.reload();
    await stateOf(page, 'current');
    await page.evaluate('document.querySelectorAll("details").forEach((element) => { element.open = true })');
    for (const place of ['.disclaimer', '.origin details:first-of-type', '.risk details:last-child']) {
      expect((await page.locator(place).innerText()).includes(LONG)).toBe(true);
    }
    expect(await page.getByTestId('risk').innerText()).toBe(number);
    for (const width of [1280, 320]) {
      await page.setViewportSize({ width, height: 800 });
      expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth')).toBeLessThanOrEqual(0);
    }
    await expectNothingOf(page, requested, complaints);
    await close();
  });

  it('gets no further by the name of a CT, or the words of a refusal, a failure or a stage', async () => {
    await changeResource(service, 'ImagingStudy/tanaka-hiro-ct', (study) => void (study.description = HOSTILE));
    const { page, context, requested, complaints, close } = await openApp(browser, service, 'tanaka-hiro');
    await stateOf(page, 'none-idle');
    await expectPayloadsIn(page.getByText(/^The CT is “/));
    const work = {
      id: HOSTILE,
      patient: 'Patient/tanaka-hiro',
      imagingStudy: 'ImagingStudy/tanaka-hiro-ct',
      updatedAt: new Date().toISOString(),
      flags: [],
      progress: 0.5,
      stage: HOSTILE,
      refusal: { code: HOSTILE, message: HOSTILE },
      error: { code: HOSTILE, message: HOSTILE },
    };
    for (const [status, state] of [
      ['refused', 'none-refused'],
      ['failed', 'none-failed'],
      ['active', 'none-open'],
    ]) {
      await context.unroute('**/v1/assessments?**');
      await context.route('**/v1/assessments?**', (route) => route.fulfill({ json: { items: [{ ...work, status }] } }));
      await page.reload();
      await stateOf(page, state);
      // A failure says its code only, and a stage that is not known is not named.
      if (status !== 'active') await expectPayloadsIn(page.locator('.notice').first());
      await expectNothingOf(page, requested, complaints);
    }
    await close();
  });

  /** Nothing ran, nothing was put into the page, and nobody else was called. */
  async function expectNothingOf(
    page: Page,
    requested: readonly string[],
    complaints: readonly string[],
    { inserted = 'script, iframe, link, style, img', statuses = '422' } = {},
  ): Promise<void> {
    expect(await page.evaluate('window.hit')).toBeUndefined();
    expect(await page.locator(`#app :is(${inserted})`).count()).toBe(0);
    expect(requested.filter((url) => !/^blob:/.test(url) && !url.startsWith(`${service.url}/`))).toEqual([]);
    expect(complaints.filter((complaint) => !RegExp(`status of (${statuses})`).test(complaint))).toEqual([]);
  }

  it('gets no further in the sandbox EHR, neither by its chart nor by a card', async () => {
    const page = await browser.newPage();
    const requested: string[] = [];
    page.on('request', (request) => void requested.push(request.url()));
    page.on('dialog', (dialog) => (requested.push('dialog'), dialog.dismiss()));
    const reason = { system: 'urn:x', code: HOSTILE, display: HOSTILE };
    const card = {
      uuid: HOSTILE,
      summary: HOSTILE,
      detail: PAYLOADS.join('\n\n'),
      indicator: 'warning',
      source: { label: HOSTILE, url: 'javascript:window.hit=1' },
      links: [{ label: HOSTILE, url: 'javascript:window.hit=1', type: 'smart', appContext: HOSTILE }],
      overrideReasons: [reason],
    };
    await page.route('**/cds-services/*', (route) => route.fulfill({ json: { cards: [card] } }));
    await page.goto(service.url);
    await page.getByRole('button', { name: PAYLOADS[0] }).click();
    await page.locator('article').waitFor();
    await page.evaluate('document.querySelectorAll("details").forEach((element) => { element.open = true })');
    await page.locator('article').getByRole('button').first().click();
    await page.locator('iframe[title="hemocast"]').waitFor();
    expect(await page.locator('article').innerText()).toContain(PAYLOADS[0]);
    expect(await page.evaluate('window.hit')).toBeUndefined();
    const inserted = '#ehr :is(script, link, style, img, svg, math, a[href^="javascript"])';
    expect(await page.locator(inserted).count()).toBe(0);
    expect(requested.filter((url) => !url.startsWith(`${service.url}/`))).toEqual([]);
    await page.close();
  });

  it('is held against the patient of the launch: another’s forecast is left out, and said so', async () => {
    const { page, context, close } = await openApp(browser, service, 'okafor-james');
    const foreign = await service.fhir('RiskAssessment?subject=Patient/rivera-ana');
    await context.route('**/sandbox/fhir/RiskAssessment?**', (route) => route.fulfill({ json: foreign }));
    await page.reload();
    await page.getByText('of another patient; left out here').waitFor();
    expect(await page.locator('[data-testid="risk"]').count()).toBe(0);
    expect(await inspect(page, 'foreign')).toEqual([]);
    await context.route('**/sandbox/fhir/Patient/**', async (route) =>
      route.fulfill({ json: await service.fhir('Patient/rivera-ana') }),
    );
    await page.reload();
    await page.getByText('The EHR answered with another patient').waitFor();
    expect(await page.locator('body').innerText()).not.toContain('RIVERA');
    await close();
  });

  it('never mixes two patients in two tabs or in two frames of one window, also when one is read again', async () => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
    // Both launches at once, with the cookies of one browser.
    const [one, two] = await Promise.all(
      ['rivera-ana', 'okafor-james'].map((patient) => launchApp(browser, service, patient, { context })),
    );
    await stateOf(one.page, 'current');
    await two.page.waitForSelector('main[data-state^="none-"]');
    await Promise.all([one.page.reload(), two.page.reload()]);
    await stateOf(one.page, 'current');
    await two.page.waitForSelector('main[data-state^="none-"]');
    expect(await one.page.locator('h1').innerText()).toContain('RIVERA');
    expect(await two.page.locator('h1').innerText()).toContain('OKAFOR');
    await context.close();

    const window = await browser.newContext();
    const page = await window.newPage();
    await page.goto(`${service.url}/app/config.json`);
    await page.route(`${service.url}/app/frames`, (route) =>
      route.fulfill({
        contentType: 'text/html',
        body: ['rivera-ana', 'okafor-james']
          .map((id) => `<iframe name="${id}" src="/app/index.html?state=${id}-state"></iframe>`)
          .join(''),
      }),
    );
    for (const id of ['rivera-ana', 'okafor-james']) {
      const state = JSON.stringify(JSON.stringify(launchedState(service, id)));
      await page.evaluate(`sessionStorage.setItem('${id}-state', ${state})`);
    }
    await page.goto(`${service.url}/app/frames`);
    const nameIn = (id: string): Promise<string> => page.frame(id)!.locator('.who h1').innerText();
    await page.frame('rivera-ana')!.waitForSelector('main[data-state="current"]');
    await page.frame('okafor-james')!.waitForSelector('main[data-state^="none-"]');
    await page.frame('rivera-ana')!.evaluate('location.reload()');
    await page.waitForTimeout(300);
    await page.frame('rivera-ana')!.waitForSelector('main[data-state="current"]');
    expect(await nameIn('rivera-ana')).toContain('RIVERA');
    expect(await nameIn('okafor-james')).toContain('OKAFOR');
    await window.close();
  });

  it('opens for no EHR that is not listed, and without a launch for nobody', async () => {
    const page = await browser.newPage();
    const requested: string[] = [];
    page.on('request', (request) => void requested.push(request.url()));
    await page.goto(`${service.url}/app/launch.html?iss=${encodeURIComponent('https://evil.test/fhir')}&launch=1`);
    await page.getByText('not on the list').waitFor();
    await page.goto(
      `${service.url}/app/launch.html?fhirServiceUrl=${encodeURIComponent(service.url)}%2Fsandbox%2Ffhir&patientId=rivera-ana`,
    );
    await page.getByText('parameters that a SMART launch does not have').waitFor();
    await page.goto(`${service.url}/app/index.html`);
    await page.getByText('hemocast was not opened').waitFor();
    expect(requested.filter((url) => !url.startsWith(`${service.url}/`))).toEqual([]);
    await page.close();
  });

  it('gets no further by why a forecast was taken back, or by a model card', async () => {
    const patient = 'rivera-ana';
    const [risk] = await forecastsOf(service, patient);
    await changeResource(service, `RiskAssessment/${risk.id}`, (resource) => {
      resource.status = 'entered-in-error';
      resource.note.push({ text: `Withdrawn: ${HOSTILE}` });
    });
    const { entry } = await service.fhir('DocumentReference?');
    for (const { resource } of entry as { resource: { id: string } }[]) {
      await changeResource(service, `DocumentReference/${resource.id}`, (card) => {
        card.content[0].attachment.data = Buffer.from(
          [...PAYLOADS, '[a link](https://evil.test/)'].join('\n\n'),
        ).toString('base64');
      });
    }
    const appContext = { riskAssessment: `RiskAssessment/${risk.id}` };
    const { page, requested, complaints, close } = await openApp(browser, service, patient, { appContext });
    await stateOf(page, 'withdrawn');
    await page.getByText('Model card', { exact: true }).click();
    const card = page.getByRole('region', { name: 'Model card' });
    await card.getByText(PAYLOADS[0]).first().waitFor();
    const picture = '![x](https://evil.test/c.png)';
    await expectPayloadsIn(
      card,
      PAYLOADS.filter((payload) => payload !== picture),
    );
    await card.getByText('[Picture: x]').waitFor();
    await card.getByText('a link', { exact: true }).waitFor();
    expect(await card.locator('a').count()).toBe(0);
    await expectPayloadsIn(page.getByText(/^Why: /));
    await expectNothingOf(page, requested, complaints);
    await close();
  });
});
