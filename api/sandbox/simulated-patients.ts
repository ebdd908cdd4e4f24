/** Reads a folder of simulated patients: `patients.json` and `<slug>/ct/*.dcm`, as the project's simulator writes it. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface SimulatedPatient {
  /** Letters, digits and hyphens: Patient.id, and the root of the other ids. */
  readonly slug: string;
  readonly patientId: string;
  readonly issuer: string;
  readonly family: string;
  readonly given: string;
  readonly sex: 'female' | 'male' | 'other';
  /** YYYY-MM-DD */
  readonly birthDate: string;
  /** One plain sentence. */
  readonly story: string;
  /** ISO 8601 with zone */
  readonly thrombectomyStart: string;
  readonly thrombectomyEnd: string;
  readonly ctStarted: string;
  /** left, right or bilateral */
  readonly side: string;
  readonly studyInstanceUid: string;
  readonly numberOfInstances: number;
}

const texts = [
  'patientId',
  'issuer',
  'family',
  'given',
  'sex',
  'birthDate',
  'story',
  'side',
  'studyInstanceUid',
] as const;
const instants = ['thrombectomyStart', 'thrombectomyEnd', 'ctStarted'] as const;

const instantPattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/;

/** Reads `patients.json`; no file means no patients. Throws naming the entry and the field that is missing or unusable. */
export async function readSimulatedPatients(folder: string): Promise<readonly SimulatedPatient[]> {
  const path = join(folder, 'patients.json');
  const content = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '[]';
    throw error;
  });
  const entries = JSON.parse(content) as unknown;
  if (!Array.isArray(entries)) throw new Error(`${path}: expected an array of patients.`);
  return entries.map((entry: unknown, index) => checkPatient(entry, `${path}: patient ${index + 1}`));
}

function checkPatient(entry: unknown, where: string): SimulatedPatient {
  const patient = (typeof entry === 'object' && entry !== null ? entry : {}) as Record<string, unknown>;
  const fail = (field: string, why: string): never => {
    throw new Error(`${where}: "${field}" ${why}.`);
  };
  const { slug, numberOfInstances } = patient;
  if (typeof slug !== 'string' || !/^[A-Za-z0-9-]{1,40}$/.test(slug))
    fail('slug', 'is not 1 to 40 letters, digits or hyphens');
  for (const field of texts) if (typeof patient[field] !== 'string' || patient[field] === '') fail(field, 'is missing');
  for (const field of instants) {
    if (!instantPattern.test(String(patient[field]))) fail(field, 'is not an ISO 8601 time with its zone');
  }
  if (!['female', 'male', 'other'].includes(String(patient.sex))) fail('sex', 'is not female, male or other');
  if (!Number.isInteger(numberOfInstances)) fail('numberOfInstances', 'is not a whole number');
  return patient as unknown as SimulatedPatient;
}

/** Paths of the patient's DICOM files, sorted by name. */
export async function listDicomFiles(folder: string, slug: string): Promise<string[]> {
  const ct = join(folder, slug, 'ct');
  const names = await readdir(ct);
  return names
    .filter((name) => name.endsWith('.dcm'))
    .sort()
    .map((name) => join(ct, name));
}
