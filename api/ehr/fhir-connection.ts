/**
 * FHIR REST against one base URL. fhir-kit-client would follow absolute URLs, references and links with the caller's token, so
 * only its relative forms are used, with ids checked before; the global fetch it calls is the guarded one (egress.install).
 * Raw Binary goes through egress directly, because the client knows only JSON.
 */
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { Bundle, CapabilityStatement, Resource } from '@medplum/fhirtypes';
import { Client } from 'fhir-kit-client';
import type { FhirResource } from 'fhir-kit-client';
import type { Egress } from '../egress/egress.ts';
import { NotFoundError, UpstreamError } from '../errors.ts';
import { Capabilities } from './capabilities.ts';
import { notFhir, throwForAnswer, toEhrError } from './faults.ts';
import type { Interaction } from './faults.ts';
import { parseLocalReference, referenceFromLocation } from './ids.ts';
import { relativeNextLink } from './next-page.ts';

const FHIR_JSON = 'application/fhir+json';

/** A search that pages on and on is a fault of the EHR, not a longer list. */
const MAX_PAGES = 20;

/** How long a CapabilityStatement is believed, ms. */
const CAPABILITIES_FRESH_MS = 600_000;

/** Pictures may be tens of megabytes over a slow line. */
const BINARY_LIMITS = { totalMs: 120_000, maxBytes: 256 * 2 ** 20 };

const PIECE_BYTES = 256 * 1024;

type ResourceOf<K extends Resource['resourceType']> = Extract<Resource, { resourceType: K }>;

export interface BinaryContent {
  readonly contentType: string;
  readonly bytes: Uint8Array;
  /** "Patient/<id>": whose access rules apply (Binary.securityContext). */
  readonly securityContext: string;
}

export class FhirConnection {
  readonly baseUrl: string;
  readonly #client: Client;
  readonly #egress: Pick<Egress, 'fetch'>;
  #capabilities: { readonly value: Capabilities; readonly readAt: number } | undefined;

  constructor(options: { readonly baseUrl: string; readonly egress: Pick<Egress, 'fetch'> }) {
    this.baseUrl = options.baseUrl.replace(/\/+$/, '');
    this.#client = new Client({ baseUrl: this.baseUrl });
    this.#egress = options.egress;
  }

  /** Reads "Type/id". Throws NotFoundError for 404 and 410, UpstreamError, TransientError, CancelledError. */
  async read<K extends Resource['resourceType']>(
    resourceType: K,
    id: string,
    signal: AbortSignal,
  ): Promise<ResourceOf<K>> {
    this.#checkReference(`${resourceType}/${id}`);
    const resource = await this.#call({ verb: 'read', resourceType }, signal, () =>
      this.#client.read({ resourceType, id, options: { signal } }),
    );
    if (resource.resourceType !== resourceType || resource.id !== id) throw notFhir(200, resourceType);
    return resource as unknown as ResourceOf<K>;
  }

  /** Like read; undefined where there never was such a resource (404). A deleted one (410) throws NotFoundError still. */
  async find<K extends Resource['resourceType']>(
    resourceType: K,
    id: string,
    signal: AbortSignal,
  ): Promise<ResourceOf<K> | undefined> {
    try {
      return await this.read(resourceType, id, signal);
    } catch (error) {
      if (error instanceof NotFoundError && error.details.status === 404) return undefined;
      throw error;
    }
  }

  /** All matches of a type-level search, page after page. Entries of another type (included, outcome) are left out. */
  async search<K extends Resource['resourceType']>(
    resourceType: K,
    parameters: Readonly<Record<string, string>> | readonly (readonly [name: string, value: string])[],
    signal: AbortSignal,
  ): Promise<readonly ResourceOf<K>[]> {
    const interaction: Interaction = { verb: 'search', resourceType };
    const found: ResourceOf<K>[] = [];
    const visited = new Set<string>();
    let next: string | undefined =
      `/${resourceType}?${new URLSearchParams(parameters as Record<string, string>).toString()}`;
    while (next !== undefined) {
      if (visited.has(next) || visited.size >= MAX_PAGES) {
        throw new UpstreamError('ehr-paging-endless', `The search of ${resourceType} in the EHR does not end.`, {
          pages: visited.size,
        });
      }
      visited.add(next);
      const page: string = next;
      const answer = await this.#call(interaction, signal, () => this.#client.request(page, { options: { signal } }));
      if (answer.resourceType !== 'Bundle') throw notFhir(200, 'Bundle');
      const bundle = answer as unknown as Bundle;
      for (const { resource, search } of bundle.entry ?? []) {
        if (resource?.resourceType === resourceType && (search?.mode ?? 'match') === 'match') {
          found.push(resource as ResourceOf<K>);
        }
      }
      next = relativeNextLink(bundle, this.baseUrl);
    }
    return found;
  }

  /** PUT to the resource's own id. */
  async update(resource: Resource & { id?: string }, signal: AbortSignal): Promise<void> {
    const { resourceType, id = '' } = resource;
    this.#checkReference(`${resourceType}/${id}`);
    await this.#call({ verb: 'update', resourceType }, signal, () =>
      this.#client.update({ resourceType, id, body: resource as unknown as FhirResource, options: { signal } }),
    );
  }

  /** POST, unless a resource with that identifier exists (If-None-Exist). */
  async createIfAbsent(resource: Resource, identifier: string, signal: AbortSignal): Promise<void> {
    const { resourceType } = resource;
    const headers = { 'If-None-Exist': new URLSearchParams({ identifier }).toString() };
    await this.#call({ verb: 'create', resourceType }, signal, () =>
      this.#client.create({ resourceType, body: resource as unknown as FhirResource, options: { signal, headers } }),
    );
  }

  /**
   * All or nothing. Returns one answer per entry, in order; throws UpstreamError when an entry did not succeed. `versioned`: its
   * entries rest on versions (If-Match), and an answer 412 means that one of them changed (TransientError `ehr-conflict`).
   */
  async transaction(
    bundle: Bundle,
    signal: AbortSignal,
    kind?: 'versioned',
  ): Promise<readonly { readonly location?: string }[]> {
    const interaction: Interaction = { verb: 'transaction', ...(kind === 'versioned' && { versioned: true }) };
    const answer = await this.#call(interaction, signal, () =>
      this.#client.transaction({ body: bundle as unknown as FhirResource, options: { signal } }),
    );
    if (answer.resourceType !== 'Bundle') throw notFhir(200, 'Bundle');
    const responses = ((answer as unknown as Bundle).entry ?? []).map(({ response }) => response);
    const failed = responses.filter((response) => !/^2\d\d/.test(response?.status ?? ''));
    if (responses.length !== (bundle.entry?.length ?? 0) || failed.length > 0) {
      throw new UpstreamError('ehr-transaction-incomplete', 'The EHR did not confirm every entry of the transaction.', {
        entries: bundle.entry?.length ?? 0,
        confirmed: responses.length - failed.length,
      });
    }
    return responses.map((response) => ({ location: response?.location }));
  }

  /** The CapabilityStatement, kept for ten minutes; `fresh` asks again. */
  async capabilities(signal: AbortSignal, fresh = false): Promise<Capabilities> {
    const kept = this.#capabilities;
    if (!fresh && kept !== undefined && performance.now() - kept.readAt < CAPABILITIES_FRESH_MS) return kept.value;
    const statement = await this.#call({ verb: 'capabilities' }, signal, () =>
      this.#client.capabilityStatement({ signal }),
    );
    if (statement.resourceType !== 'CapabilityStatement') throw notFhir(200, 'CapabilityStatement');
    const value = new Capabilities(statement as unknown as CapabilityStatement);
    this.#capabilities = { value, readAt: performance.now() };
    return value;
  }

  /** Stores the bytes as they are (http://hl7.org/fhir/R4/binary.html#rest): PUT to an id, or POST. Returns "Binary/<id>". */
  async storeBinary(content: BinaryContent, id: string | undefined, signal: AbortSignal): Promise<string> {
    const interaction: Interaction = { verb: id === undefined ? 'create' : 'update', resourceType: 'Binary' };
    if (id !== undefined) this.#checkReference(`Binary/${id}`);
    const response = await this.#fetch(id === undefined ? 'Binary' : `Binary/${id}`, interaction, {
      method: id === undefined ? 'POST' : 'PUT',
      headers: {
        'content-type': content.contentType,
        'content-length': String(content.bytes.byteLength),
        'x-security-context': content.securityContext,
        accept: FHIR_JSON,
      },
      body: inPieces(content.bytes),
      signal,
    });
    await response.body?.cancel();
    if (id !== undefined) return `Binary/${id}`;
    const reference = referenceFromLocation(response.headers.get('location'), 'Binary');
    if (reference === undefined) throw notFhir(response.status, 'Binary');
    return reference;
  }

  /** SHA-1 (base64) and size of the bytes behind "Binary/<id>", read as they stream in. */
  async digestBinary(
    reference: string,
    contentType: string,
    signal: AbortSignal,
  ): Promise<{ readonly sha1: string; readonly size: number }> {
    this.#checkReference(reference);
    const interaction: Interaction = { verb: 'read', resourceType: 'Binary' };
    const response = await this.#fetch(reference, interaction, { headers: { accept: contentType }, signal });
    try {
      // Some servers answer with the JSON form whatever is asked for: then the bytes are base64 inside.
      if (/^application\/(fhir\+)?json\b/.test(response.headers.get('content-type') ?? '')) {
        const { data } = (await response.json()) as { data?: unknown };
        return await digest([Buffer.from(typeof data === 'string' ? data : '', 'base64')]);
      }
      return await digest(response.body ?? []);
    } catch (error) {
      throw await toEhrError(error, interaction, signal);
    }
  }

  async #fetch(
    path: string,
    interaction: Interaction,
    init: { method?: string; headers: Record<string, string>; body?: ReadableStream<Uint8Array>; signal: AbortSignal },
  ): Promise<Response> {
    let response: Response;
    try {
      response = await this.#egress.fetch(`${this.baseUrl}/${path}`, init as RequestInit, BINARY_LIMITS);
    } catch (error) {
      throw await toEhrError(error, interaction, init.signal);
    }
    if (!response.ok) {
      const data = await response.json().catch(() => undefined);
      await throwForAnswer({ status: response.status, headers: response.headers, data }, interaction);
    }
    return response;
  }

  async #call(interaction: Interaction, signal: AbortSignal, call: () => Promise<FhirResource>): Promise<FhirResource> {
    try {
      signal.throwIfAborted();
      return await call();
    } catch (error) {
      // A body that is JSON but no object (`null`, a string) trips the client over itself.
      if (error instanceof TypeError && error.cause === undefined) throw notFhir(200, interaction.resourceType, error);
      throw await toEhrError(error, interaction, signal);
    }
  }

  #checkReference(reference: string): void {
    if (parseLocalReference(reference, this.baseUrl) === undefined) {
      throw new UpstreamError('ehr-reference-invalid', 'A FHIR reference is malformed; it was not followed.');
    }
  }
}

/** Large bodies go out piece by piece, so that other requests are answered in between. */
function inPieces(bytes: Uint8Array): ReadableStream<Uint8Array> {
  let start = 0;
  return new ReadableStream(
    {
      async pull(controller) {
        await setImmediate();
        if (start < bytes.byteLength) controller.enqueue(bytes.subarray(start, (start += PIECE_BYTES)));
        else controller.close();
      },
    },
    { highWaterMark: 0 },
  );
}

async function digest(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<{ readonly sha1: string; readonly size: number }> {
  const hash = createHash('sha1');
  let size = 0;
  for await (const chunk of chunks) {
    hash.update(chunk);
    size += chunk.byteLength;
  }
  return { sha1: hash.digest('base64'), size };
}
