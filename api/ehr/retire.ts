/**
 * Marks resources of ours as no longer current, each as its R4 value set allows, in one transaction. What is written rests on the
 * version that was read (If-Match), so that nobody's change in between is overwritten: it is read again and judged anew.
 */
import type { Annotation, Bundle, BundleEntry, Provenance, Resource } from '@medplum/fhirtypes';
import { HemocastError, NotFoundError, UpstreamError } from '../errors.ts';
import type { FhirConnection } from './fhir-connection.ts';
import { parseLocalReference } from './ids.ts';
import { withLeadingLine } from './text.ts';

/** What has a status that tells whether it counts. */
export type StatedResource = Extract<
  Resource,
  { resourceType: 'RiskAssessment' | 'Observation' | 'Media' | 'DocumentReference' }
>;

export interface Retirement {
  /** "Type/id" of what was written. */
  readonly references: readonly string[];
  /** The status that it should have; undefined leaves it as it is. */
  statusFor(resource: StatedResource): string | undefined;
  /** What a reader is told first, in the narrative and as a note. */
  readonly line: string;
  readonly at: Date;
  /** Goes along, about what is marked. */
  provenance?(targets: readonly StatedResource[]): Provenance & { id: string };
}

/** A person may change a chart while we read it, not every time we read it. */
const MOST_TRIES = 3;

/**
 * Repeating it changes nothing; what was deleted stays deleted. Throws UpstreamError (`ehr-read-back-differs` where the EHR does
 * not show what it confirmed), TransientError (`ehr-conflict` where it changes all the time), CancelledError.
 */
export async function retire(retirement: Retirement, connection: FhirConnection, signal: AbortSignal): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await retireOnce(retirement, connection, signal);
    } catch (error) {
      if (!(error instanceof HemocastError && error.code === 'ehr-conflict') || tries === MOST_TRIES) throw error;
    }
  }
}

async function retireOnce(retirement: Retirement, connection: FhirConnection, signal: AbortSignal): Promise<void> {
  const found = await Promise.all(retirement.references.map((reference) => findStated(reference, connection, signal)));
  const marked = found.flatMap((resource) => {
    const status = resource && retirement.statusFor(resource);
    return resource === undefined || status === undefined ? [] : [mark(resource, status, retirement)];
  });
  if (marked.length === 0) return;
  const entry: BundleEntry[] = marked.map((resource) => ({
    resource,
    request: {
      method: 'PUT',
      url: `${resource.resourceType}/${resource.id}`,
      ...(resource.meta?.versionId !== undefined && { ifMatch: `W/"${resource.meta.versionId}"` }),
    },
  }));
  const provenance = retirement.provenance?.(marked);
  if (provenance !== undefined) entry.push(await toProvenanceEntry(provenance, connection, signal));
  const bundle: Bundle = { resourceType: 'Bundle', type: 'transaction', entry };
  await connection.transaction(bundle, signal, 'versioned');
  await Promise.all(marked.map((resource) => assertKept(resource, connection, signal)));
}

/** Undefined where it was deleted: then there is nothing to mark. */
async function findStated(
  reference: string,
  connection: FhirConnection,
  signal: AbortSignal,
): Promise<StatedResource | undefined> {
  const { resourceType, id } = parseLocalReference(reference, connection.baseUrl) ?? { resourceType: '', id: '' };
  try {
    return (await connection.read(resourceType as StatedResource['resourceType'], id, signal)) as StatedResource;
  } catch (error) {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  }
}

function mark(resource: StatedResource, status: string, { line, at }: Retirement): StatedResource {
  const note: Annotation = { time: at.toISOString(), text: line };
  const told =
    resource.resourceType === 'DocumentReference'
      ? {
          description: [line, resource.description].filter(Boolean).join(' '),
          ...(status === 'entered-in-error' && { docStatus: status }),
        }
      : { note: [...(resource.note ?? []), note] };
  return {
    ...resource,
    ...told,
    ...(resource.text !== undefined && { text: withLeadingLine(resource.text, line) }),
    status,
  } as StatedResource;
}

async function toProvenanceEntry(
  provenance: Provenance & { id: string },
  connection: FhirConnection,
  signal: AbortSignal,
): Promise<BundleEntry> {
  const capabilities = await connection.capabilities(signal);
  return capabilities.createsByUpdate(['Provenance'])
    ? { resource: provenance, request: { method: 'PUT', url: `Provenance/${provenance.id}` } }
    : { resource: { ...provenance, id: undefined }, request: { method: 'POST', url: 'Provenance' } };
}

async function assertKept(marked: StatedResource, connection: FhirConnection, signal: AbortSignal): Promise<void> {
  const kept = await findStated(`${marked.resourceType}/${marked.id}`, connection, signal);
  if (kept === undefined || kept.status === marked.status) return;
  throw new UpstreamError('ehr-read-back-differs', 'The EHR confirmed another status than it shows.', {
    resourceType: kept.resourceType,
  });
}
