/**
 * What a search parameter sees in a resource: the elements its FHIRPath expression selects, in comparable form
 * (http://hl7.org/fhir/R4/search.html#ptypes).
 */
import { getExpressionForResourceType, parseFhirPath, toTypedValue, type TypedValue } from '@medplum/core';
import type {
  Address,
  CodeableConcept,
  Coding,
  ContactPoint,
  HumanName,
  Identifier,
  Quantity,
  Reference,
  Resource,
  SearchParameter,
} from '@medplum/fhirtypes';

type Expression = ReturnType<typeof parseFhirPath>;

const expressions = new Map<string, Expression>();

/** The index: what a parameter selected in a resource, for as long as that version is kept. Versions are never changed in place. */
const selected = new WeakMap<Resource, Map<string, readonly TypedValue[]>>();

/** The typed elements that the parameter selects. */
export function selectValues(resource: Resource, parameter: SearchParameter): readonly TypedValue[] {
  let byCode = selected.get(resource);
  if (byCode === undefined) selected.set(resource, (byCode = new Map()));
  let values = byCode.get(parameter.code);
  if (values === undefined) byCode.set(parameter.code, (values = evaluate(resource, parameter)));
  return values;
}

function evaluate(resource: Resource, parameter: SearchParameter): readonly TypedValue[] {
  const key = `${resource.resourceType}?${parameter.code}`;
  let expression = expressions.get(key);
  if (expression === undefined) {
    const whole = parameter.expression ?? '';
    expression = parseFhirPath(getExpressionForResourceType(resource.resourceType, whole) ?? whole);
    expressions.set(key, expression);
  }
  return expression.eval({ variables: {} }, [toTypedValue(resource)]);
}

export interface Token {
  readonly system?: string;
  readonly code?: string;
  /** Human-readable text, for the :text modifier. */
  readonly texts: readonly string[];
  /** The system is fixed by the element (type code, boolean) and not stated in the resource. */
  readonly implicitSystem?: boolean;
}

export function toTokens({ type, value }: TypedValue): Token[] {
  switch (type) {
    case 'Identifier': {
      const { system, value: code, type: kind } = value as Identifier;
      return [{ system, code, texts: kind?.text === undefined ? [] : [kind.text] }];
    }
    case 'CodeableConcept': {
      const { coding = [], text } = value as CodeableConcept;
      const texts = text === undefined ? [] : [text];
      if (coding.length === 0) return [{ texts }];
      return coding.map((each) => ({ ...toToken(each), texts: [...texts, ...toToken(each).texts] }));
    }
    case 'Coding':
      return [toToken(value as Coding)];
    case 'ContactPoint': {
      const { system, value: code } = value as ContactPoint;
      return [{ system, code, texts: [] }];
    }
    default:
      return [{ code: String(value), texts: [], implicitSystem: true }];
  }
}

function toToken({ system, code, display }: Coding): Token {
  return { system, code, texts: display === undefined ? [] : [display] };
}

/** Words a string parameter searches in: every part of a name or address, or the string itself. */
export function toStrings({ type, value }: TypedValue): string[] {
  if (type === 'HumanName') {
    const { family, given = [], prefix = [], suffix = [], text } = value as HumanName;
    return [family, ...given, ...prefix, ...suffix, text].filter((part) => part !== undefined);
  }
  if (type === 'Address') {
    const { line = [], city, district, state, postalCode, country, text } = value as Address;
    return [...line, city, district, state, postalCode, country, text].filter((part) => part !== undefined);
  }
  return typeof value === 'string' ? [value] : [];
}

/** Literal reference ("Patient/x"), or undefined for a logical or contained one. */
export function toReference({ value }: TypedValue): string | undefined {
  return typeof value === 'string' ? value : (value as Reference | undefined)?.reference;
}

export function toQuantity({ value }: TypedValue): Quantity | undefined {
  return typeof value === 'number' ? { value } : (value as Quantity | undefined);
}
