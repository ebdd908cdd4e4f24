/** Writing to the sandbox's chart from within the process: only what differs is written. */
import { isDeepStrictEqual } from 'node:util';
import type { WithId } from '@medplum/core';
import type { Identifier, Resource } from '@medplum/fhirtypes';
import type { SandboxRepository } from './fhir/repository.ts';

/** The one resource with this identifier, the oldest if there are several. */
export async function findByIdentifier<T extends Resource>(
  repository: SandboxRepository,
  resourceType: T['resourceType'],
  { system, value = '' }: Identifier,
): Promise<WithId<T> | undefined> {
  // Comma and backslash have a meaning in search values (http://hl7.org/fhir/R4/search.html#escaping).
  const escaped = value.replace(/[\\,]/g, (character) => `\\${character}`);
  const filters = [{ code: 'identifier', operator: 'eq' as const, value: `${system ?? ''}|${escaped}` }];
  return repository.searchOne<T>({ resourceType, filters });
}

/** The resource, or undefined where it does not exist (any more). */
export async function readIfExists<T extends Resource>(
  repository: SandboxRepository,
  resourceType: T['resourceType'],
  id: string,
): Promise<WithId<T> | undefined> {
  return repository.exists(resourceType, id) ? repository.readResource<T>(resourceType, id) : undefined;
}

/** Creates or updates a resource; where the chart already says the same, nothing is written. */
export async function putIfChanged(repository: SandboxRepository, resource: WithId<Resource>): Promise<void> {
  const existing = await readIfExists(repository, resource.resourceType, resource.id);
  const content = (each: Resource): object => ({ ...each, meta: { ...each.meta, versionId: '', lastUpdated: '' } });
  if (existing === undefined || !isDeepStrictEqual(content(existing), content(resource))) {
    await repository.updateResource(resource);
  }
}
