/** The measurements on the initial CT, as the Observations state them. */
import type { Observation } from '@medplum/fhirtypes';
import { conceptText, hasCode, isResource, numberOf, textOf } from './fhir-text.ts';
import { localReference } from './forecast.ts';

export interface Finding {
  readonly key: string;
  readonly label: string;
  /** With its unit; undefined where it could not be had. */
  readonly value: string | undefined;
  readonly absentReason: string | undefined;
  readonly definition: string | undefined;
}

/** In the order of the screen. */
export const FINDING_LABELS: Readonly<Record<string, string>> = {
  'hyperdense-volume': 'Hyperdense volume',
  'maximum-attenuation': 'Highest attenuation in it',
  'mean-attenuation': 'Mean attenuation in it',
  side: 'Side',
  'metallic-sign': 'Metallic hyperdensity sign',
};

/** Observations of another patient, withdrawn ones and others than ours are left out; those of a superseded forecast stay with it. */
export function toFindings(values: readonly unknown[], patientReference: string): readonly Finding[] {
  const observations = values
    .filter((value) => isResource<Observation>(value, 'Observation'))
    .filter((observation) => localReference(observation.subject?.reference) === patientReference)
    .filter(({ status }) => status !== 'entered-in-error');
  return Object.entries(FINDING_LABELS).flatMap(([key, label]) => {
    const observation = observations.find(({ code }) => hasCode(code, key));
    if (observation === undefined) return [];
    const value = valueText(observation);
    const absentReason = value === undefined ? (conceptText(observation.dataAbsentReason) ?? 'not stated') : undefined;
    return [{ key, label, value, absentReason, definition: conceptText(observation.method) }];
  });
}

function valueText({ valueQuantity, valueCodeableConcept, valueBoolean }: Observation): string | undefined {
  const quantity = numberOf(valueQuantity?.value);
  if (quantity !== undefined) return `${quantity} ${textOf(valueQuantity?.unit) ?? ''}`.trim();
  if (typeof valueBoolean === 'boolean') return valueBoolean ? 'present' : 'not present';
  return conceptText(valueCodeableConcept);
}
