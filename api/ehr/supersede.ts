/** An earlier forecast of a study gives way to the one that was just written (docs/adr/0007-a-superseded-forecast-says-so.md). */
import type { SupersessionOrder } from '../assessment/ports.ts';
import type { FhirConnection } from './fhir-connection.ts';
import { retire } from './retire.ts';
import type { StatedResource } from './retire.ts';

/** The status we wrote, and the one it becomes. Any other status is a person's word and stays. */
const BECOMES: Readonly<Record<StatedResource['resourceType'], readonly [written: string, superseded: string]>> = {
  RiskAssessment: ['preliminary', 'cancelled'],
  Observation: ['preliminary', 'cancelled'],
  Media: ['completed', 'stopped'],
  DocumentReference: ['current', 'superseded'],
};

/** Repeating it changes nothing. Throws as retire.ts does. */
export async function supersede(
  { resources, by }: SupersessionOrder,
  parts: { readonly connection: FhirConnection; readonly now: () => Date },
  signal: AbortSignal,
): Promise<void> {
  const { riskAssessment, observations, media } = resources;
  const retirement = {
    references: [riskAssessment, ...observations, ...media],
    statusFor: ({ resourceType, status }: StatedResource) => {
      const [written, superseded] = BECOMES[resourceType];
      return status === written ? superseded : undefined;
    },
    line: `Superseded by ${by}; no longer current.`,
    at: parts.now(),
  };
  return retire(retirement, parts.connection, signal);
}
