/** The whole sandbox behind a real port, with patients made for the test. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import express from 'express';
import { createSandbox, type Sandbox } from '../../../api/sandbox/sandbox.ts';
import { serve } from '../../support/http-server.ts';
import { ctSeries } from '../../support/part10.ts';
import { callFhir, type Answer } from './fhir-client.ts';

export interface RunningSandbox {
  readonly sandbox: Sandbox;
  /** "http://127.0.0.1:<port>" */
  readonly origin: string;
  readonly fhir: string;
  readonly dicomweb: string;
  get<T>(path: string): Promise<Answer<T>>;
  close(): Promise<void>;
}

/** Starts and seeds. */
export async function startSandbox(dataDir: string, patientsDir: string): Promise<RunningSandbox> {
  let origin = '';
  const sandbox = await createSandbox({ dataDir, patientsDir, baseUrl: () => origin });
  const http = await serve(express().use('/sandbox', sandbox.router));
  origin = http.origin;
  await sandbox.seed();
  return {
    sandbox,
    origin,
    fhir: `${origin}/sandbox/fhir`,
    dicomweb: `${origin}/sandbox/dicomweb`,
    get: (path) => callFhir(`${origin}/sandbox/fhir/${path}`, 'GET'),
    close: async () => {
      await http.close();
      await sandbox.close();
    },
  };
}

export const testPatient = {
  slug: 'test-ana',
  patientId: 'SIM-1,2',
  issuer: 'hemocast-sandbox',
  family: 'Test-Sim',
  given: 'Ana',
  sex: 'female',
  birthDate: '1950-01-01',
  story: 'Made for a test.',
  thrombectomyStart: '2026-03-01T09:05:00+01:00',
  thrombectomyEnd: '2026-03-01T09:40:00+01:00',
  ctStarted: '2026-03-01T10:15:00+01:00',
  side: 'left',
  studyInstanceUid: '2.25.4711',
  numberOfInstances: 3,
};

/** A folder with one simulated patient and three images, as the simulator would write it. */
export async function writePatients(
  overrides: Partial<Record<keyof typeof testPatient, unknown>> = {},
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sandbox-patients-'));
  const patient = { ...testPatient, ...overrides };
  const ct = join(folder, String(patient.slug), 'ct');
  await mkdir(ct, { recursive: true });
  const images = ctSeries(String(patient.studyInstanceUid), 3, {
    '00080201': ['SH', '+0100'],
    '00081030': ['LO', 'CT HEAD WITHOUT CONTRAST'],
    '00180015': ['CS', 'HEAD'],
    '00100010': ['PN', `${testPatient.family}^${testPatient.given}`],
    '00100020': ['LO', testPatient.patientId],
    '00100021': ['LO', testPatient.issuer],
  });
  await Promise.all(images.map((bytes, index) => writeFile(join(ct, `00${index + 1}.dcm`), bytes)));
  await writeFile(join(folder, 'patients.json'), JSON.stringify([patient]));
  return folder;
}

export async function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'sandbox-data-'));
}

export async function removeFolders(...folders: readonly string[]): Promise<void> {
  await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })));
}
