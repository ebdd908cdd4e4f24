/**
 * All versions of all resources: in memory for reading and searching, in a journal for keeping. Durable before acknowledged,
 * all or nothing per commit.
 */
import { join } from 'node:path';
import type { WithId } from '@medplum/core';
import type { Resource } from '@medplum/fhirtypes';
import { BlobStore, type Blob } from './blob-store.ts';
import { Journal } from './journal.ts';

/** One version of a resource; without `resource` it is a deletion. */
export interface Version {
  readonly resourceType: string;
  readonly id: string;
  /** "1", "2", ... */
  readonly versionId: string;
  /** FHIR instant */
  readonly lastUpdated: string;
  readonly resource?: WithId<Resource>;
  /** Content of a Binary. */
  readonly blob?: Blob;
}

/** Versions kept per resource; older ones are forgotten. */
const keptVersions = 32;

/** The journal is compacted at start when it has this many lines more than there are resources. */
const compactionSlack = 200;

export class ResourceStore {
  readonly blobs: BlobStore;
  readonly #journal: Journal<Version[]>;
  /** type -> id -> versions, oldest first */
  readonly #versions = new Map<string, Map<string, Version[]>>();

  private constructor(journal: Journal<Version[]>, blobs: BlobStore) {
    this.#journal = journal;
    this.blobs = blobs;
  }

  /** Replays the journal in `folder`. One process per folder. */
  static async open(folder: string): Promise<ResourceStore> {
    const { journal, records } = await Journal.open<Version[]>(join(folder, 'journal.ndjson'));
    const store = new ResourceStore(journal, new BlobStore(join(folder, 'blobs')));
    for (const versions of records) store.#apply(versions);
    const resources = [...store.#all()];
    if (journal.lines > resources.length + compactionSlack) await journal.rewrite(resources);
    await store.blobs.open();
    const inUse = resources.flat().flatMap(({ blob }) => (blob === undefined ? [] : [blob.sha256]));
    await store.blobs.sweep(new Set(inUse));
    return store;
  }

  /** Newest version, which may be a deletion. */
  latest(type: string, id: string): Version | undefined {
    return this.history(type, id).at(-1);
  }

  /** Kept versions, oldest first. */
  history(type: string, id: string): readonly Version[] {
    return this.#versions.get(type)?.get(id) ?? [];
  }

  /** Newest versions of a type that are not deleted, in order of creation. */
  *current(type: string): Generator<Version> {
    for (const versions of this.#versions.get(type)?.values() ?? []) {
      const version = versions.at(-1);
      if (version?.resource !== undefined) yield version;
    }
  }

  /** Makes all versions durable, then visible. Calls must not overlap. */
  async commit(versions: readonly Version[]): Promise<void> {
    if (versions.length === 0) return;
    await this.#journal.append([...versions]);
    this.#apply(versions);
  }

  async close(): Promise<void> {
    await this.#journal.close();
  }

  #apply(versions: readonly Version[]): void {
    for (const version of versions) {
      const ofType = this.#versions.get(version.resourceType) ?? new Map<string, Version[]>();
      this.#versions.set(version.resourceType, ofType);
      const kept = [...(ofType.get(version.id) ?? []), version].slice(-keptVersions);
      ofType.set(version.id, kept);
    }
  }

  *#all(): Generator<Version[]> {
    for (const ofType of this.#versions.values()) yield* ofType.values();
  }
}
