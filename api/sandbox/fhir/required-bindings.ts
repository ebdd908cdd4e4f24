/**
 * Required bindings (http://hl7.org/fhir/R4/terminologies.html#required): a coded value must come from the element's value set.
 * `validateResource` of @medplum/core checks structure and invariants but not these.
 */
import type { TypedValueWithPath } from '@medplum/core';
import type {
  CodeableConcept,
  CodeSystem,
  CodeSystemConcept,
  Coding,
  OperationOutcomeIssue,
  ValueSet,
} from '@medplum/fhirtypes';

/** code -> the systems that define it within one value set */
type Expansion = ReadonlyMap<string, ReadonlySet<string>>;

/** BCP 13 media type: type "/" subtype, parameters allowed. Value set `mimetypes` is not enumerable. */
const mediaType = /^[\w.+-]+\/[\w.+-]+(\s*;.*)?$/;

const mediaTypes = 'http://hl7.org/fhir/ValueSet/mimetypes';

export class RequiredBindings {
  readonly #expansions = new Map<string, Expansion>();

  /** Expands every value set that lists its codes; one that needs a filter or an absent code system stays unchecked. */
  constructor(valueSets: ReadonlyMap<string, ValueSet>, codeSystems: ReadonlyMap<string, CodeSystem>) {
    for (const [url, valueSet] of valueSets) {
      const expansion = expand(valueSet, codeSystems);
      if (expansion !== undefined) this.#expansions.set(url, expansion);
    }
  }

  /** Canonical URLs (without version) of the value sets that are checked. */
  get checked(): string[] {
    return [...this.#expansions.keys(), mediaTypes];
  }

  /**
   * Issues for coded values outside their value set.
   * @param tokens values by value set, as `validateResource` collects them
   */
  check(tokens: Readonly<Record<string, readonly TypedValueWithPath[]>>): OperationOutcomeIssue[] {
    return Object.entries(tokens).flatMap(([canonical, values]) => {
      const url = canonical.split('|')[0];
      return values.filter((value) => !this.#allows(url, value)).map((value) => unknownCode(url, value));
    });
  }

  #allows(url: string, { type, value }: TypedValueWithPath): boolean {
    if (url === mediaTypes) return typeof value !== 'string' || mediaType.test(value);
    const expansion = this.#expansions.get(url);
    if (expansion === undefined) return true;
    switch (type) {
      case 'code':
      case 'string':
      case 'uri':
        return typeof value !== 'string' || expansion.has(value);
      case 'Coding':
        return holds(expansion, value as Coding);
      case 'CodeableConcept':
        return ((value as CodeableConcept).coding ?? []).some((coding) => holds(expansion, coding));
      default:
        return true;
    }
  }
}

function holds(expansion: Expansion, { system, code }: Coding): boolean {
  return code !== undefined && system !== undefined && (expansion.get(code)?.has(system) ?? false);
}

function unknownCode(url: string, { path, value }: TypedValueWithPath): OperationOutcomeIssue {
  const shown = typeof value === 'string' ? `"${value}"` : 'The coded value';
  return {
    severity: 'error',
    code: 'code-invalid',
    details: { text: `${shown} is not in the required value set ${url}` },
    expression: [path],
  };
}

function expand(valueSet: ValueSet, codeSystems: ReadonlyMap<string, CodeSystem>): Expansion | undefined {
  const { include = [], exclude = [] } = valueSet.compose ?? {};
  if (include.length === 0 || exclude.length > 0) return undefined;
  const expansion = new Map<string, Set<string>>();
  const add = (code: string | undefined, system: string): void => {
    if (code !== undefined) expansion.set(code, (expansion.get(code) ?? new Set()).add(system));
  };
  for (const { system, concept, filter, valueSet: imported } of include) {
    if (system === undefined || filter !== undefined || imported !== undefined) return undefined;
    const codes = concept?.map(({ code }) => code) ?? allCodes(codeSystems.get(system)?.concept);
    if (codes === undefined) return undefined;
    for (const code of codes) add(code, system);
  }
  return expansion;
}

function allCodes(concepts: readonly CodeSystemConcept[] | undefined): string[] | undefined {
  return concepts
    ?.flatMap(({ code, concept }) => [code, ...(allCodes(concept) ?? [])])
    .filter((code) => code !== undefined);
}
