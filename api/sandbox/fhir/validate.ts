/** Validation against FHIR R4: structure, cardinality, data types, invariants, and the codes of required bindings. */
import { OperationOutcomeError, validateResource, type TypedValueWithPath } from '@medplum/core';
import type { OperationOutcomeIssue, Resource } from '@medplum/fhirtypes';
import type { RequiredBindings } from './required-bindings.ts';

/** Issues that mean "well-formed, but not acceptable": answered 422 rather than 400. */
const semanticIssues: ReadonlySet<string> = new Set(['invariant', 'code-invalid', 'business-rule']);

/**
 * Throws an OperationOutcomeError listing every issue: HTTP 400 where the structure is wrong, 422 where only invariants or
 * codes are (http://hl7.org/fhir/R4/http.html#create).
 */
export function validate(resource: Resource, bindings: RequiredBindings): void {
  const tokens: Record<string, TypedValueWithPath[]> = {};
  const issues = [...structureIssues(resource, tokens), ...bindings.check(tokens)].filter(isError);
  if (issues.length === 0) return;
  const semantic = issues.every((issue) => semanticIssues.has(issue.code ?? ''));
  throw new OperationOutcomeError({
    resourceType: 'OperationOutcome',
    // The id that medplum's getStatus maps to 422.
    ...(semantic && { id: 'business-rule' }),
    issue: issues,
  });
}

function structureIssues(resource: Resource, tokens: Record<string, TypedValueWithPath[]>): OperationOutcomeIssue[] {
  try {
    return validateResource(resource, { collect: { tokens } });
  } catch (error) {
    if (error instanceof OperationOutcomeError) return error.outcome.issue;
    // The validator assumes objects where a hostile document may have a string or a number.
    return [{ severity: 'error', code: 'structure', details: { text: 'The resource is not well-formed FHIR JSON' } }];
  }
}

function isError(issue: OperationOutcomeIssue): boolean {
  return issue.severity === 'error' || issue.severity === 'fatal';
}
