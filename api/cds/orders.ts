/** Which of the orders in a hook's context a forecast of hemorrhage matters to. */
import type { CodeableConcept, Coding, MedicationRequest, Resource, ServiceRequest } from '@medplum/fhirtypes';
import type { HookCall } from './hook-call.ts';
import { isPatient } from './prefetch.ts';
import { findDrugsByName, findOrderConcept, isOtherUse } from './value-sets.ts';
import type { OrderConcept, OrderKind } from './value-sets.ts';

/** What a card speaks of where several orders matter: the one with the most at stake. */
const BY_STAKE: readonly OrderKind[] = ['thrombolysis', 'antithrombotic', 'head-ct'];

/** The order that matters most, or undefined. Orders for another patient are not read: the hook is about one. */
export function findOrder({ orders, draftOrders, patientId }: HookCall): OrderConcept | undefined {
  const found = orders
    .filter((order) => isPatient((order as MedicationRequest).subject?.reference, patientId))
    .flatMap((order) => conceptsOf(order, draftOrders));
  return BY_STAKE.map((kind) => found.find((concept) => concept.kind === kind)).find(
    (concept) => concept !== undefined,
  );
}

/** By code; a medication whose codes say nothing, by its name: silence would be worse than a card about the right drug. */
function conceptsOf(order: Resource, draftOrders: readonly Resource[]): readonly OrderConcept[] {
  if (order.resourceType === 'ServiceRequest') return conceptsByCode(codingsOf((order as ServiceRequest).code));
  if (order.resourceType !== 'MedicationRequest') return [];
  const medication = medicationOf(order, draftOrders);
  const codings = codingsOf(medication);
  const name = [medication?.text, ...codings.map(({ display }) => display)].filter(isText).join('; ').slice(0, 1000);
  const byCode = conceptsByCode(codings);
  return byCode.length > 0 ? byCode.filter((concept) => !isOtherUse(concept, name)) : findDrugsByName(name);
}

function conceptsByCode(codings: readonly Coding[]): readonly OrderConcept[] {
  return codings.flatMap(({ system, code }) =>
    isText(system) && isText(code) ? (findOrderConcept({ system, code }) ?? []) : [],
  );
}

function medicationOf(order: MedicationRequest, draftOrders: readonly Resource[]): CodeableConcept | undefined {
  const { medicationCodeableConcept, medicationReference, contained } = order;
  if (medicationCodeableConcept !== undefined) return medicationCodeableConcept;
  const reference = medicationReference?.reference ?? '';
  const medication = reference.startsWith('#')
    ? (Array.isArray(contained) ? contained : []).find(({ id }) => `#${id}` === reference)
    : draftOrders.find(({ resourceType, id }) => resourceType === 'Medication' && reference === `Medication/${id}`);
  return medication?.resourceType === 'Medication' ? medication.code : undefined;
}

function codingsOf(concept: CodeableConcept | undefined): readonly Coding[] {
  return Array.isArray(concept?.coding)
    ? concept.coding.filter((coding) => typeof coding === 'object' && coding !== null)
    : [];
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
