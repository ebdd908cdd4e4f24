/** Where oidc-provider keeps sessions, codes and tokens: in memory, so that a restart of the sandbox signs everyone out. */
import type { Adapter, AdapterFactory, AdapterPayload, ClientMetadata } from 'oidc-provider';
import { ExpiringMap } from './expiring-map.ts';

/**
 * One store for each authorization server; the library's own is shared by all of a process.
 * @param clients registered for good
 */
export function memoryAdapter(clients: readonly ClientMetadata[]): AdapterFactory {
  const models = new Map<string, ExpiringMap<AdapterPayload>>();
  const registered = new ExpiringMap<AdapterPayload>(clients.length);
  for (const client of clients) registered.set(client.client_id, client as AdapterPayload, Infinity);
  models.set('Client', registered);
  return (model) => {
    const entries = models.get(model) ?? new ExpiringMap<AdapterPayload>(10_000);
    models.set(model, entries);
    return new MemoryAdapter(entries, models);
  };
}

class MemoryAdapter implements Adapter {
  readonly #entries: ExpiringMap<AdapterPayload>;
  readonly #models: ReadonlyMap<string, ExpiringMap<AdapterPayload>>;

  constructor(entries: ExpiringMap<AdapterPayload>, models: ReadonlyMap<string, ExpiringMap<AdapterPayload>>) {
    this.#entries = entries;
    this.#models = models;
  }

  async upsert(id: string, payload: AdapterPayload, expiresInS?: number): Promise<void> {
    this.#entries.set(id, payload, expiresInS ?? 86_400);
  }

  async find(id: string): Promise<AdapterPayload | undefined> {
    return this.#entries.get(id);
  }

  async findByUid(uid: string): Promise<AdapterPayload | undefined> {
    return this.#entries.values().find((payload) => payload.uid === uid);
  }

  async findByUserCode(): Promise<undefined> {
    return undefined; // the device flow is not offered
  }

  async consume(id: string): Promise<void> {
    const payload = this.#entries.get(id);
    if (payload !== undefined) payload.consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id: string): Promise<void> {
    this.#entries.delete(id);
  }

  async revokeByGrantId(grantId: string): Promise<void> {
    for (const entries of this.#models.values()) {
      for (const payload of entries.values()) {
        if (payload.grantId === grantId && payload.jti !== undefined) entries.delete(payload.jti);
      }
    }
  }
}
