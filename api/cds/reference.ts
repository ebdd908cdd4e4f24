/** References as EHRs write them (http://hl7.org/fhir/R4/references.html#literal). Only what they name counts; none is followed. */

const LITERAL = /(?:^|\/)([A-Z][A-Za-z]{1,63})\/([A-Za-z0-9\-.]{1,64})(?:\/_history\/[A-Za-z0-9\-.]{1,64})?$/;

/** Whether a reference names this resource: "Type/id", also with a version or below any base. */
export function isReferenceTo(reference: unknown, resourceType: string, id: string | undefined): boolean {
  const match = typeof reference === 'string' ? LITERAL.exec(reference) : null;
  return match?.[1] === resourceType && match[2] === id;
}

export function isPatient(reference: unknown, patientId: string): boolean {
  return isReferenceTo(reference, 'Patient', patientId);
}
