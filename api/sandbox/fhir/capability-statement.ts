/** GET /metadata: what this server really does (http://hl7.org/fhir/R4/capabilitystatement.html). */
import { getSearchParameters } from '@medplum/core';
import type {
  CapabilityStatement,
  CapabilityStatementRestResource,
  CapabilityStatementRestResourceSearchParam,
} from '@medplum/fhirtypes';
import { maxInlineBinaryBytes } from './reading-repository.ts';
import { servedTypes, type ServedType } from './definitions.ts';

type Interaction = NonNullable<CapabilityStatementRestResource['interaction']>[number]['code'];

const interactions: readonly Interaction[] = [
  'read',
  'vread',
  'update',
  'patch',
  'delete',
  'history-instance',
  'create',
  'search-type',
];

/** Raw content is read, written and deleted; there is nothing to search or patch in it. */
const binaryInteractions: readonly Interaction[] = ['read', 'vread', 'update', 'delete', 'history-instance', 'create'];

const notes = [
  'A sandbox with simulated patients, not a medical device: research use only, trained on simulated data.',
  'A transaction is all or nothing; it may hold up to 50 updates, and up to 8 entries if one of them is conditional.',
  `Binary: GET and PUT or POST of raw content up to 64 MiB with any content type; as base64 in JSON up to ${maxInlineBinaryBytes} bytes.`,
  'Unknown search parameters and modifiers are refused, not ignored. References are not checked for existence.',
].join(' ');

/** @param baseUrl FHIR base URL as the caller sees it, without trailing slash */
export function capabilityStatement(baseUrl: string, startedAt: string): CapabilityStatement {
  return {
    resourceType: 'CapabilityStatement',
    status: 'active',
    date: startedAt,
    publisher: 'hemocast',
    kind: 'instance',
    software: { name: 'hemocast sandbox EHR' },
    implementation: { description: 'Sandbox EHR with simulated patients', url: baseUrl },
    fhirVersion: '4.0.1',
    format: ['application/fhir+json', 'json'],
    patchFormat: ['application/json-patch+json'],
    rest: [
      {
        mode: 'server',
        documentation: notes,
        security: {
          cors: false,
          service: [
            {
              coding: [
                { system: 'http://terminology.hl7.org/CodeSystem/restful-security-service', code: 'SMART-on-FHIR' },
              ],
            },
          ],
          description: 'Answered on loopback only; a token that is presented is verified and binds to its patient.',
        },
        resource: servedTypes.map(resourceCapability),
        interaction: [{ code: 'transaction' }, { code: 'batch' }],
      },
    ],
  };
}

function resourceCapability(type: ServedType): CapabilityStatementRestResource {
  const isBinary = type === 'Binary';
  const searchParam = isBinary ? [] : searchParameters(type);
  const codes = Object.keys(getSearchParameters(type) ?? {});
  const includes = codes.filter((code) => getSearchParameters(type)?.[code].type === 'reference');
  return {
    type,
    profile: `http://hl7.org/fhir/StructureDefinition/${type}`,
    interaction: (isBinary ? binaryInteractions : interactions).map((code) => ({ code })),
    versioning: 'versioned-update',
    readHistory: true,
    updateCreate: true,
    conditionalCreate: !isBinary,
    conditionalRead: 'not-match',
    conditionalUpdate: !isBinary,
    conditionalDelete: isBinary ? 'not-supported' : 'single',
    referencePolicy: ['literal'],
    ...(!isBinary && { searchInclude: includes.map((code) => `${type}:${code}`), searchParam }),
  };
}

function searchParameters(type: ServedType): CapabilityStatementRestResourceSearchParam[] {
  return Object.values(getSearchParameters(type) ?? {}).map(({ code, type: kind, url }) => ({
    name: code,
    type: kind,
    ...(url !== undefined && { definition: url }),
  }));
}
