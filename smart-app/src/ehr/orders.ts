/** The order catalog of the sandbox EHR, coded as US hospitals code it. */
import type { Order } from './cds.ts';

interface CatalogEntry {
  readonly name: string;
  readonly kind: 'MedicationRequest' | 'ServiceRequest';
  readonly system: string;
  readonly code: string;
}

const RXNORM = 'http://www.nlm.nih.gov/research/umls/rxnorm';

export const CATALOG: readonly CatalogEntry[] = [
  { name: 'Enoxaparin 40 mg subcutaneous', kind: 'MedicationRequest', system: RXNORM, code: '854235' },
  { name: 'Aspirin 81 mg oral', kind: 'MedicationRequest', system: RXNORM, code: '243670' },
  { name: 'Alteplase intravenous', kind: 'MedicationRequest', system: RXNORM, code: '8410' },
  { name: 'CT of the head without contrast', kind: 'ServiceRequest', system: 'http://loinc.org', code: '30799-1' },
  { name: 'Acetaminophen 500 mg oral', kind: 'MedicationRequest', system: RXNORM, code: '198440' },
];

export function toOrder({ name, kind, system, code }: CatalogEntry, patientId: string): Order {
  const concept = { coding: [{ system, code, display: name }], text: name };
  const shared = {
    id: 'draft-1',
    status: 'draft',
    intent: 'order',
    subject: { reference: `Patient/${patientId}` },
  } as const;
  return kind === 'MedicationRequest'
    ? { resourceType: kind, ...shared, medicationCodeableConcept: concept }
    : { resourceType: kind, ...shared, code: concept };
}
