/** The sandbox's FHIR server behind a real port, and a plain client for it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Bundle, OperationOutcome, Resource } from '@medplum/fhirtypes';
import express from 'express';
import { createFhirServer, type FhirServer } from '../../../api/sandbox/fhir/server.ts';
import { serve } from '../../support/http-server.ts';

export interface Answer<T = Resource> {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Body as JSON; undefined when there is none. */
  readonly body: T;
}

export interface FhirClient {
  /** FHIR base URL */
  readonly base: string;
  readonly folder: string;
  readonly server: FhirServer;
  call<T = Resource>(
    method: string,
    path: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Answer<T>>;
  put<T extends Resource>(resource: T): Promise<Answer<T>>;
  search(query: string): Promise<Bundle>;
  /** Closes the server; with `keep`, its folder stays. */
  close(options?: { keep?: boolean }): Promise<void>;
}

export async function startFhir(existingFolder?: string): Promise<FhirClient> {
  const folder = existingFolder ?? (await mkdtemp(join(tmpdir(), 'sandbox-fhir-')));
  const server = await createFhirServer({ folder });
  const http = await serve(express().use('/fhir', server.router));
  const base = `${http.origin}/fhir`;
  const client: FhirClient = {
    base,
    folder,
    server,
    call: (method, path, body, headers) => callFhir(`${base}${path}`, method, body, headers),
    put: (resource) => client.call('PUT', `/${resource.resourceType}/${resource.id}`, resource),
    search: async (query) => {
      const { status, body } = await client.call<Bundle>('GET', `/${query}`);
      if (status !== 200) throw new Error(`${query} was answered ${status}: ${JSON.stringify(body)}`);
      return body;
    },
    close: async ({ keep = false } = {}) => {
      await http.close();
      await server.close();
      if (!keep) await rm(folder, { recursive: true, force: true });
    },
  };
  return client;
}

/** One HTTP exchange; bytes and strings are sent as they are, anything else as FHIR JSON. */
export async function callFhir<T>(
  url: string,
  method: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer<T>> {
  const raw = body === undefined || typeof body === 'string' || body instanceof Uint8Array;
  const response = await fetch(url, {
    method,
    headers: { ...(body !== undefined && { 'content-type': 'application/fhir+json' }), ...headers },
    body: raw ? (body as string | Uint8Array<ArrayBuffer> | undefined) : JSON.stringify(body),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json') === true;
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: (isJson && text !== '' ? JSON.parse(text) : undefined) as T,
  };
}

export function diagnostics(outcome: unknown): string {
  return (outcome as OperationOutcome).issue.map((issue) => `${issue.code}: ${issue.diagnostics}`).join('; ');
}
