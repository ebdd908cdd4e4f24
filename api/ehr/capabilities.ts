/** What the EHR says it can do (http://hl7.org/fhir/R4/capabilitystatement.html), as far as writing back depends on it. */
import type { CapabilityStatement } from '@medplum/fhirtypes';

export class Capabilities {
  readonly fhirVersion: string;
  readonly #rest: NonNullable<CapabilityStatement['rest']>[number] | undefined;

  constructor(statement: CapabilityStatement) {
    this.fhirVersion = statement.fhirVersion ?? '';
    this.#rest = statement.rest?.find(({ mode }) => mode === 'server') ?? statement.rest?.[0];
  }

  /** R4 or its technical correction R4B: both have Media. */
  get isR4(): boolean {
    return /^4\.[03]\./.test(this.fhirVersion);
  }

  /** Whether new resources of the type are accepted. A type that is listed without interactions is taken at its word. */
  accepts(resourceType: string): boolean {
    const resource = this.#resource(resourceType);
    if (resource === undefined) return false;
    const codes = (resource.interaction ?? []).map(({ code }) => code);
    return (
      codes.length === 0 || codes.includes('create') || (codes.includes('update') && resource.updateCreate === true)
    );
  }

  /** Whether PUT to an id that does not exist creates it, for every one of the types. */
  createsByUpdate(resourceTypes: readonly string[]): boolean {
    return resourceTypes.every((type) => this.#resource(type)?.updateCreate === true);
  }

  /** Whether transactions are accepted. A server that lists no system interactions is taken at its word when it refuses. */
  get acceptsTransactions(): boolean {
    const codes = (this.#rest?.interaction ?? []).map(({ code }) => code);
    return codes.length === 0 || codes.includes('transaction');
  }

  #resource(resourceType: string) {
    return this.#rest?.resource?.find(({ type }) => type === resourceType);
  }
}
