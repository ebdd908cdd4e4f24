/** `_sort`: by any search parameter, several in turn, "-" for descending; resources without a value come last. */
import type { SortRule } from '@medplum/core';
import type { Resource, SearchParameter } from '@medplum/fhirtypes';
import { elementRange } from './search-dates.ts';
import { searchParameter } from './search-match.ts';
import { selectValues, toQuantity, toReference, toStrings, toTokens } from './search-values.ts';

type Key = number | string | undefined;

/** Sorts in place and stably. Throws an OperationOutcomeError (400) for an unknown parameter. */
export function sortResources(resources: Resource[], resourceType: string, rules: readonly SortRule[]): void {
  for (const { code, descending } of [...rules].reverse()) {
    const parameter = searchParameter(resourceType, code);
    const keyed = resources.map((resource) => ({ resource, key: sortKey(resource, parameter) }));
    keyed.sort((a, b) => compareKeys(a.key, b.key, descending === true));
    keyed.forEach(({ resource }, index) => (resources[index] = resource));
  }
}

function compareKeys(a: Key, b: Key, descending: boolean): number {
  if (a === undefined || b === undefined) return Number(a === undefined) - Number(b === undefined);
  if (a === b) return 0;
  return (a < b ? -1 : 1) * (descending ? -1 : 1);
}

function sortKey(resource: Resource, parameter: SearchParameter): Key {
  const [value] = selectValues(resource, parameter);
  if (value === undefined) return undefined;
  switch (parameter.type) {
    case 'date':
      return elementRange(value.value)?.start;
    case 'number':
    case 'quantity':
      return toQuantity(value)?.value;
    case 'token':
      return toTokens(value)[0]?.code;
    case 'reference':
      return toReference(value);
    default:
      return toStrings(value)[0]?.toLowerCase();
  }
}
