/**
 * A small FHIR R4 server over HTTP that keeps what it is given and counts what it is asked: enough to see what the adapter does
 * to a chart, and to answer as badly as real servers sometimes do.
 */
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Bundle, BundleEntry, Resource } from '@medplum/fhirtypes';
import express from 'express';
import type { Request, Response } from 'express';

export interface KeptBinary {
  readonly contentType: string;
  readonly bytes: Buffer;
  /** Content-Length: servers commonly refuse uploads without one. */
  readonly announcedBytes?: string;
  readonly securityContext?: string;
}

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: string;
}

/** What happens to a request instead of being served: an answer, silence, or a connection cut after the work was done. */
export type Fault =
  | {
      readonly status: number;
      readonly headers?: Record<string, string>;
      readonly body?: unknown;
      readonly type?: string;
    }
  | 'hang'
  | 'work-then-cut';

type Kept = Resource & { id: string };

const ALL_TYPES = [
  ...['RiskAssessment', 'Observation', 'Media', 'DocumentReference', 'Device', 'Provenance', 'Binary'],
  ...['ImagingStudy', 'Patient', 'Procedure', 'Endpoint'],
];

export class TestFhirServer {
  readonly resources = new Map<string, Kept>();
  readonly binaries = new Map<string, KeptBinary>();
  readonly requests: SeenRequest[] = [];
  readonly deleted = new Set<string>();
  updateCreate = true;
  types: readonly string[] = ALL_TYPES;
  transactions = true;
  /** Whether resources carry meta.versionId and If-Match counts. */
  versions = true;
  pageSize = 100;
  /** Asked for every request; undefined serves it. */
  fault: (request: SeenRequest) => Fault | undefined = () => undefined;
  /** Turns the next link of a page into another. */
  rewriteNext: (url: string) => string = (url) => url;
  #server: Server | undefined;
  #nextId = 1;

  get baseUrl(): string {
    return `http://127.0.0.1:${(this.#server?.address() as AddressInfo).port}/fhir`;
  }

  async start(): Promise<void> {
    const app = express();
    app.use('/fhir', (request, response, next) => {
      const url = new URL(request.originalUrl, 'http://localhost');
      const seen = { method: request.method, path: url.pathname.slice('/fhir/'.length), query: url.search };
      this.requests.push(seen);
      const fault = this.fault(seen);
      if (fault === undefined) return next();
      if (fault === 'hang') return undefined;
      if (fault === 'work-then-cut') {
        response.end = (() => request.socket.destroy()) as unknown as typeof response.end;
        return next();
      }
      const { status, headers = {}, body = '', type = 'application/fhir+json' } = fault;
      return void response
        .status(status)
        .set(headers)
        .type(type)
        .send(typeof body === 'string' ? body : JSON.stringify(body));
    });
    const json = express.json({ type: ['application/fhir+json', 'application/json'] });
    const raw = express.raw({ type: () => true, limit: '64mb' });
    app.get('/fhir/metadata', (_, response) => this.#send(response, 200, this.#metadata()));
    app.put('/fhir/Binary/:id', raw, (request, response) =>
      this.#keepBinary(request, response, String(request.params.id)),
    );
    app.post('/fhir/Binary', raw, (request, response) => this.#keepBinary(request, response, `b${this.#nextId++}`));
    app.get('/fhir/Binary/:id', (request, response) => {
      const kept = this.binaries.get(request.params.id);
      if (kept === undefined) return this.#outcome(response, 404, 'not-found');
      return void response.type(kept.contentType).send(kept.bytes);
    });
    app.post('/fhir', json, (request, response) => this.#transaction(request, response));
    app.get('/fhir/:type', (request, response) => this.#search(request, response));
    app.post('/fhir/:type', json, (request, response) => {
      const made = this.#create(request.body as Resource, request.get('if-none-exist'));
      response.set('location', `${this.baseUrl}/${made.resourceType}/${made.id}/_history/1`);
      this.#send(response, 201, made);
    });
    app.get('/fhir/:type/:id', (request, response) => {
      const key = `${request.params.type}/${request.params.id}`;
      if (this.deleted.has(key)) return this.#outcome(response, 410, 'deleted');
      const kept = this.resources.get(key);
      return kept === undefined ? this.#outcome(response, 404, 'not-found') : this.#send(response, 200, kept);
    });
    app.put('/fhir/:type/:id', json, (request, response) => {
      this.put(request.body as Kept);
      this.#send(response, 200, request.body as Kept);
    });
    this.#server = app.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async stop(): Promise<void> {
    this.#server?.closeAllConnections();
    await new Promise((resolve) => this.#server?.close(resolve));
  }

  put(...resources: readonly Kept[]): void {
    for (const resource of resources) {
      const key = `${resource.resourceType}/${resource.id}`;
      const versionId = String(Number(this.resources.get(key)?.meta?.versionId ?? 0) + 1);
      const meta = this.versions ? { ...resource.meta, versionId } : resource.meta;
      this.resources.set(key, structuredClone(meta === undefined ? resource : { ...resource, meta }));
    }
  }

  all<T extends Resource['resourceType']>(type: T): Extract<Resource, { resourceType: T }>[] {
    return [...this.resources.values()].filter((resource) => resource.resourceType === type) as never;
  }

  /** Requests that may change something. */
  get writes(): readonly SeenRequest[] {
    return this.requests.filter(({ method }) => method === 'PUT' || method === 'POST');
  }

  /** The different statuses of forecasts, measurements and pictures, by type. */
  statuses(): Record<string, string[]> {
    const statuses: Record<string, string[]> = {};
    for (const type of ['RiskAssessment', 'Observation', 'Media', 'DocumentReference'] as const) {
      const found = this.all(type).map(({ status }) => String(status));
      if (found.length > 0) statuses[type] = [...new Set(found)].sort();
    }
    return statuses;
  }

  /** How many of each type the chart holds. */
  counts(): Record<string, number> {
    const counts: Record<string, number> = { Binary: this.binaries.size };
    for (const { resourceType } of this.resources.values()) counts[resourceType] = (counts[resourceType] ?? 0) + 1;
    return counts;
  }

  #metadata(): Resource {
    return {
      resourceType: 'CapabilityStatement',
      status: 'active',
      kind: 'instance',
      date: '2026-01-01',
      fhirVersion: '4.0.1',
      format: ['json'],
      rest: [
        {
          mode: 'server',
          interaction: this.transactions ? [{ code: 'transaction' }] : [{ code: 'search-system' }],
          resource: this.types.map((type) => ({
            type: type as 'Patient',
            interaction: [{ code: 'read' as const }, { code: 'create' as const }, { code: 'update' as const }],
            updateCreate: this.updateCreate,
          })),
        },
      ],
    };
  }

  #keepBinary(request: Request, response: Response, id: string): void {
    this.binaries.set(id, {
      contentType: request.get('content-type') ?? '',
      bytes: Buffer.from(request.body as Buffer),
      announcedBytes: request.get('content-length'),
      securityContext: request.get('x-security-context'),
    });
    response.set('location', `${this.baseUrl}/Binary/${id}/_history/1`).status(201).end();
  }

  #create(resource: Resource, ifNoneExist?: string): Kept {
    if (ifNoneExist !== undefined) {
      const known = this.#matching(resource.resourceType, new URLSearchParams(ifNoneExist))[0];
      if (known !== undefined) return known;
    }
    const kept = { ...resource, id: `s${this.#nextId++}` } as Kept;
    this.put(kept);
    return kept;
  }

  #transaction(request: Request, response: Response): void {
    const bundle = request.body as Bundle;
    const outdated = (bundle.entry ?? []).some(({ request: wanted, resource }) => {
      const version = this.resources.get(`${resource?.resourceType}/${resource?.id}`)?.meta?.versionId;
      return wanted?.ifMatch !== undefined && wanted.ifMatch !== `W/"${version}"`;
    });
    if (outdated) return this.#outcome(response, 412, 'conflict');
    let text = JSON.stringify(bundle.entry ?? []);
    const places: { entry: BundleEntry; id: string; known: boolean }[] = (bundle.entry ?? []).map((entry) => {
      const { resourceType } = entry.resource as Resource;
      if (entry.request?.method === 'PUT') return { entry, id: (entry.resource as Kept).id, known: false };
      const query = entry.request?.ifNoneExist;
      const known = query === undefined ? undefined : this.#matching(resourceType, new URLSearchParams(query))[0];
      const id = known?.id ?? `s${this.#nextId++}`;
      text = text.replaceAll(String(entry.fullUrl), `${resourceType}/${id}`);
      return { entry, id, known: known !== undefined };
    });
    const entries = JSON.parse(text) as BundleEntry[];
    const answers = places.map(({ id, known }, index) => {
      const resource = { ...entries[index].resource, id } as Kept;
      if (!known) this.put(resource);
      const location = `${this.baseUrl}/${resource.resourceType}/${id}/_history/1`;
      return { response: { status: known ? '200 OK' : '201 Created', location } };
    });
    this.#send(response, 200, { resourceType: 'Bundle', type: 'transaction-response', entry: answers });
  }

  #search(request: Request, response: Response): void {
    const url = new URL(request.originalUrl, this.baseUrl);
    const type = String(request.params.type);
    const all = this.#matching(type, url.searchParams);
    const offset = Number(url.searchParams.get('_offset') ?? 0);
    const page = all.slice(offset, offset + this.pageSize);
    const link = [];
    if (offset + this.pageSize < all.length) {
      url.searchParams.set('_offset', String(offset + this.pageSize));
      link.push({ relation: 'next' as const, url: this.rewriteNext(url.href) });
    }
    const entry = page.map((resource) => ({ resource, search: { mode: 'match' as const } }));
    this.#send(response, 200, { resourceType: 'Bundle', type: 'searchset', link, entry });
  }

  #matching(type: string, query: URLSearchParams): Kept[] {
    return [...this.resources.values()].filter((resource) => {
      if (resource.resourceType !== type) return false;
      const { identifier, subject, target, status, link } = resource as unknown as {
        identifier?: { system?: string; value?: string }[];
        subject?: { reference?: string };
        target?: { reference?: string }[];
        status?: string;
        link?: { other?: { reference?: string } }[];
      };
      return [...query].every(([name, value]) => {
        if (name === 'identifier') return identifier?.some((each) => `${each.system}|${each.value}` === value);
        if (name === 'patient') return subject?.reference === value;
        if (name === 'target') return target?.some(({ reference }) => reference === value);
        if (name === 'link') return link?.some(({ other }) => other?.reference === value);
        if (name === '_lastUpdated') return isWithin(resource.meta?.lastUpdated, value);
        return name === 'status' ? status === value : name.startsWith('_');
      });
    });
  }

  #outcome(response: Response, status: number, code: string): void {
    this.#send(response, status, {
      resourceType: 'OperationOutcome',
      issue: [{ severity: 'error', code: code as 'not-found' }],
    });
  }

  #send(response: Response, status: number, resource: Resource): void {
    response.status(status).type('application/fhir+json').send(JSON.stringify(resource));
  }
}

/** Search prefixes of a date (http://hl7.org/fhir/R4/search.html#prefix), as far as they are used here. */
function isWithin(time: string | undefined, bound: string): boolean {
  const [at, limit] = [Date.parse(time ?? ''), Date.parse(bound.slice(2))];
  return bound.startsWith('ge') ? at >= limit : at < limit;
}
