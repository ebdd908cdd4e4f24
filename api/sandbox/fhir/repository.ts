/**
 * The repository behind the FHIR router; here its writing half: versions, deletions, conditional writes, transactions. Writes
 * run one transaction at a time; a transaction reads its own writes and becomes visible and durable as a whole or not at all.
 */
import { randomUUID } from 'node:crypto';
import { applyPatch, deepClone, type Operation, type WithId } from '@medplum/core';
import type { DeleteResourceOptions, RepositoryMode, UpdateResourceOptions } from '@medplum/fhir-router';
import type { Binary, Parameters, Resource } from '@medplum/fhirtypes';
import { assertPermitted, type TokenAccess } from './access.ts';
import type { Blob } from './blob-store.ts';
import { Mutex } from './mutex.ts';
import { forbidden, invalid, notFound, notSupported, preconditionFailed } from './outcome.ts';
import {
  assertServed,
  maxInlineBinaryBytes,
  ReadingRepository,
  shown,
  type RepositoryParts,
} from './reading-repository.ts';
import type { Version } from './resource-store.ts';
import { validate } from './validate.ts';
import { VersionView } from './version-view.ts';

const idPattern = /^[A-Za-z0-9\-.]{1,64}$/;

export class SandboxRepository extends ReadingRepository {
  readonly #mutex: Mutex;

  constructor(
    parts: RepositoryParts,
    mutex = new Mutex(),
    view = new VersionView(parts.store),
    access: TokenAccess | undefined = undefined,
  ) {
    super(parts, view, access);
    this.#mutex = mutex;
  }

  /** The same chart as the holder of a token may see and change it. */
  withAccess(access: TokenAccess): SandboxRepository {
    return new SandboxRepository(this.parts, this.#mutex, this.view, access);
  }

  setMode(_mode: RepositoryMode): void {
    // One store serves readers and writers alike.
  }

  generateId(): string {
    return randomUUID();
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
    assertPermitted(this.access, resourceType, 'd');
    await this.withTransaction(async (transaction) => {
      const latest = transaction.view.latest(resourceType, id);
      if (latest === undefined || !transaction.sees(latest))
        throw notFound(`${resourceType}/${shown(id)} is not known.`);
      assertVersion(latest, options?.ifMatch);
      // Deleting twice is not an error (http://hl7.org/fhir/R4/http.html#delete).
      if (latest.resource === undefined) return;
      transaction.view.stage({ resourceType, id, versionId: successor(latest), lastUpdated: now() });
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

  /** Runs `callback` on a repository whose writes are committed together when it resolves and dropped when it rejects. */
  withTransaction<TResult>(callback: (transaction: this) => Promise<TResult>): Promise<TResult> {
    if (this.view.isTransaction) return callback(this);
    return this.#mutex.run(async () => {
      const view = new VersionView(this.parts.store, 'transaction');
      const result = await callback(new SandboxRepository(this.parts, this.#mutex, view, this.access) as this);
      await this.guarded(() => this.parts.store.commit(view.staged));
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
    validate(resource, this.parts.bindings);
    const { stored, blob: content } = await this.#detachContent(resource, blob);
    return this.withTransaction(async (transaction) => {
      const latest = transaction.view.latest(resourceType, id);
      transaction.#assertMayWrite(latest, resource);
      assertVersion(latest, ifMatch);
      const versionId = successor(latest);
      const lastUpdated = now();
      const { meta, ...elements } = deepClone(stored);
      const head = { resourceType, id, meta: { ...meta, versionId, lastUpdated } };
      const versioned = { ...head, ...elements } as unknown as WithId<T>;
      transaction.view.stage({
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
    const written = await this.guarded(() => this.parts.store.blobs.write([bytes], maxInlineBinaryBytes));
    return { stored: stored as T, blob: written };
  }

  #assertMayWrite(latest: Version | undefined, resource: Resource): void {
    assertPermitted(this.access, resource.resourceType, latest?.resource === undefined ? 'c' : 'u');
    if (latest !== undefined && !this.sees(latest)) throw notFound(`${resource.resourceType} is not known.`);
    if (!this.shows(resource)) throw forbidden('The token is for another patient than the resource.');
  }
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
