/** What a repository sees: the committed versions, and over them those its own transaction has written so far. */
import type { WithId } from '@medplum/core';
import type { Resource } from '@medplum/fhirtypes';
import type { ResourceStore, Version } from './resource-store.ts';

export class VersionView {
  /** Whether versions are written here, to be committed or dropped together. */
  readonly isTransaction: boolean;
  readonly #store: ResourceStore;
  readonly #staged: Version[] = [];

  constructor(store: ResourceStore, kind: 'committed' | 'transaction' = 'committed') {
    this.#store = store;
    this.isTransaction = kind === 'transaction';
  }

  /** Versions that wait for their commit, in order. */
  get staged(): readonly Version[] {
    return this.#staged;
  }

  stage(version: Version): void {
    if (!this.isTransaction) throw new Error('A version can only be written inside a transaction.');
    this.#staged.push(version);
  }

  /** Newest version, which may be a deletion. */
  latest(resourceType: string, id: string): Version | undefined {
    return this.history(resourceType, id).at(-1);
  }

  /** Kept versions, oldest first. */
  history(resourceType: string, id: string): readonly Version[] {
    const committed = this.#store.history(resourceType, id);
    const own = this.#staged.filter((each) => each.resourceType === resourceType && each.id === id);
    return own.length > 0 ? [...committed, ...own] : committed;
  }

  /** Resources of a type that exist, in order of creation; not to be changed. */
  current(resourceType: string): WithId<Resource>[] {
    const current = new Map<string, WithId<Resource> | undefined>();
    for (const { id, resource } of this.#store.current(resourceType)) current.set(id, resource);
    for (const each of this.#staged) if (each.resourceType === resourceType) current.set(each.id, each.resource);
    return [...current.values()].filter((resource) => resource !== undefined);
  }
}
