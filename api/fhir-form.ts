/** Whether a resource from outside has the form of FHIR R4 in what this service reads of it: texts, numbers and lists where they belong. */
import { Ajv } from 'ajv';
import type { Schema } from 'ajv';
import type { Resource } from '@medplum/fhirtypes';

const TEXT = { type: 'string' };
const NUMBER = { type: 'number' };
const object = (properties: Readonly<Record<string, Schema>>): Schema => ({ type: 'object', properties });
const listOf = (items: Schema): Schema => ({ type: 'array', items });

const CODING = object({ system: TEXT, code: TEXT });
const CONCEPT = object({ coding: listOf(CODING), text: TEXT });
const REFERENCE = object({ reference: TEXT });
const PERIOD = object({ start: TEXT, end: TEXT });
const IDENTIFIERS = listOf(object({ system: TEXT, value: TEXT }));
const COMMON = { status: TEXT, code: CONCEPT, subject: REFERENCE, note: listOf(object({ text: TEXT })) };

/** http://hl7.org/fhir/R4/, by resource type. */
const FORMS: Readonly<Record<string, Schema>> = {
  RiskAssessment: object({
    ...COMMON,
    identifier: IDENTIFIERS,
    basis: listOf(REFERENCE),
    occurrenceDateTime: TEXT,
    prediction: listOf(object({ probabilityDecimal: NUMBER, qualitativeRisk: CONCEPT, whenPeriod: PERIOD })),
  }),
  Observation: object({
    ...COMMON,
    issued: TEXT,
    component: listOf(object({ code: CONCEPT, valuePeriod: PERIOD })),
  }),
  ImagingStudy: object({
    ...COMMON,
    identifier: IDENTIFIERS,
    encounter: REFERENCE,
    started: TEXT,
    numberOfInstances: NUMBER,
    modality: listOf(CODING),
    procedureCode: listOf(CONCEPT),
    endpoint: listOf(REFERENCE),
    contained: listOf(object({})),
    series: listOf(object({ modality: CODING, bodySite: CODING, description: TEXT, endpoint: listOf(REFERENCE) })),
  }),
  Procedure: object({
    status: TEXT,
    code: CONCEPT,
    subject: REFERENCE,
    performedDateTime: TEXT,
    performedPeriod: PERIOD,
  }),
  Patient: object({
    identifier: IDENTIFIERS,
    birthDate: TEXT,
    gender: TEXT,
    link: listOf(object({ type: TEXT, other: REFERENCE })),
  }),
  Endpoint: object({ status: TEXT, connectionType: CODING, address: TEXT }),
};

const ajv = new Ajv();
const validators = new Map(Object.entries(FORMS).map(([type, form]) => [type, ajv.compile(form)]));

/** What is wrong with it, such as "/series must be array"; undefined where nothing is. */
export function findFormFault(resource: Resource): string | undefined {
  const validate = validators.get(resource.resourceType);
  if (validate === undefined || validate(resource)) return undefined;
  const [{ instancePath, message }] = validate.errors!;
  return `${instancePath} ${message}`;
}

export function isWellFormed(resource: Resource): boolean {
  return findFormFault(resource) === undefined;
}
