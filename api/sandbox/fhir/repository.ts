/**
 * The repository behind the FHIR router: versions, deletions, conditional writes, transactions. Writes run one transaction at a
 * time; a transaction reads its own writes and becomes visible and durable as a whole or not at all.
 */
import { randomUUID } from 'node:crypto';
import {
  applyPatch,
  deepClone,
  OperationOutcomeError,
  type Operation,
  type SearchRequest,
  type WithId,
} from '@medplum/core';
import {
  FhirRepository,
  getExtraEntries,
  type DeleteResourceOptions,
  type RepositoryMode,
  type UpdateResourceOptions,
} from '@medplum/fhir-router';
import type { Binary, Bundle, BundleEntry, Parameters, Reference, Resource } from '@medplum/fhirtypes';
import { assertPermitted, isVisible, type TokenAccess } from './access.ts';
import type { Blob } from './blob-store.ts';
import { isServedType } from './definitions.ts';
import { Mutex } from './mutex.ts';
import {
  forbidden,
  gone,
  internalError,
  invalid,
  notFound,
  notSupported,
  preconditionFailed,
  tooLarge,
} from './outcome.ts';
import type { RequiredBindings } from './required-bindings.ts';
import type { ResourceStore, Version } from './resource-store.ts';
import { compileSearch } from './search-match.ts';
import { sortResources } from './search-sort.ts';
import { validate } from './validate.ts';
import { VersionView } from './version-view.ts';

/** Page size where the client names none, and the largest it may name. */
export const defaultPageSize = 50;
export const maxPageSize = 1000;

/** Largest Binary that is given or taken inside JSON, bytes; larger ones go raw to /Binary. */
export const maxInlineBinaryBytes = 1024 * 1024;

const idPattern = /^[A-Za-z0-9\-.]{1,64}$/;

export interface RepositoryParts {
  readonly store: ResourceStore;
  readonly bindings: RequiredBindings;
  /** Receives errors that callers only see as "internal error". */
  readonly onError?: (error: unknown) => void;
}

export class SandboxRepository extends FhirRepository {
  readonly #parts: RepositoryParts;
  readonly #mutex: Mutex;
  readonly #view: VersionView;
  readonly #access: TokenAccess | undefined;

  constructor(
    parts: RepositoryParts,
    mutex = new Mutex(),
    view = new VersionView(parts.store),
    access: TokenAccess | undefined = undefined,
  ) {
    super();
    this.#parts = parts;
    this.#mutex = mutex;
    this.#view = view;
    this.#access = access;
  }

  /** The same chart as the holder of a token may see and change it. */
  withAccess(access: TokenAccess): SandboxRepository {
    return new SandboxRepository(this.#parts, this.#mutex, this.#view, access);
  }

  setMode(_mode: RepositoryMode): void {
    // One store serves readers and writers alike.
  }

  generateId(): string {
    return randomUUID();
  }

  /** Whether the resource exists now. */
  exists(resourceType: string, id: string): boolean {
    return this.#view.latest(resourceType, id)?.resource !== undefined;
  }

  /** Whether the resource once existed and was deleted. */
  wasDeleted(resourceType: string, id: string): boolean {
    const latest = this.#view.latest(resourceType, id);
    return latest !== undefined && latest.resource === undefined;
  }

  /** The stored content of a Binary. Throws 404 or 410 like a read. */
  readBinary(id: string): { resource: WithId<Binary>; blob: Blob | undefined } {
    assertPermitted(this.#access, 'Binary', 'r');
    const version = this.#existing('Binary', id);
    return { resource: deepClone(version.resource) as WithId<Binary>, blob: version.blob };
  }

  /** Creates or updates a Binary whose bytes are already stored (http://hl7.org/fhir/R4/binary.html#rest). */
  async writeBinary(resource: Binary, blob: Blob, options?: UpdateResourceOptions): Promise<WithId<Binary>> {
    const id = resource.id ?? this.generateId();
    return this.#write({ ...resource, id }, options?.ifMatch, blob);
  }

  async createResource<T extends Resource>(resource: T, options?: { assignedId?: boolean }): Promise<WithId<T>> {
    const id = options?.assignedId === true && resource.id !== undefined ? resource.id : this.generateId();
    return this.#write({ ...resource, id });
  }

  /** Updates, or creates under the given id (CapabilityStatement.rest.resource.updateCreate). */
  async updateResource<T extends Resource>(resource: T, options?: UpdateResourceOptions): Promise<WithId<T>> {
    if (resource.id === undefined) throw invalid('An update needs the resource id.', `${resource.resourceType}.id`);
    return this.#write(resource as WithId<T>, options?.ifMatch);
  }

  async deleteResource(resourceType: string, id: string, options?: DeleteResourceOptions): Promise<void> {
    assertServed(resourceType);
    assertPermitted(this.#access, resourceType, 'd');
    await this.withTransaction(async (transaction) => {
      const latest = transaction.#view.latest(resourceType, id);
      if (latest === undefined || !transaction.#sees(latest))
        throw notFound(`${resourceType}/${shown(id)} is not known.`);
      assertVersion(latest, options?.ifMatch);
      // Deleting twice is not an error (http://hl7.org/fhir/R4/http.html#delete).
      if (latest.resource === undefined) return;
      transaction.#view.stage({ resourceType, id, versionId: successor(latest), lastUpdated: now() });
    });
  }

  /** JSON Patch (RFC 6902). */
  async patchResource<T extends Resource>(
    resourceType: T['resourceType'],
    id: string,
    patch: Operation[] | Parameters,
    options?: UpdateResourceOptions,
  ): Promise<WithId<T>> {
    if (!Array.isArray(patch)) throw notSupported('Only JSON Patch (application/json-patch+json) is supported.');
    return this.withTransaction(async (transaction) => {
      const resource = await transaction.readResource<T>(resourceType, id);
      const failures = applyPatch(resource, patch).filter((each) => each !== null);
      if (failures.length > 0)
        throw invalid(`The patch does not apply: ${failures.map(({ name }) => name).join(', ')}.`);
      return transaction.updateResource({ ...resource, resourceType, id }, options);
    });
  }

  async readResource<T extends Resource>(resourceType: string, id: string): Promise<WithId<T>> {
    assertServed(resourceType);
    assertPermitted(this.#access, resourceType, 'r');
    return this.#materialize<T>(this.#existing(resourceType, id));
  }

  async readVersion<T extends Resource>(resourceType: string, id: string, versionId: string): Promise<WithId<T>> {
    assertServed(resourceType);
    assertPermitted(this.#access, resourceType, 'r');
    const version = this.#view.history(resourceType, id).find((each) => each.versionId === versionId);
    if (version === undefined || !this.#sees(version))
      throw notFound(`Version ${shown(versionId)} of ${resourceType}/${shown(id)} is not known.`);
    if (version.resource === undefined) throw gone(`Version ${versionId} of ${resourceType}/${id} is its deletion.`);
    return this.#materialize<T>(version);
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
    assertPermitted(this.#access, resourceType, 'r');
    const versions = this.#view.history(resourceType, id).filter((version) => this.#sees(version));
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
    assertPermitted(this.#access, resourceType, 's');
    const matches = compileSearch(request);
    const found = this.#view.current(resourceType).filter((resource) => this.#shows(resource) && matches(resource));
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

  /** Runs `callback` on a repository whose writes are committed together when it resolves and dropped when it rejects. */
  withTransaction<TResult>(callback: (transaction: this) => Promise<TResult>): Promise<TResult> {
    if (this.#view.isTransaction) return callback(this);
    return this.#mutex.run(async () => {
      const view = new VersionView(this.#parts.store, 'transaction');
      const result = await callback(new SandboxRepository(this.#parts, this.#mutex, view, this.#access) as this);
      await this.#guarded(() => this.#parts.store.commit(view.staged));
      return result;
    });
  }

  async #write<T extends Resource>(resource: WithId<T>, ifMatch?: string, blob?: Blob): Promise<WithId<T>> {
    const { resourceType, id } = resource;
    assertServed(resourceType);
    if (!idPattern.test(id))
      throw invalid('A resource id has 1 to 64 letters, digits, "-" or "."', `${resourceType}.id`);
    // Validating is the costly part: let other requests in before each one.
    await new Promise(setImmediate);
    validate(resource, this.#parts.bindings);
    const { stored, blob: content } = await this.#detachContent(resource, blob);
    return this.withTransaction(async (transaction) => {
      const latest = transaction.#view.latest(resourceType, id);
      transaction.#assertMayWrite(latest, resource);
      assertVersion(latest, ifMatch);
      const versionId = successor(latest);
      const lastUpdated = now();
      const { meta, ...elements } = deepClone(stored);
      const head = { resourceType, id, meta: { ...meta, versionId, lastUpdated } };
      const versioned = { ...head, ...elements } as unknown as WithId<T>;
      transaction.#view.stage({
        resourceType,
        id,
        versionId,
        lastUpdated,
        resource: versioned,
        ...(content && { blob: content }),
      });
      return deepClone(versioned);
    });
  }

  /** Moves base64 content of a Binary out of the resource into the blob store. */
  async #detachContent<T extends Resource>(resource: T, blob?: Blob): Promise<{ stored: T; blob?: Blob }> {
    if (resource.resourceType !== 'Binary' || resource.data === undefined) return { stored: resource, blob };
    const { data, ...stored } = resource;
    const bytes = Buffer.from(data, 'base64');
    const written = await this.#guarded(() => this.#parts.store.blobs.write([bytes], maxInlineBinaryBytes));
    return { stored: stored as T, blob: written };
  }

  /** A copy to hand out, with the content of a Binary in place. */
  async #materialize<T extends Resource>({ resource, blob }: Version): Promise<WithId<T>> {
    const copy = deepClone(resource) as WithId<Resource>;
    if (copy.resourceType === 'Binary' && blob !== undefined) {
      if (blob.size > maxInlineBinaryBytes)
        throw tooLarge('This Binary is too large for a Bundle; read it from /Binary.');
      copy.data = (await this.#guarded(() => this.#parts.store.blobs.read(blob))).toString('base64');
    }
    return copy as WithId<T>;
  }

  #existing(resourceType: string, id: string): Version {
    assertServed(resourceType);
    const version = this.#view.latest(resourceType, id);
    if (version === undefined || !this.#sees(version)) throw notFound(`${resourceType}/${shown(id)} is not known.`);
    if (version.resource === undefined) throw gone(`${resourceType}/${id} was deleted.`);
    return version;
  }

  #assertMayWrite(latest: Version | undefined, resource: Resource): void {
    assertPermitted(this.#access, resource.resourceType, latest?.resource === undefined ? 'c' : 'u');
    if (latest !== undefined && !this.#sees(latest)) throw notFound(`${resource.resourceType} is not known.`);
    if (!this.#shows(resource)) throw forbidden('The token is for another patient than the resource.');
  }

  #sees({ resource }: Version): boolean {
    // What was deleted says nothing any more, not even whose it was.
    return resource === undefined ? this.#access?.patient === undefined : this.#shows(resource);
  }

  #shows(resource: Resource): boolean {
    if (this.#access === undefined) return true;
    return isVisible(this.#access, resource, (reference) => {
      const [resourceType, id] = reference.split('/');
      return this.#view.latest(resourceType, id)?.resource;
    });
  }

  async #guarded<T>(action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      if (error instanceof OperationOutcomeError) throw error;
      this.#parts.onError?.(error);
      throw internalError();
    }
  }
}

function assertServed(resourceType: string): void {
  if (!isServedType(resourceType)) throw notFound(`Resource type "${shown(resourceType)}" is not served here.`);
}

function assertVersion(latest: Version | undefined, ifMatch: string | undefined): void {
  if (ifMatch !== undefined && latest?.versionId !== ifMatch) {
    throw preconditionFailed(`The current version is ${latest?.versionId ?? 'none'}, not ${shown(ifMatch)}.`);
  }
}

function successor(latest: Version | undefined): string {
  return String(Number(latest?.versionId ?? 0) + 1);
}

function now(): string {
  return new Date().toISOString();
}

/** Text of a caller, cut to a length fit for a message. */
function shown(text: string): string {
  return text.slice(0, 64);
}
