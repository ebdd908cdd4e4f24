/** SMART scopes for FHIR resources: v2 ("system/RiskAssessment.cruds") and v1 ("patient/RiskAssessment.read"). */

export type Level = 'patient' | 'user' | 'system';
/** create, read, update, delete, search */
export type Permission = 'c' | 'r' | 'u' | 'd' | 's';

/** SMART App Launch 2.2, "Scopes for requesting FHIR Resources": what the words of version 1 mean in version 2. */
const V1_PERMISSIONS: Readonly<Record<string, string>> = { read: 'rs', write: 'cud', '*': 'cruds' };

const SCOPE = /^(patient|user|system)\/(\*|[A-Z][A-Za-z]{1,63})\.(read|write|\*|c?r?u?d?s?)$/;

/**
 * Whether one of the scopes grants a permission for a resource type at one of the levels. A scope that is narrowed by a search
 * (`?category=...`) grants nothing here: the service cannot tell whether a result lies within it.
 */
export function covers(
  scopes: readonly string[],
  levels: readonly Level[],
  resourceType: string,
  permission: Permission,
): boolean {
  return scopes.some((scope) => {
    const [, level, type, written] = SCOPE.exec(scope) ?? [];
    if (level === undefined || !levels.includes(level as Level)) return false;
    if (type !== '*' && type !== resourceType) return false;
    return (V1_PERMISSIONS[written] ?? written).includes(permission);
  });
}

/** RFC 6749 3.3: words separated by single spaces. Anything that is no string holds no scope. */
export function splitScopes(scope: unknown): readonly string[] {
  return typeof scope === 'string' && scope.length <= 8_192 ? scope.split(' ').filter((each) => each !== '') : [];
}
