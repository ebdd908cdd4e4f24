/** The app within an EHR's page: framed by the EHRs that the trust file names, and by nobody else. */
import { request as forward } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import express from 'express';
import type { Browser } from 'playwright-core';
import { smartAppRoutes } from '../../api/http/smart-app.ts';
import { describeWith, repositoryRoot } from '../support/components.ts';
import { serve } from '../support/http-server.ts';
import type { TestServer } from '../support/http-server.ts';
import { MODEL } from '../support/in-memory-hospital.ts';
import { ServiceProcess } from '../support/service-process.ts';
import { buildApp, launchUrl, openChromium } from './support/app-browser.ts';

describeWith('Chromium', 'The page of an EHR that embeds the app', () => {
  let browser: Browser;
  let [trusted, stranger, service]: TestServer[] = [];
  beforeAll(async () => {
    buildApp();
    browser = await openChromium();
    let app = '';
    const embedding = (): Promise<TestServer> =>
      serve((_request, response) =>
        response
          .setHeader('content-type', 'text/html')
          .end(`<iframe name="hemocast" src="${app}/app/index.html"></iframe>`),
      );
    [trusted, stranger] = await Promise.all([embedding(), embedding()]);
    const options = {
      directory: join(repositoryRoot, 'smart-app/dist'),
      issuers: [{ iss: 'https://ehr.example/fhir', clientId: 'hemocast' }],
      frameAncestors: [trusted.origin],
      sandboxEhr: false,
      connectOrigins: [],
    };
    service = await serve(
      express().use(
        smartAppRoutes(options, MODEL.disclaimer, { usualMs: () => Promise.reject(new Error('no database')) }),
      ),
    );
    app = service.origin;
  });
  afterAll(async () => {
    await browser?.close();
    await Promise.all([trusted, stranger, service].map((server) => server?.close()));
  });

  const openedBy = async (ehr: TestServer): Promise<string> => {
    const page = await browser.newPage();
    await page.goto(ehr.origin);
    const frame = page.frame('hemocast')!;
    const text = await frame
      .getByText('hemocast was not opened')
      .innerText({ timeout: 5_000 })
      .catch(() => frame.url());
    await page.close();
    return text;
  };

  it('shows it where its origin is listed', async () => {
    expect(await openedBy(trusted)).toContain('hemocast was not opened'); // from a chart: the app itself runs
  });

  it('launches it there as an EHR does, on the chart of its patient', async () => {
    const sandbox = await ServiceProcess.start();
    // The sandbox lets only itself frame the app: here its pages come under the policy that lists the EHR.
    const proxy = await serve((request, response) => {
      const asked = new URL(request.url!);
      const isPage = asked.origin === sandbox.url && /^\/app\/\w+\.html$/.test(asked.pathname);
      const { method, headers } = request;
      const target = isPage ? new URL(asked.pathname, service.origin) : asked;
      const onward = forward(target, { method, headers }, (answer) => {
        response.writeHead(answer.statusCode!, answer.headers);
        answer.pipe(response);
      });
      request.pipe(onward.on('error', () => response.destroy()));
    });
    const context = await browser.newContext({ proxy: { server: proxy.origin } });
    const page = await context.newPage();
    await page.goto(trusted.origin);
    await page.frame('hemocast')!.goto(await launchUrl(sandbox, { patient: 'rivera-ana' }));
    const app = page.frameLocator('iframe');
    await app.getByRole('heading', { name: 'RIVERA' }).waitFor();
    await app.getByTestId('risk').waitFor();
    expect(new URL(page.url()).origin).not.toBe(new URL(page.frame('hemocast')!.url()).origin);
    await context.close();
    await Promise.all([proxy.close(), sandbox.stopAndForget()]);
  });

  it('is opened without our records, of which it is told nothing then', async () => {
    expect(await (await fetch(`${service.origin}/app/config.json`)).json()).toMatchObject({
      usualMs: null,
      issuers: [{}],
    });
  });

  it('shows nothing of it where it is not', async () => {
    expect(await openedBy(stranger)).toMatch(/^chrome-error:/);
  });
});
