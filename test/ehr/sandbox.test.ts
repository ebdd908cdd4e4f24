/** The same adapter against the sandbox's FHIR server: it validates, rolls back and keeps versions, and is not ours to bend. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Bundle, Resource } from '@medplum/fhirtypes';
import express from 'express';
import { FhirEhr } from '../../api/ehr/fhir-ehr.ts';
import { Egress } from '../../api/egress/egress.ts';
import { createSandbox } from '../../api/sandbox/sandbox.ts';
import type { Sandbox } from '../../api/sandbox/sandbox.ts';
import { MODEL, READING, aReport } from './support/report.ts';

const signal = new AbortController().signal;

let folder: string;
let sandbox: Sandbox;
let server: Server;
let egress: Egress;
let base: string;
let answers = (_method: string, _path: string): boolean | Promise<boolean> => true;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hemocast-ehr-'));
  const app = express();
  sandbox = await createSandbox({ dataDir: folder, patientsDir: join(folder, 'none'), baseUrl: () => origin() });
  app.use(async (request, _response, next) => {
    if (await answers(request.method, request.path)) next();
  });
  app.use('/sandbox', sandbox.router);
  server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  base = `${origin()}/sandbox/fhir`;
  egress = new Egress([{ name: 'EHR', baseUrl: base }], { limits: { totalMs: 3_000, idleMs: 800 } });
  egress.install();
  await sandbox.seed();
  for (const resource of CHART) await put(resource);
});

afterAll(async () => {
  await egress.close();
  server.closeAllConnections();
  server.close();
  await sandbox.close();
  await rm(folder, { recursive: true, force: true });
});

function origin(): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const CHART: readonly (Resource & { id: string })[] = [
  {
    resourceType: 'Patient',
    id: 'sim-01',
    identifier: [{ system: 'urn:oid:1.2.3', value: 'P1' }],
    birthDate: '1950-05-05',
  },
  {
    resourceType: 'Encounter',
    id: 'sim-01-admission',
    status: 'in-progress',
    class: { system: 'http://terminology.hl7.org/CodeSystem/v3-ActCode', code: 'IMP' },
    subject: { reference: 'Patient/sim-01' },
  },
  {
    resourceType: 'Procedure',
    id: 'sim-01-thrombectomy',
    status: 'completed',
    code: { coding: [{ system: 'http://snomed.info/sct', code: '439541007' }] },
    subject: { reference: 'Patient/sim-01' },
    performedPeriod: { start: '2026-03-01T10:00:00+01:00', end: '2026-03-01T12:10:00+01:00' },
  },
  {
    resourceType: 'ImagingStudy',
    id: 'sim-01-ct',
    status: 'available',
    identifier: [{ system: 'urn:dicom:uid', value: 'urn:oid:2.25.123' }],
    subject: { reference: 'Patient/sim-01' },
    encounter: { reference: 'Encounter/sim-01-admission' },
    endpoint: [{ reference: 'Endpoint/sandbox-pacs' }],
    started: '2026-03-01T14:30:00+01:00',
    numberOfInstances: 24,
  },
];

async function put(resource: Resource & { id: string }): Promise<void> {
  const response = await egress.fetch(`${base}/${resource.resourceType}/${resource.id}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/fhir+json' },
    body: JSON.stringify(resource),
  });
  expect({ status: response.status, body: await response.text() }).toMatchObject({ status: expect.any(Number) });
  expect(response.ok).toBe(true);
}

async function count(resourceType: string, query = ''): Promise<number> {
  const response = await egress.fetch(`${base}/${resourceType}?_total=accurate&_count=50${query}`);
  return ((await response.json()) as Bundle).entry?.length ?? 0;
}

/** What is filed about one patient, and what is shared. */
async function filed(patient = 'Patient/sim-01'): Promise<Record<string, number>> {
  const subject = `&subject=${patient}`;
  return {
    RiskAssessment: await count('RiskAssessment', subject),
    Observation: await count('Observation', subject),
    Media: await count('Media', subject),
    Device: await count('Device'),
    DocumentReference: await count('DocumentReference'),
  };
}

describe('with the sandbox EHR', () => {
  const ehr = (): FhirEhr => new FhirEhr({ baseUrl: base, egress });

  it('is healthy', async () => {
    expect(await ehr().health(signal)).toEqual({ ok: true });
  });

  it('reads the study, its patient, where its pixels are and the thrombectomy before it', async () => {
    expect(await ehr().readStudy({ resourceType: 'ImagingStudy', id: 'sim-01-ct' }, signal)).toMatchObject({
      studyInstanceUid: '2.25.123',
      patientReference: 'Patient/sim-01',
      encounterReference: 'Encounter/sim-01-admission',
      dicomwebAddresses: [`${origin()}/sandbox/dicomweb`],
      numberOfInstances: 24,
      thrombectomy: { reference: 'Procedure/sim-01-thrombectomy', endedAt: '2026-03-01T12:10:00+01:00' },
    });
  });

  it('files exactly one of each when the EHR stops answering after the first picture and the work is done again', async () => {
    answers = (method, path) => !(method === 'POST' || (method === 'PUT' && path.includes('/Media/')));
    await expect(ehr().writeBack(aReport(), signal)).rejects.toMatchObject({
      code: 'upstream-timeout',
      transient: true,
    });
    expect(await filed()).toMatchObject({ RiskAssessment: 0, Observation: 0, Media: 0 });
    answers = () => true;
    const written = await ehr().writeBack(aReport(), signal);
    expect(await filed()).toEqual({ RiskAssessment: 1, Observation: 5, Media: 2, Device: 1, DocumentReference: 1 });
    expect(await ehr().writeBack(aReport(), signal)).toEqual(written);
    expect(await filed()).toEqual({ RiskAssessment: 1, Observation: 5, Media: 2, Device: 1, DocumentReference: 1 });
    const response = await egress.fetch(`${base}/${written.riskAssessment}/_history`);
    expect(((await response.json()) as Bundle).entry).toHaveLength(1);
  });

  it('gives the picture back as the bytes that were written', async () => {
    const written = await ehr().writeBack(aReport(), signal);
    const media = (await (await egress.fetch(`${base}/${written.media[1]}`)).json()) as { content: { url: string } };
    const picture = await egress.fetch(`${base}/${media.content.url}`, { headers: { accept: 'image/png' } });
    expect(Buffer.from(await picture.arrayBuffer())).toEqual(Buffer.from(READING.images.comparisonPng));
  });

  it('files a revision, and never overwrites a forecast that was marked as entered in error', async () => {
    const { riskAssessment } = await ehr().writeBack(aReport(), signal);
    const kept = (await (await egress.fetch(`${base}/${riskAssessment}`)).json()) as Resource & { id: string };
    await put({ ...kept, status: 'entered-in-error' } as Resource & { id: string });
    await ehr().writeBack(aReport(), signal);
    const again = (await (await egress.fetch(`${base}/${riskAssessment}`)).json()) as { status: string };
    expect(again.status).toBe('entered-in-error');

    const revision = await ehr().writeBack(aReport({ report: { revision: 2, supersedes: riskAssessment } }), signal);
    expect(revision.riskAssessment).not.toBe(riskAssessment);
    expect(await count('RiskAssessment', '&subject=Patient/sim-01')).toBe(2);
  });

  it('marks what is superseded, and leaves alone what a clinician changed while it did', async () => {
    const read = async (reference: string): Promise<{ status: string }> =>
      (await (await egress.fetch(`${base}/${reference}`)).json()) as { status: string };
    const first = await ehr().writeBack(aReport({ report: { contentKey: 'superseded' } }), signal);
    let meddled = false;
    answers = async (method, path) => {
      if (method !== 'POST' || !/^\/sandbox\/fhir\/?$/.test(path) || meddled) return true;
      meddled = true;
      await put({ ...(await read(first.media[0])), status: 'entered-in-error' } as never);
      return true;
    };
    await ehr().supersede({ resources: first, by: 'RiskAssessment/next' }, signal);
    answers = () => true;
    expect(meddled).toBe(true);
    expect((await read(first.riskAssessment)).status).toBe('cancelled');
    expect((await read(first.observations[0])).status).toBe('cancelled');
    expect((await read(first.media[0])).status).toBe('entered-in-error');
    expect((await read(first.media[1])).status).toBe('stopped');
  });

  it('files a long model card and a generated CT of ordinary size', async () => {
    const model = { ...MODEL, sha256: 'cd'.repeat(32), cardMarkdown: '# A long card\n'.repeat(20_000) };
    const images = { ...READING.images, followUpDicom: new Uint8Array(24 * 512 * 512 * 2).fill(7) };
    const report = aReport({ report: { model, contentKey: 'large' } });
    const written = await ehr().writeBack({ ...report, reading: { ...report.reading, images } }, signal);
    const media = (await (await egress.fetch(`${base}/${written.media[0]}`)).json()) as { content: { size: number } };
    expect(media.content.size).toBe(24 * 512 * 512 * 2);
  });

  it('files a report of which much is unknown: the EHR validates what it is given', async () => {
    const absent = { value: null, reason: 'No hyperdense area.' } as const;
    const report = aReport({
      study: { encounterReference: undefined, thrombectomy: undefined, startedAt: undefined },
      prediction: {
        probabilityInterval: null,
        probabilityIntervalAbsentReason: 'No calibration.',
        measurements: {
          hyperdenseVolumeMl: { value: 0 },
          maxHu: absent,
          meanHu: absent,
          side: absent,
          metallicSign: absent,
        },
      },
      report: { contentKey: 'unknowns', initialCtAt: undefined },
    });
    await expect(ehr().writeBack(report, signal)).resolves.toMatchObject({ device: expect.any(String) });
  });
});
