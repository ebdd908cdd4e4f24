/** The patients that come with the sandbox, through its doors. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Bundle, ImagingStudy, Patient, Procedure } from '@medplum/fhirtypes';
import { readSimulatedPatients, type SimulatedPatient } from '../../api/sandbox/simulated-patients.ts';
import { repositoryRoot } from '../support/components.ts';
import { removeFolders, startSandbox, temporaryFolder, type RunningSandbox } from './support/running-sandbox.ts';

const patientsDir = join(repositoryRoot, 'api/sandbox/patients');

let running: RunningSandbox;
let dataDir: string;
let patients: readonly SimulatedPatient[];
beforeAll(async () => {
  dataDir = await temporaryFolder();
  patients = await readSimulatedPatients(patientsDir);
  running = await startSandbox(dataDir, patientsDir);
});
afterAll(async () => {
  await running.close();
  await removeFolders(dataDir);
});

describe('The simulated patients of the sandbox', () => {
  it('are at least six, described in a file beside their images', () => {
    expect(existsSync(join(patientsDir, 'README.md'))).toBe(true);
    expect(patients.length).toBeGreaterThanOrEqual(6);
  });

  it('each had a thrombectomy that ended within 72 h before a non-contrast head CT', async () => {
    for (const { slug } of patients) {
      const { body: study } = await running.get<ImagingStudy>(`ImagingStudy/${slug}-ct`);
      const { body: procedure } = await running.get<Procedure>(`Procedure/${slug}-thrombectomy`);
      expect(study.procedureCode?.[0].coding?.[0].code).toBe('30799-1');
      const hours = (Date.parse(study.started ?? '') - Date.parse(procedure.performedPeriod?.end ?? '')) / 3_600_000;
      expect(hours).toBeGreaterThan(0);
      expect(hours).toBeLessThan(72);
    }
  });

  it('have every image that the chart announces, under the patient whose name is on it', async () => {
    for (const { slug, numberOfInstances, studyInstanceUid } of patients) {
      const { body: study } = await running.get<ImagingStudy>(`ImagingStudy/${slug}-ct`);
      expect([study.subject.reference, study.numberOfInstances]).toEqual([`Patient/${slug}`, numberOfInstances]);
      const metadata = await fetch(`${running.dicomweb}/studies/${studyInstanceUid}/metadata`);
      expect(((await metadata.json()) as unknown[]).length).toBe(numberOfInstances);
    }
  });

  it('are nobody twice: as many patients as descriptions, each marked as test data', async () => {
    const { body } = await running.get<Bundle<Patient>>('Patient');
    expect(body.total).toBe(patients.length);
    for (const { resource } of body.entry ?? []) expect(resource?.meta?.security?.[0].code).toBe('HTEST');
  });
});
