/** References as EHRs write them (http://hl7.org/fhir/R4/references.html#literal). Only what they name counts; none is followed. */

const LITERAL = /(?:^|\/)([A-Z][A-Za-z]{1,63})\/([A-Za-z0-9\-.]{1,64})(?:\/_history\/[A-Za-z0-9\-.]{1,64})?$/;

/** "Type/id" of what a reference names, also with a version or below any base; undefined where it names nothing so. */
export function nameOf(reference: unknown): string | undefined {
  const match = typeof reference === 'string' ? LITERAL.exec(reference) : null;
  return match === null ? undefined : `${match[1]}/${match[2]}`;
}

export function isPatient(reference: unknown, patientId: string): boolean {
  return nameOf(reference) === `Patient/${patientId}`;
}
