/** What is published at /cds-services (CDS Hooks 2.0.1, "Discovery"). */
import type { HookName } from './hook-call.ts';

export interface CdsService {
  readonly hook: HookName;
  readonly id: string;
  readonly title: string;
  readonly description: string;
  readonly prefetch: Readonly<Record<string, string>>;
  readonly usageRequirements: string;
}

/**
 * Prefetch templates within the recommended subset of FHIR search ("Prefetch query restrictions"). No `_count`: a page of the
 * results could leave out that the newest one was entered in error.
 */
const PREFETCH = {
  riskAssessments: 'RiskAssessment?patient={{context.patientId}}',
  imagingStudies: 'ImagingStudy?patient={{context.patientId}}&modality=CT',
  procedures: 'Procedure?patient={{context.patientId}}&status=completed',
} as const;

export type PrefetchKey = keyof typeof PREFETCH;

const USAGE =
  'Meant for adults after thrombectomy for stroke. ' +
  'Needs the prefetch data, or fhirServer with fhirAuthorization for a registered FHIR server.';

/** One id for order-select and order-sign: the later card replaces the earlier one ("Update stale guidance"). */
export const SERVICES: readonly CdsService[] = [
  {
    hook: 'patient-view',
    id: 'hemocast-patient',
    title: 'Forecast of hemorrhage after thrombectomy',
    description:
      'Shows a moderate or high forecast of intracranial hemorrhage within 72 h after thrombectomy for stroke, made from the first CT.',
    prefetch: PREFETCH,
    usageRequirements: USAGE,
  },
  ...(['order-select', 'order-sign'] as const).map((hook) => ({
    hook,
    id: 'hemocast-orders',
    title: 'Forecast of hemorrhage beside antithrombotic, thrombolytic and head CT orders',
    description:
      'Shows the forecast of intracranial hemorrhage within 72 h after thrombectomy for stroke when an order is written that it matters to.',
    prefetch: PREFETCH,
    usageRequirements: USAGE,
  })),
];

/** The hooks that one address answers; empty for an unknown id. */
export function hooksOf(id: string): readonly HookName[] {
  return SERVICES.filter((service) => service.id === id).map(({ hook }) => hook);
}
