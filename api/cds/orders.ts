/** Which of the orders in a hook's context a forecast of hemorrhage matters to. */
import type { CodeableConcept, Coding, MedicationRequest, Resource, ServiceRequest } from '@medplum/fhirtypes';
import type { DraftEntry, HookCall } from './hook-call.ts';
import { isPatient, nameOf } from './reference.ts';
import { findDrugsByName, findOrderConcept, isOtherUse } from './value-sets.ts';
import type { OrderConcept, OrderKind } from './value-sets.ts';

/** What a card speaks of where several orders matter: the one with the most at stake. */
const BY_STAKE: readonly OrderKind[] = ['thrombolysis', 'antithrombotic', 'head-ct'];

/**
 * Orders that nobody is to carry out any more (http://hl7.org/fhir/R4/valueset-medicationrequest-status.html and
 * valueset-request-status.html). One on hold, or of unknown status, may still be.
 */
const ENDED: ReadonlySet<unknown> = new Set(['stopped', 'cancelled', 'revoked', 'completed', 'entered-in-error']);

/** The order that matters most, or undefined. Orders for another patient are not read: the hook is about one. */
export function findOrder({ orders, draftOrders, patientId }: HookCall): OrderConcept | undefined {
  const medications = medicationsOf(draftOrders);
  const found = orders
    .filter(isRequest)
    .filter((order) => isToBeDone(order) && isPatient(order.subject?.reference, patientId))
    .flatMap((order) => conceptsOf(order, medications));
  return BY_STAKE.map((kind) => found.find((concept) => concept.kind === kind)).find(
    (concept) => concept !== undefined,
  );
}

type Request = MedicationRequest | ServiceRequest;

function isRequest(order: Resource): order is Request {
  return order.resourceType === 'MedicationRequest' || order.resourceType === 'ServiceRequest';
}

/** `doNotPerform` asks for the opposite: that the drug is not given, the CT not taken. */
function isToBeDone({ doNotPerform, status }: Request): boolean {
  return doNotPerform !== true && !ENDED.has(status);
}

/** By code; a medication whose codes say nothing, by its name: silence would be worse than a card about the right drug. */
function conceptsOf(order: Request, medications: Medications): readonly OrderConcept[] {
  if (order.resourceType === 'ServiceRequest') return conceptsByCode(codingsOf(order.code));
  const medication = medicationOf(order, medications);
  const codings = codingsOf(medication);
  const names = [medication?.text, ...codings.map(({ display }) => display), order.medicationReference?.display];
  const name = names.filter(isText).join('; ').slice(0, 1000);
  const byCode = conceptsByCode(codings);
  return byCode.length > 0 ? byCode.filter((concept) => !isOtherUse(concept, name)) : findDrugsByName(name);
}

function conceptsByCode(codings: readonly Coding[]): readonly OrderConcept[] {
  return codings.flatMap(({ system, code }) =>
    isText(system) && isText(code) ? (findOrderConcept({ system, code }) ?? []) : [],
  );
}

/** Medications beside the orders, by the fullUrl of the entry and by type and id (http://hl7.org/fhir/R4/bundle.html#references). */
type Medications = ReadonlyMap<unknown, Resource>;

function medicationsOf(draftOrders: readonly DraftEntry[]): Medications {
  const named = draftOrders
    .filter(({ resource }) => resource.resourceType === 'Medication')
    .flatMap(({ resource, fullUrl }) => [fullUrl, `Medication/${resource.id}`].map((name) => [name, resource] as const))
    .filter(([name]) => isText(name));
  // The first of two with one name counts: it is put in last.
  return new Map(named.reverse());
}

/** Contained, or beside the order. */
function medicationOf(order: MedicationRequest, medications: Medications): CodeableConcept | undefined {
  const { medicationCodeableConcept, medicationReference, contained } = order;
  const reference: unknown = medicationReference?.reference;
  if (medicationCodeableConcept !== undefined || !isText(reference)) return medicationCodeableConcept;
  const inside = (Array.isArray(contained) ? contained : []).find((one) => reference === `#${one?.id}`);
  const medication = inside ?? medications.get(reference) ?? medications.get(nameOf(reference));
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
