/** The service at an EHR that gives out tokens: the whole path, each system with its own credential and no other. */
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import express from 'express';
import type { RequestHandler } from 'express';
import { readClientKey } from '../../api/authorization/client-key.ts';
import { createSandbox } from '../../api/sandbox/sandbox.ts';
import type { Sandbox } from '../../api/sandbox/sandbox.ts';
import { removeFolders, temporaryFolder } from '../sandbox/support/running-sandbox.ts';
import { repositoryRoot } from '../support/components.ts';
import { serve } from '../support/http-server.ts';
import type { TestServer } from '../support/http-server.ts';
import { ServiceProcess } from '../support/service-process.ts';

const PACS_TOKEN = 'pacs-canary-pacs-canary-pacs-canary';

/** A folder with one of the simulated patients: seeding all takes longer than the test. */
function onlyMoreau(folder: string): string {
  const all = join(repositoryRoot, 'api/sandbox/patients');
  const patients = JSON.parse(readFileSync(join(all, 'patients.json'), 'utf8')) as { slug: string }[];
  const moreau = patients.filter(({ slug }) => slug === 'moreau-claire');
  writeFileSync(join(folder, 'patients.json'), JSON.stringify(moreau));
  symlinkSync(join(all, 'moreau-claire'), join(folder, 'moreau-claire'));
  return folder;
}

describe('At an EHR that gives out tokens', () => {
  let folders: string[];
  let sandbox: Sandbox;
  let ehr: TestServer;
  let pacs: TestServer;
  let service: ServiceProcess;
  const calls: { url: string; authorization?: string }[] = [];
  const note: RequestHandler = ({ originalUrl, headers }, _response, next) => {
    calls.push({ url: originalUrl, authorization: headers.authorization });
    next();
  };

  beforeAll(async () => {
    folders = [await temporaryFolder(), await temporaryFolder()];
    const keyFile = join(folders[1], 'service.pem');
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
    writeFileSync(keyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }));
    const { publicJwk } = await readClientKey(keyFile);
    let origin = '';
    sandbox = await createSandbox({
      dataDir: folders[0],
      patientsDir: onlyMoreau(folders[1]),
      baseUrl: () => origin,
      backendClients: [{ clientId: 'hemocast', keys: [publicJwk], scopes: ['system/*.cruds'] }],
    });
    ehr = await serve(express().use(note).use('/sandbox', sandbox.router));
    origin = ehr.origin;
    await sandbox.seed();
    // The archive of the same sandbox, as the hospital's PACS: behind a token of its own.
    const checked: RequestHandler = (request, response, next) => {
      note(request, response, () => undefined);
      if (request.headers.authorization !== `Bearer ${PACS_TOKEN}`) {
        response.status(401).end();
        return;
      }
      delete request.headers.authorization;
      next();
    };
    pacs = await serve(express().use(checked).use('/sandbox', sandbox.router));
    service = await ServiceProcess.start({
      API_TOKEN: 'caller-canary-caller-canary-caller-canary',
      EHR_FHIR_URL: `${ehr.origin}/sandbox/fhir`,
      EHR_CLIENT_ID: 'hemocast',
      EHR_PRIVATE_KEY_FILE: keyFile,
      PACS_DICOMWEB_URL: `${pacs.origin}/sandbox/dicomweb`,
      PACS_TOKEN,
    });
  });
  afterAll(async () => {
    await service.stopAndForget();
    await ehr.close();
    await pacs.close();
    await sandbox.close();
    await removeFolders(...folders);
  });

  it('publishes its public key, and only that', async () => {
    const { keys } = (await (await fetch(`${service.url}/.well-known/jwks.json`)).json()) as { keys: object[] };
    expect(keys).toEqual([expect.objectContaining({ kty: 'EC', crv: 'P-384', alg: 'ES384', use: 'sig' })]);
    expect(keys[0]).not.toHaveProperty('d');
  });

  it('reads the chart and writes the result with its own token, which the PACS never sees', async () => {
    // The chart says that its images are in its own archive; this hospital keeps them in the PACS.
    const endpoint = `${ehr.origin}/sandbox/fhir/Endpoint/sandbox-pacs`;
    const chart = (await (await fetch(endpoint)).json()) as { address: string };
    await fetch(endpoint, {
      method: 'PUT',
      headers: { 'content-type': 'application/fhir+json' },
      body: JSON.stringify({ ...chart, address: `${pacs.origin}/sandbox/dicomweb` }),
    });
    calls.length = 0;
    const { body } = await service.assess('ImagingStudy/moreau-claire-ct');
    const done = await service.finished(body.id);
    expect([done.status, done.error]).toEqual(['completed', null]);

    const chartCalls = calls.filter(({ url }) => url.startsWith('/sandbox/fhir/') && !url.includes('/.well-known/'));
    const archiveCalls = calls.filter(({ url }) => url.startsWith('/sandbox/dicomweb/'));
    expect(chartCalls.length).toBeGreaterThan(8);
    expect(archiveCalls.length).toBeGreaterThan(2);
    const ehrTokens = new Set(chartCalls.map(({ authorization }) => authorization));
    expect([...ehrTokens]).toEqual([expect.stringMatching(/^Bearer [\w-]{30,}$/)]);
    expect(new Set(archiveCalls.map(({ authorization }) => authorization))).toEqual(new Set([`Bearer ${PACS_TOKEN}`]));
    for (const secret of [...ehrTokens, PACS_TOKEN]) {
      expect(service.output()).not.toContain(secret?.replace('Bearer ', ''));
    }
    const risk = await fetch(`${ehr.origin}/sandbox/fhir/${done.resources?.riskAssessment}`);
    expect(risk.status).toBe(200);
    await risk.arrayBuffer();
  });
});
