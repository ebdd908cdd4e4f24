/**
 * Takes a written result back: forecast, measurements and pictures become entered-in-error, whatever a person has made of them
 * since, and a Provenance says why. What was deleted stays deleted.
 */
import { createHash } from 'node:crypto';
import type { Provenance } from '@medplum/fhirtypes';
import type { WithdrawalOrder } from '../assessment/ports.ts';
import { ARTIFICIAL_INTELLIGENCE, SYSTEMS, concept } from './codes.ts';
import type { FhirConnection } from './fhir-connection.ts';
import { referenceTo } from './ids.ts';
import { retire } from './retire.ts';
import type { StatedResource } from './retire.ts';
import { narrative } from './text.ts';

/** Repeating it changes nothing. Throws as retire.ts does. */
export async function withdraw(
  order: WithdrawalOrder,
  parts: { readonly connection: FhirConnection; readonly now: () => Date },
  signal: AbortSignal,
): Promise<void> {
  const { riskAssessment, observations, media } = order.resources;
  const at = parts.now();
  const retirement = {
    references: [riskAssessment, ...observations, ...media],
    statusFor: ({ status }: StatedResource) => (status === 'entered-in-error' ? undefined : 'entered-in-error'),
    line: withdrawalLine(order),
    at,
    provenance: (targets: readonly StatedResource[]) => toProvenance(order, targets, at),
  };
  return retire(retirement, parts.connection, signal);
}

function withdrawalLine({ message }: WithdrawalOrder): string {
  return `Withdrawn: ${message}`;
}

function toProvenance(
  order: WithdrawalOrder,
  targets: readonly StatedResource[],
  at: Date,
): Provenance & { id: string } {
  const time = at.toISOString();
  return {
    resourceType: 'Provenance',
    // Of one withdrawal of one forecast there is one Provenance, also when the transaction was answered and the answer lost.
    id: createHash('sha256').update(`hemocast\n${order.resources.riskAssessment}\nwithdrawal`).digest('hex'),
    text: narrative([withdrawalLine(order), order.model.disclaimer]),
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
