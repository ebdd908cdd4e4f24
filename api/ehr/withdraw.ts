/**
 * Takes a written result back: forecast, measurements and pictures become entered-in-error, and a Provenance says why. What
 * a person has changed or deleted since is theirs: a conflict is tried again on what is there then.
 */
import { createHash } from 'node:crypto';
import type { Bundle, BundleEntry, Provenance, Resource } from '@medplum/fhirtypes';
import type { WithdrawalOrder } from '../assessment/ports.ts';
import { NotFoundError, UpstreamError } from '../errors.ts';
import { ARTIFICIAL_INTELLIGENCE, SYSTEMS, concept } from './codes.ts';
import type { FhirConnection } from './fhir-connection.ts';
import { parseLocalReference, referenceTo } from './ids.ts';
import { narrative } from './text.ts';
import { RESEARCH_LABEL } from './written-report.ts';

type Written = Extract<Resource, { resourceType: 'RiskAssessment' | 'Observation' | 'Media' | 'DocumentReference' }>;

/** Repeating it changes nothing. Throws UpstreamError, TransientError (also where a person changed a resource meanwhile), CancelledError. */
export async function withdraw(
  order: WithdrawalOrder,
  parts: { readonly connection: FhirConnection; readonly now: () => Date },
  signal: AbortSignal,
): Promise<void> {
  const { connection } = parts;
  const { riskAssessment, observations, media } = order.resources;
  const found = await Promise.all(
    [riskAssessment, ...observations, ...media].map((reference) => find(reference, connection, signal)),
  );
  const standing = found.filter(
    (resource) => resource !== undefined && resource.status !== 'entered-in-error',
  ) as Written[];
  if (standing.length === 0) return;
  const provenance = toProvenance(order, standing, parts.now());
  const capabilities = await connection.capabilities(signal);
  const entry: BundleEntry[] = [
    ...standing.map((resource) => ({
      resource: { ...resource, status: 'entered-in-error' } as Resource,
      request: {
        method: 'PUT' as const,
        url: `${resource.resourceType}/${resource.id}`,
        ...(resource.meta?.versionId !== undefined && { ifMatch: `W/"${resource.meta.versionId}"` }),
      },
    })),
    capabilities.createsByUpdate(['Provenance'])
      ? { resource: provenance, request: { method: 'PUT', url: `Provenance/${provenance.id}` } }
      : { resource: { ...provenance, id: undefined }, request: { method: 'POST', url: 'Provenance' } },
  ];
  await connection.transaction({ resourceType: 'Bundle', type: 'transaction', entry } satisfies Bundle, signal);
  const kept = await find(riskAssessment, connection, signal);
  if (kept !== undefined && kept.status !== 'entered-in-error') {
    throw new UpstreamError('ehr-read-back-differs', 'The EHR confirmed a withdrawal that it does not show.', {
      resourceType: kept.resourceType,
    });
  }
}

/** Undefined where it was deleted: then there is nothing to take back. */
async function find(reference: string, connection: FhirConnection, signal: AbortSignal): Promise<Written | undefined> {
  const { resourceType, id } = parseLocalReference(reference, connection.baseUrl) ?? { resourceType: '', id: '' };
  try {
    return (await connection.read(resourceType as Written['resourceType'], id, signal)) as Written;
  } catch (error) {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  }
}

function toProvenance(order: WithdrawalOrder, targets: readonly Written[], at: Date): Provenance & { id: string } {
  const time = at.toISOString();
  const text = `Withdrawn: ${order.message}`;
  return {
    resourceType: 'Provenance',
    // Of one withdrawal of one forecast there is one Provenance, also when the transaction was answered and the answer lost.
    id: createHash('sha256').update(`hemocast\n${order.resources.riskAssessment}\nwithdrawal`).digest('hex'),
    text: narrative([text, RESEARCH_LABEL]),
    target: targets.map(({ resourceType, id }) => referenceTo(`${resourceType}/${id}`)),
    occurredDateTime: time,
    recorded: time,
    reason: [{ text: order.message }],
    activity: concept({ system: SYSTEMS.dataOperation, code: 'NULLIFY', display: 'nullify' }),
    agent: [
      {
        type: concept({ system: SYSTEMS.provenanceParticipant, code: 'author', display: 'Author' }),
        role: [concept(ARTIFICIAL_INTELLIGENCE)],
        who: referenceTo(order.resources.device),
      },
    ],
    entity: [{ role: 'source', what: referenceTo(`ImagingStudy/${order.study.id}`) }],
  };
}
