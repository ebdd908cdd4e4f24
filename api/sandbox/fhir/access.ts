/** What a presented token opens in the chart: types and interactions by its scopes, and the records of its patient only. */
import type { Reference, Resource } from '@medplum/fhirtypes';
import { covers, type Permission } from '../authorization/scopes.ts';
import { forbidden } from './outcome.ts';

export interface TokenAccess {
  readonly scopes: readonly string[];
  /** "Patient/<id>" of the launch; a backend service has none and sees everyone its scopes open. */
  readonly patient?: string;
}

type LookUp = (reference: string) => Resource | undefined;

/** Types whose resources describe no patient unless they name one; a resource of any other type must name its own. */
const withoutPatient: ReadonlySet<string> = new Set([
  'Device',
  'DocumentReference',
  'Endpoint',
  'Location',
  'Medication',
  'Organization',
  'Practitioner',
  'PractitionerRole',
]);

/** Throws 403. */
export function assertPermitted(access: TokenAccess | undefined, type: string, permission: Permission): void {
  if (access !== undefined && !covers(access.scopes, type, permission)) {
    throw forbidden(`The token's scopes do not open this interaction with ${type.slice(0, 64)}.`);
  }
}

/** Whether the resource is about the token's patient and nobody else, or about no patient at all. */
export function isVisible({ patient }: TokenAccess, resource: Resource, lookUp: LookUp): boolean {
  if (patient === undefined) return true;
  if (resource.resourceType === 'Patient') return `Patient/${resource.id}` === patient;
  const patients = patientsOf(resource);
  // A Provenance names its patient only through what it is about.
  if (resource.resourceType === 'Provenance') {
    const targets = resource.target
      .map(({ reference }) => reference ?? '')
      .filter((each) => !each.startsWith('Patient/'));
    for (const found of targets.map(lookUp)) {
      if (found !== undefined && found.resourceType !== 'Provenance') patients.push(...patientsOf(found));
    }
  }
  if (patients.length === 0) return withoutPatient.has(resource.resourceType);
  return patients.every((each) => each === patient);
}

/** Every reference to a patient, however deep. */
function patientsOf(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  const { reference } = value as Reference;
  const own =
    typeof reference === 'string'
      ? /(?:^|\/)(Patient\/[A-Za-z0-9\-.]{1,64})(?:\/_history\/.*)?$/.exec(reference)
      : null;
  return [...(own === null ? [] : [own[1]]), ...Object.values(value).flatMap(patientsOf)];
}
