/** Ids and references. An id says only what it stands for: the same content, revision and role is the same resource. */
import { createHash } from 'node:crypto';
import type { Identifier, Reference, Resource } from '@medplum/fhirtypes';
import type { ModelDescription } from '../assessment/ports.ts';
import { SYSTEMS } from './codes.ts';

/** The parts one assessment writes. */
export type Role =
  | 'risk-assessment'
  | `observation/${FindingKey}`
  | 'media/follow-up'
  | 'media/comparison'
  | 'binary/follow-up'
  | 'binary/comparison'
  | 'provenance';

export const FINDING_KEYS = [
  'hyperdense-volume',
  'maximum-attenuation',
  'mean-attenuation',
  'side',
  'metallic-sign',
] as const;

export type FindingKey = (typeof FINDING_KEYS)[number];

export type PictureKey = 'follow-up' | 'comparison';

/** SHA-256 in hex: 64 characters, the longest id FHIR R4 allows (http://hl7.org/fhir/R4/datatypes.html#id). */
function hashId(...parts: readonly string[]): string {
  return createHash('sha256').update(parts.join('\n')).digest('hex');
}

/** Id of one resource of one assessment. */
export function resourceId(report: { readonly contentKey: string; readonly revision: number }, role: Role): string {
  return hashId('hemocast', report.contentKey, String(report.revision), role);
}

/** Id of the Device: one per bundle. */
export function deviceId(model: ModelDescription): string {
  return hashId('hemocast', model.sha256, 'device');
}

/** Id of the model card: one per bundle and wording, so that a corrected card does not replace what older results cite. */
export function modelCardId(model: ModelDescription): string {
  return hashId('hemocast', model.sha256, 'model-card', model.cardMarkdown);
}

/** Business identifier that repeats the id, so that a server which chooses its own ids can still find the resource. */
export function ownIdentifier(id: string): Identifier {
  return { system: SYSTEMS.resourceIdentifier, value: id };
}

export function referenceTo<T extends Resource>(reference: string): Reference<T> {
  return { reference };
}

const RELATIVE = /^([A-Z][A-Za-z]{1,63})\/([A-Za-z0-9\-.]{1,64})(?:\/_history\/[A-Za-z0-9\-.]{1,64})?$/;

export interface RelativeReference {
  readonly resourceType: string;
  readonly id: string;
}

/**
 * Reads a reference as one to this EHR: "Type/id", with or without a version, or the same below `baseUrl`.
 * Undefined for everything else (contained, other servers, malformed): it is never followed.
 */
export function parseLocalReference(reference: string | undefined, baseUrl: string): RelativeReference | undefined {
  if (reference === undefined) return undefined;
  const prefix = `${baseUrl.replace(/\/+$/, '')}/`;
  const relative = reference.startsWith(prefix) ? reference.slice(prefix.length) : reference;
  const match = RELATIVE.exec(relative);
  return match === null || match[2] === '.' || match[2] === '..' ? undefined : { resourceType: match[1], id: match[2] };
}

/** "Type/id" of a local reference to one resource type, or undefined. */
export function localReference(
  reference: string | undefined,
  resourceType: string,
  baseUrl: string,
): string | undefined {
  const parsed = parseLocalReference(reference, baseUrl);
  return parsed?.resourceType === resourceType ? `${resourceType}/${parsed.id}` : undefined;
}

/** "Type/id" from a Location header or a transaction response: "Type/id", "Type/id/_history/v", the same with any base before it. */
export function referenceFromLocation(location: string | null | undefined, resourceType: string): string | undefined {
  const match = /(?:^|\/)([A-Z][A-Za-z]+)\/([A-Za-z0-9\-.]{1,64})(?:\/_history\/[^/]+)?$/.exec(location ?? '');
  return match?.[1] === resourceType ? `${resourceType}/${match[2]}` : undefined;
}
