/**
 * The sandbox: a small EHR (FHIR R4) and PACS (DICOMweb) with simulated patients, reached over HTTP like real ones. It imports
 * nothing of the service and everything durable lies in <dataDir>/sandbox.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImagingStudy, Patient, Practitioner } from '@medplum/fhirtypes';
import { Router } from 'express';
import { createAuthorizationServer } from './authorization/authorization-server.ts';
import type { BackendClient } from './authorization/provider.ts';
import { CLINICIAN } from './authorization/provider.ts';
import { smartConfiguration } from './authorization/smart-configuration.ts';
import { guardDicomweb, loopbackOnly, refuseTokens, verifyToken } from './authorize.ts';
import { putIfChanged } from './chart.ts';
import type { DicomInstance } from './dicom-attributes.ts';
import { digest, toEndpoint } from './dicom-to-fhir.ts';
import { createDicomweb, type Dicomweb } from './dicomweb/dicomweb.ts';
import type { SandboxRepository } from './fhir/repository.ts';
import { createFhirServer } from './fhir/server.ts';
import { indexPage, indexPolicy, type IndexEntry } from './index-page.ts';
import { linkStudy, studyId, type ExpectedStudy } from './link-study.ts';
import { expectedStudy, seedCharts } from './seed.ts';
import { listDicomFiles, readSimulatedPatients, type SimulatedPatient } from './simulated-patients.ts';

export interface SandboxOptions {
  /** One process at a time may use it; the caller holds the lock. */
  readonly dataDir: string;
  /** Folder of patients.json and the patients' DICOM files; without patients.json nobody is seeded. */
  readonly patientsDir: string;
  /** Origin of the service as clients on this machine reach it ("http://127.0.0.1:8080"); asked when needed, once listening. */
  readonly baseUrl: () => string;
  /** Registered clients of SMART Backend Services. */
  readonly backendClients?: readonly BackendClient[];
  /** Receives errors whose callers only see "internal error". */
  readonly onError?: (error: unknown) => void;
}

export interface Sandbox {
  /** To be mounted at /sandbox. */
  readonly router: Router;
  /**
   * Brings chart and archive in line: patients, the endpoint's present address, images, and studies whose filing a crash cut
   * off. Repeating it writes nothing. Call it when the server listens.
   */
  seed(): Promise<void>;
  /**
   * Files a study that lies in another PACS, given its instances in the DICOM JSON Model (WADO-RS metadata) and the DICOMweb
   * root to get it from. Returns "ImagingStudy/<id>".
   */
  registerStudy(instances: readonly DicomInstance[], endpointAddress: string): Promise<string>;
  /** Value of the Authorization header with which the service may ask the sandbox about tokens (RFC 7662). */
  readonly introspectionCredential: string;
  close(): Promise<void>;
}

export async function createSandbox(options: SandboxOptions): Promise<Sandbox> {
  const { dataDir, patientsDir, baseUrl, backendClients, onError } = options;
  const patients = await readSimulatedPatients(patientsDir);
  const expected = new Map(patients.map((patient) => [patient.studyInstanceUid, expectedStudy(patient)]));
  const fhir = await createFhirServer({ folder: join(dataDir, 'sandbox', 'fhir'), onError });
  const { repository } = fhir;
  const ownEndpoint = (): ReturnType<typeof toEndpoint> =>
    toEndpoint('sandbox-pacs', 'Sandbox PACS (simulated patients)', `${baseUrl()}/sandbox/dicomweb`);
  const dicomweb = createDicomweb({
    dataDir,
    onStudyChanged: async ({ studyInstanceUid, instances }) => {
      await linkStudy(repository, instances, ownEndpoint(), expected.get(studyInstanceUid));
    },
  });

  const router = Router();
  const authorization = createAuthorizationServer({ origin: baseUrl, repository, backendClients, onError });
  router.use(loopbackOnly);
  router.use('/auth', authorization.router);
  router.get('/fhir/.well-known/smart-configuration', (_request, response) => {
    response.set('Cache-Control', 'no-store').json(smartConfiguration(baseUrl()));
  });
  router.use(verifyToken(authorization));
  router.use('/fhir', fhir.router);
  router.use('/dicomweb', guardDicomweb(repository), dicomweb.router);
  router.use(refuseTokens);
  router.post('/launch', authorization.beginLaunch);
  router.get('/', async (_request, response) => {
    const entries = await indexEntries(repository, patients);
    response.set({ 'Content-Security-Policy': indexPolicy, 'X-Content-Type-Options': 'nosniff' });
    response.type('html').send(indexPage(entries, baseUrl()));
  });

  return {
    router,
    introspectionCredential: authorization.introspectionCredential,
    seed: async () => {
      await putIfChanged(repository, ownEndpoint());
      await putIfChanged(repository, clinician);
      await seedCharts(repository, patients);
      await storeImages(dicomweb, patientsDir, patients);
      for (const { studyInstanceUid, instances } of dicomweb.listStudies()) {
        const study = expected.get(studyInstanceUid);
        if (!wasRemoved(repository, studyInstanceUid, study)) {
          await linkStudy(repository, instances, ownEndpoint(), study);
        }
      }
    },
    registerStudy: async (instances, endpointAddress) => {
      if (instances.length === 0) throw new Error('A study without instances cannot be registered.');
      const address = endpointAddress.replace(/\/+$/, '');
      return linkStudy(repository, instances, toEndpoint(`pacs-${digest(address)}`, 'PACS', address));
    },
    close: async () => {
      await dicomweb.close();
      await fhir.close();
    },
  };
}

const clinician: Practitioner & { id: string } = {
  resourceType: 'Practitioner',
  id: CLINICIAN.slice('Practitioner/'.length),
  name: [{ family: 'Sandbox', given: ['Sam'], prefix: ['Dr.'] }],
};

/** A study that someone deleted from the chart stays deleted until its images are sent again. */
function wasRemoved(repository: SandboxRepository, studyInstanceUid: string, expected?: ExpectedStudy): boolean {
  return repository.wasDeleted('ImagingStudy', studyId(studyInstanceUid, expected));
}

/** Stores the simulated images that the archive lacks. Throws when one is missing or refused. */
async function storeImages(dicomweb: Dicomweb, folder: string, patients: readonly SimulatedPatient[]): Promise<void> {
  for (const { slug, studyInstanceUid, numberOfInstances } of patients) {
    const present = dicomweb.study(studyInstanceUid)?.instances.length ?? 0;
    if (present >= numberOfInstances) continue;
    const paths = await listDicomFiles(folder, slug);
    if (paths.length < numberOfInstances) {
      throw new Error(
        `${join(folder, slug)} holds ${paths.length} of ${numberOfInstances} images; restore the folder.`,
      );
    }
    for (const path of paths) {
      const outcome = await dicomweb.store(await readFile(path));
      if (outcome.status === 'failed') throw new Error(`${path} cannot be stored: ${outcome.message}`);
    }
  }
}

/** Simulated patients in their own order, then those whose images were stored later. */
async function indexEntries(
  repository: SandboxRepository,
  patients: readonly SimulatedPatient[],
): Promise<IndexEntry[]> {
  const known = new Map(patients.map((patient) => [patient.slug, patient]));
  const charts = await repository.searchResources<Patient>({ resourceType: 'Patient', count: 200 });
  return Promise.all(
    charts.map(async (patient): Promise<IndexEntry> => {
      const value = `Patient/${patient.id}`;
      const filters = [{ code: 'subject', operator: 'eq' as const, value }];
      const studies = await repository.searchResources<ImagingStudy>({ resourceType: 'ImagingStudy', filters });
      const { total = 0 } = await repository.search({ resourceType: 'RiskAssessment', filters, count: 0 });
      const { story, thrombectomyEnd } = known.get(patient.id) ?? {};
      return { patient, studies, assessments: total, story, thrombectomyEnd };
    }),
  );
}
