/** SMART scopes as this EHR reads them (SMART App Launch 2.2, "Scopes for requesting FHIR Resources"; v1 as its predecessor's). */
import { servedTypes } from '../fhir/definitions.ts';

/** create, read, update, delete, search */
export type Permission = 'c' | 'r' | 'u' | 'd' | 's';
export type Level = 'patient' | 'user' | 'system';

interface DataScope {
  readonly level: Level;
  /** Resource type, or "*". */
  readonly type: string;
  readonly permissions: string;
}

const v1Permissions: Readonly<Record<string, string>> = { read: 'rs', write: 'cud', '*': 'cruds' };

/** Scopes that open no resource. */
const launchScopes = ['openid', 'fhirUser', 'launch', 'launch/patient'];

/** undefined for what is no data scope; finer-grained ones (`?category=...`) are none here, and so are never granted. */
export function parseScope(scope: string): DataScope | undefined {
  const match = /^(patient|user|system)\/([A-Za-z]+|\*)\.(read|write|\*|[cruds]+)$/.exec(scope);
  if (match === null) return undefined;
  const [, level, type, written] = match;
  const permissions = v1Permissions[written] ?? written;
  // Letters come in this order, each once; ".sr" is no scope.
  if (!/^c?r?u?d?s?$/.test(permissions)) return undefined;
  return { level: level as Level, type, permissions };
}

/** Whether one of the scopes opens the type for this. */
export function covers(scopes: readonly string[], type: string, permission: Permission): boolean {
  return scopes.some((scope) => {
    const parsed = parseScope(scope);
    return parsed !== undefined && ['*', type].includes(parsed.type) && parsed.permissions.includes(permission);
  });
}

/** Whether everything that `scope` opens is opened by `allowed` at the same level. */
export function isWithin(scope: string, allowed: readonly string[]): boolean {
  const wanted = parseScope(scope);
  if (wanted === undefined) return false;
  const same = allowed.filter((each) => {
    const parsed = parseScope(each);
    return parsed?.level === wanted.level && ['*', wanted.type].includes(parsed.type);
  });
  return [...wanted.permissions].every((permission) => covers(same, wanted.type, permission as Permission));
}

/** Every scope there is: the library grants from a closed list and drops what is not on it. */
export function knownScopes(): string[] {
  const subsets = Array.from({ length: 31 }, (_, index) =>
    [...'cruds'].filter((_letter, bit) => ((index + 1) >> bit) & 1).join(''),
  );
  const data = ['patient', 'user', 'system'].flatMap((level) =>
    ['*', ...servedTypes].flatMap((type) =>
      [...Object.keys(v1Permissions), ...subsets].map((permissions) => `${level}/${type}.${permissions}`),
    ),
  );
  return [...launchScopes, ...data];
}

/** What smart-configuration lists: examples of each form rather than some two thousand combinations. */
export const advertisedScopes: readonly string[] = [
  ...launchScopes,
  'patient/*.rs',
  'patient/*.read',
  'user/*.cruds',
  'user/*.read',
  'system/*.cruds',
];
