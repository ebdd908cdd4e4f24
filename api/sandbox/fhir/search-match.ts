/** Whether a resource matches a search, parameter type by parameter type (http://hl7.org/fhir/R4/search.html). */
import {
  getSearchParameters,
  splitSearchOnComma,
  type Filter,
  type SearchRequest,
  type TypedValue,
} from '@medplum/core';
import type { Resource, SearchParameter } from '@medplum/fhirtypes';
import { invalid, notSupported } from './outcome.ts';
import { compareRanges, elementRange, toTimeRange } from './search-dates.ts';
import { selectValues, toQuantity, toReference, toStrings, toTokens, type Token } from './search-values.ts';

type Test = (value: TypedValue) => boolean;

/** Modifiers and prefixes that each parameter type understands here; any other is an error, never ignored. */
const operators: Readonly<Record<string, readonly string[]>> = {
  token: ['eq', 'not', 'text', 'missing'],
  reference: ['eq', 'missing'],
  string: ['eq', 'exact', 'contains', 'missing'],
  uri: ['eq', 'missing'],
  date: ['eq', 'ne', 'gt', 'ge', 'lt', 'le', 'sa', 'eb', 'ap', 'missing'],
  number: ['eq', 'ne', 'gt', 'ge', 'lt', 'le', 'missing'],
  quantity: ['eq', 'ne', 'gt', 'ge', 'lt', 'le', 'missing'],
};

/**
 * Compiles a search into a predicate. Throws an OperationOutcomeError (400) for a parameter or modifier that this server does
 * not know: ignoring one would answer with resources that were not asked for.
 */
export function compileSearch(request: SearchRequest): (resource: Resource) => boolean {
  const tests = (request.filters ?? []).map((filter) => compileFilter(request.resourceType, filter));
  return (resource) => tests.every((test) => test(resource));
}

/** The definition of a search parameter, or an OperationOutcomeError (400) naming it. */
export function searchParameter(resourceType: string, code: string): SearchParameter {
  const parameters = getSearchParameters(resourceType) ?? {};
  const parameter = Object.hasOwn(parameters, code) ? parameters[code] : undefined;
  if (parameter === undefined) {
    throw notSupported(`Search parameter "${code}" is not supported for ${resourceType}; see the CapabilityStatement.`);
  }
  return parameter;
}

function compileFilter(resourceType: string, filter: Filter): (resource: Resource) => boolean {
  const parameter = searchParameter(resourceType, filter.code);
  const { operator, value } = filter;
  if (!operators[parameter.type]?.includes(operator)) {
    throw notSupported(`Modifier or prefix "${operator}" is not supported for ${resourceType}?${filter.code}.`);
  }
  if (operator === 'missing') {
    if (value !== 'true' && value !== 'false') throw invalid(`${filter.code}:missing must be true or false.`);
    return (resource) => (selectValues(resource, parameter).length === 0) === (value === 'true');
  }
  // Values separated by commas are alternatives; the empty one matches nothing.
  const tests = splitSearchOnComma(value).map((each) => compileValue(parameter, operator, each));
  const some = (resource: Resource): boolean => {
    const values = selectValues(resource, parameter);
    return tests.some((test) => values.some(test));
  };
  return operator === 'not' ? (resource) => !some(resource) : some;
}

function compileValue(parameter: SearchParameter, operator: string, wanted: string): Test {
  switch (parameter.type) {
    case 'token':
      return tokenTest(operator, wanted);
    case 'reference':
      return referenceTest(parameter, wanted);
    case 'string':
      return stringTest(operator, wanted);
    case 'date':
      return dateTest(parameter, operator, wanted);
    case 'number':
    case 'quantity':
      return quantityTest(parameter, operator, wanted);
    default:
      return ({ value }) => value === wanted;
  }
}

/** [code], [system]|[code], |[code] (no system), [system]| (any code); with :text, words in display or text. */
function tokenTest(operator: string, wanted: string): Test {
  if (operator === 'text') {
    const prefix = fold(wanted);
    return (value) => toTokens(value).some(({ texts }) => texts.some((text) => fold(text).startsWith(prefix)));
  }
  const bar = wanted.indexOf('|');
  const system = bar < 0 ? undefined : wanted.slice(0, bar);
  const code = wanted.slice(bar + 1);
  const matches = (token: Token): boolean =>
    (code === '' ? system !== '' && system !== undefined : token.code === code) &&
    (system === undefined || token.implicitSystem === true || (token.system ?? '') === system);
  return (value) => toTokens(value).some(matches);
}

/** "Patient/x", or "x" alone, which then matches any type that the parameter may refer to. */
function referenceTest(parameter: SearchParameter, wanted: string): Test {
  if (wanted.includes('/')) return (value) => toReference(value) === wanted;
  const targets = new Set((parameter.target ?? []).map((type) => `${type}/${wanted}`));
  return (value) => targets.has(toReference(value) ?? '');
}

function stringTest(operator: string, wanted: string): Test {
  if (operator === 'exact') return (value) => toStrings(value).includes(wanted);
  const part = fold(wanted);
  const test = (text: string): boolean =>
    operator === 'contains' ? fold(text).includes(part) : fold(text).startsWith(part);
  return (value) => part !== '' && toStrings(value).some(test);
}

function dateTest({ code }: SearchParameter, operator: string, wanted: string): Test {
  const range = toTimeRange(wanted);
  if (range === undefined) throw invalid(`"${wanted}" is not a date for search parameter "${code}".`);
  return ({ value }) => {
    const element = elementRange(value);
    return element !== undefined && compareRanges(element, operator, range);
  };
}

/** [number] or [number]|[system]|[code]. Equality is within the precision written: 71.4 means 71.35 <= x < 71.45. */
function quantityTest({ code }: SearchParameter, operator: string, wanted: string): Test {
  const [text, system, unit] = wanted.split('|');
  const number = Number(text);
  if (text === '' || !Number.isFinite(number))
    throw invalid(`"${text}" is not a number for search parameter "${code}".`);
  const decimals = /\.(\d+)/.exec(text)?.[1].length ?? 0;
  const half = 0.5 * 10 ** -decimals;
  return (typed) => {
    const quantity = toQuantity(typed);
    const value = quantity?.value;
    if (value === undefined) return false;
    if (system && quantity?.system !== system) return false;
    if (unit && quantity?.code !== unit && quantity?.unit !== unit) return false;
    const equal = number - half <= value && value < number + half;
    switch (operator) {
      case 'eq':
        return equal;
      case 'ne':
        return !equal;
      case 'gt':
        return value > number;
      case 'ge':
        return value >= number;
      case 'lt':
        return value < number;
      default:
        return value <= number;
    }
  };
}

/** Case and diacritics do not count in string searches. */
function fold(text: string): string {
  return text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();
}
