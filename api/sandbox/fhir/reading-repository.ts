/**
 * The reading half of the repository: reads, versions, histories and searches, as far as the holder of a token may see them.
 */
import { deepClone, OperationOutcomeError, type SearchRequest, type WithId } from '@medplum/core';
import { FhirRepository, getExtraEntries } from '@medplum/fhir-router';
import type { Binary, Bundle, BundleEntry, Reference, Resource } from '@medplum/fhirtypes';
import { assertPermitted, isVisible, type TokenAccess } from './access.ts';
import type { Blob } from './blob-store.ts';
import { isServedType } from './definitions.ts';
import { gone, internalError, invalid, notFound, notSupported, tooLarge } from './outcome.ts';
import type { RequiredBindings } from './required-bindings.ts';
import type { ResourceStore, Version } from './resource-store.ts';
import { compileSearch } from './search-match.ts';
import { sortResources } from './search-sort.ts';
import type { VersionView } from './version-view.ts';

/** Page size where the client names none, and the largest it may name. */
export const defaultPageSize = 50;
export const maxPageSize = 1000;

/** Largest Binary that is given or taken inside JSON, bytes; larger ones go raw to /Binary. */
export const maxInlineBinaryBytes = 1024 * 1024;

export interface RepositoryParts {
  readonly store: ResourceStore;
  readonly bindings: RequiredBindings;
  /** Receives errors that callers only see as "internal error". */
  readonly onError?: (error: unknown) => void;
}

export abstract class ReadingRepository extends FhirRepository {
  protected readonly parts: RepositoryParts;
  protected readonly view: VersionView;
  protected readonly access: TokenAccess | undefined;

  protected constructor(parts: RepositoryParts, view: VersionView, access: TokenAccess | undefined) {
    super();
    this.parts = parts;
    this.view = view;
    this.access = access;
  }

  /** Whether the resource exists now. */
  exists(resourceType: string, id: string): boolean {
    return this.view.latest(resourceType, id)?.resource !== undefined;
  }

  /** Whether the resource once existed and was deleted. */
  wasDeleted(resourceType: string, id: string): boolean {
    const latest = this.view.latest(resourceType, id);
    return latest !== undefined && latest.resource === undefined;
  }

  /** The stored content of a Binary. Throws 404 or 410 like a read. */
  readBinary(id: string): { resource: WithId<Binary>; blob: Blob | undefined } {
    assertPermitted(this.access, 'Binary', 'r');
    const version = this.existing('Binary', id);
    return { resource: deepClone(version.resource) as WithId<Binary>, blob: version.blob };
  }

  async readResource<T extends Resource>(resourceType: string, id: string): Promise<WithId<T>> {
    assertServed(resourceType);
    assertPermitted(this.access, resourceType, 'r');
    return this.materialize<T>(this.existing(resourceType, id));
  }

  async readVersion<T extends Resource>(resourceType: string, id: string, versionId: string): Promise<WithId<T>> {
    assertServed(resourceType);
    assertPermitted(this.access, resourceType, 'r');
    const version = this.view.history(resourceType, id).find((each) => each.versionId === versionId);
    if (version === undefined || !this.sees(version))
      throw notFound(`Version ${shown(versionId)} of ${resourceType}/${shown(id)} is not known.`);
    if (version.resource === undefined) throw gone(`Version ${versionId} of ${resourceType}/${id} is its deletion.`);
    return this.materialize<T>(version);
  }

  async readReference<T extends Resource>({ reference }: Reference<T>): Promise<WithId<T>> {
    const [resourceType, id, ...rest] = reference?.split('/') ?? [];
    if (id === undefined || rest.length > 0) throw invalid('The reference is not a relative literal reference.');
    return this.readResource<T>(resourceType, id);
  }

  async readReferences<T extends Resource>(references: readonly Reference<T>[]): Promise<(T | Error)[]> {
    return Promise.all(references.map((each) => this.readReference<T>(each).catch((error: Error) => error)));
  }

  /** Kept versions of one resource, newest first, deletions included. */
  async readHistory<T extends Resource>(resourceType: string, id: string): Promise<Bundle<WithId<T>>> {
    assertServed(resourceType);
    assertPermitted(this.access, resourceType, 'r');
    const versions = this.view.history(resourceType, id).filter((version) => this.sees(version));
    if (versions.length === 0) throw notFound(`${resourceType}/${shown(id)} is not known.`);
    const entry = versions.toReversed().map((version): BundleEntry<WithId<T>> => {
      const method = version.resource === undefined ? 'DELETE' : version.versionId === '1' ? 'POST' : 'PUT';
      return {
        ...(version.resource && { resource: deepClone(version.resource) as WithId<T> }),
        request: { method, url: method === 'POST' ? resourceType : `${resourceType}/${id}` },
        response: {
          status: method === 'DELETE' ? '204' : method === 'POST' ? '201' : '200',
          etag: `W/"${version.versionId}"`,
          lastModified: version.lastUpdated,
        },
      };
    });
    return { resourceType: 'Bundle', type: 'history', total: entry.length, entry };
  }

  async search<T extends Resource>(request: SearchRequest<T>): Promise<Bundle<WithId<T>>> {
    const { resourceType, sortRules = [], offset = 0, count = defaultPageSize } = request;
    assertServed(resourceType);
    if (resourceType === 'Binary') throw notSupported('Binary resources cannot be searched.');
    assertPermitted(this.access, resourceType, 's');
    const matches = compileSearch(request);
    const found = this.view.current(resourceType).filter((resource) => this.shows(resource) && matches(resource));
    sortResources(found, resourceType, sortRules);
    const page = found.slice(offset, offset + Math.min(count, maxPageSize)) as WithId<T>[];
    const entry = page.map((resource): BundleEntry<WithId<T>> => ({
      resource: deepClone(resource),
      search: { mode: 'match' },
    }));
    if (request.include !== undefined || request.revInclude !== undefined) {
      await getExtraEntries(this, request, page, entry as BundleEntry[]);
    }
    return { resourceType: 'Bundle', type: 'searchset', total: found.length, ...(entry.length > 0 && { entry }) };
  }

  async searchByReference<T extends Resource>(
    request: SearchRequest<T>,
    referenceField: string,
    references: string[],
  ): Promise<Record<string, WithId<T>[]>> {
    const found: Record<string, WithId<T>[]> = {};
    for (const value of references) {
      const filters = [...(request.filters ?? []), { code: referenceField, operator: 'eq' as const, value }];
      found[value] = await this.searchResources<T>({ ...request, filters });
    }
    return found;
  }

  /** A copy to hand out, with the content of a Binary in place. */ private async materialize<T extends Resource>({
    resource,
    blob,
  }: Version): Promise<WithId<T>> {
    const copy = deepClone(resource) as WithId<Resource>;
    if (copy.resourceType === 'Binary' && blob !== undefined) {
      if (blob.size > maxInlineBinaryBytes)
        throw tooLarge('This Binary is too large for a Bundle; read it from /Binary.');
      copy.data = (await this.guarded(() => this.parts.store.blobs.read(blob))).toString('base64');
    }
    return copy as WithId<T>;
  }

  private existing(resourceType: string, id: string): Version {
    assertServed(resourceType);
    const version = this.view.latest(resourceType, id);
    if (version === undefined || !this.sees(version)) throw notFound(`${resourceType}/${shown(id)} is not known.`);
    if (version.resource === undefined) throw gone(`${resourceType}/${id} was deleted.`);
    return version;
  }

  protected sees({ resource }: Version): boolean {
    // What was deleted says nothing any more, not even whose it was.
    return resource === undefined ? this.access?.patient === undefined : this.shows(resource);
  }

  protected shows(resource: Resource): boolean {
    if (this.access === undefined) return true;
    return isVisible(this.access, resource, (reference) => {
      const [resourceType, id] = reference.split('/');
      return this.view.latest(resourceType, id)?.resource;
    });
  }

  protected async guarded<T>(action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      if (error instanceof OperationOutcomeError) throw error;
      this.parts.onError?.(error);
      throw internalError();
    }
  }
}

export function assertServed(resourceType: string): void {
  if (!isServedType(resourceType)) throw notFound(`Resource type "${shown(resourceType)}" is not served here.`);
}

/** Text of a caller, cut to a length fit for a message. */
export function shown(text: string): string {
  return text.slice(0, 64);
}
