/** Which of the orders in a hook's context a forecast of hemorrhage matters to. */
import type { CodeableConcept, MedicationRequest, Resource, ServiceRequest } from '@medplum/fhirtypes';
import type { HookCall } from './hook-call.ts';
import { isPatient } from './prefetch.ts';
import { findOrderConcept } from './value-sets.ts';
import type { OrderConcept, OrderKind } from './value-sets.ts';

/** What a card speaks of where several orders matter: the one with the most at stake. */
const BY_STAKE: readonly OrderKind[] = ['thrombolysis', 'antithrombotic', 'head-ct'];

/** The order that matters most, or undefined. Orders for another patient are not read: the hook is about one. */
export function findOrder({ orders, draftOrders, patientId }: HookCall): OrderConcept | undefined {
  const found = orders
    .filter((order) => isPatient((order as MedicationRequest).subject?.reference, patientId))
    .flatMap((order) => codingsOf(order, draftOrders))
    .flatMap(({ system, code }) => (isText(system) && isText(code) ? (findOrderConcept({ system, code }) ?? []) : []));
  return BY_STAKE.map((kind) => found.find((concept) => concept.kind === kind)).find(
    (concept) => concept !== undefined,
  );
}

function codingsOf(order: Resource, draftOrders: readonly Resource[]): NonNullable<CodeableConcept['coding']> {
  if (order.resourceType === 'ServiceRequest') return listOf((order as ServiceRequest).code);
  if (order.resourceType !== 'MedicationRequest') return [];
  const { medicationCodeableConcept, medicationReference, contained } = order;
  if (medicationCodeableConcept !== undefined) return listOf(medicationCodeableConcept);
  const reference = medicationReference?.reference ?? '';
  const medication = reference.startsWith('#')
    ? (Array.isArray(contained) ? contained : []).find(({ id }) => `#${id}` === reference)
    : draftOrders.find(({ resourceType, id }) => resourceType === 'Medication' && reference === `Medication/${id}`);
  return medication?.resourceType === 'Medication' ? listOf(medication.code) : [];
}

function listOf(concept: CodeableConcept | undefined): NonNullable<CodeableConcept['coding']> {
  return Array.isArray(concept?.coding)
    ? concept.coding.filter((coding) => typeof coding === 'object' && coding !== null)
    : [];
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
