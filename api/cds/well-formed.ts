/** Whether a resource from outside has the form of FHIR R4 in what the hooks read of it; one that has not is as if it could not be had. */
import { Ajv } from 'ajv';
import type { Schema } from 'ajv';
import type { Resource } from '@medplum/fhirtypes';

const TEXT = { type: 'string' };
const object = (properties: Readonly<Record<string, Schema>>): Schema => ({ type: 'object', properties });
const listOf = (items: Schema): Schema => ({ type: 'array', items });

const CODING = object({ system: TEXT, code: TEXT });
const CONCEPT = object({ coding: listOf(CODING), text: TEXT });
const REFERENCE = object({ reference: TEXT });
const PERIOD = object({ start: TEXT, end: TEXT });
const COMMON = { id: TEXT, status: TEXT, code: CONCEPT, subject: REFERENCE, note: listOf(object({ text: TEXT })) };

/** http://hl7.org/fhir/R4/, by resource type. */
const FORMS: Readonly<Record<string, Schema>> = {
  RiskAssessment: object({
    ...COMMON,
    identifier: listOf(object({ system: TEXT })),
    basis: listOf(REFERENCE),
    occurrenceDateTime: TEXT,
    prediction: listOf(
      object({ probabilityDecimal: { type: 'number' }, qualitativeRisk: CONCEPT, whenPeriod: PERIOD }),
    ),
  }),
  Observation: object({
    ...COMMON,
    issued: TEXT,
    component: listOf(object({ code: CONCEPT, valuePeriod: PERIOD })),
  }),
  ImagingStudy: object({
    ...COMMON,
    started: TEXT,
    modality: listOf(CODING),
    procedureCode: listOf(CONCEPT),
    series: listOf(object({ modality: CODING, bodySite: CODING, description: TEXT })),
  }),
  Procedure: object({ ...COMMON, performedDateTime: TEXT, performedPeriod: PERIOD }),
};

const ajv = new Ajv();
const validators = new Map(Object.entries(FORMS).map(([type, form]) => [type, ajv.compile(form)]));

export function isWellFormed(resource: Resource): boolean {
  return validators.get(resource.resourceType)?.(resource) ?? true;
}
