/** A call of a hook, as a CDS client posts it (CDS Hooks 2.0.1, "Calling a CDS Service"). */
import type { Resource } from '@medplum/fhirtypes';
import { InvalidRequestError } from '../errors.ts';

export type HookName = 'patient-view' | 'order-select' | 'order-sign';

export interface HookCall {
  readonly hook: HookName;
  readonly hookInstance: string;
  readonly patientId: string;
  /** FHIR base without trailing slash. */
  readonly fhirServer?: string;
  /** Lent for `fhirServer` alone; never stored, never logged. */
  readonly accessToken?: string;
  readonly prefetch?: Readonly<Record<string, unknown>>;
  /** Orders the decision is about: the selected ones in order-select, all of them in order-sign, none in patient-view. */
  readonly orders: readonly Resource[];
  /** Every draft order of the call: medications may stand beside the orders that name them. */
  readonly draftOrders: readonly DraftEntry[];
}

/** An entry of the Bundle of draft orders. */
export interface DraftEntry {
  readonly resource: Resource;
  readonly fullUrl?: unknown;
}

const ID = /^[A-Za-z0-9\-.]{1,64}$/;
/** `hookInstance` is a UUID by the text; clients are seen to send other unguessable strings. */
const INSTANCE = /^[\x21-\x7e]{1,128}$/;

const LONGEST_URL = 2_000;

type Fields = Readonly<Record<string, unknown>>;

/** Throws InvalidRequestError `hook-request-invalid` naming the fields, never their values. */
export function readHookCall(body: unknown, hooks: readonly HookName[]): HookCall {
  const problems: string[] = [];
  const check = (holds: boolean, problem: string): void => void (holds || problems.push(problem));
  const call = asFields(body) ?? {};
  const context = asFields(call.context) ?? {};
  const authorization = asFields(call.fhirAuthorization);
  const hook = hooks.find((name) => name === call.hook);

  check(hook !== undefined, `hook: must be ${hooks.join(' or ')} at this address`);
  check(isText(call.hookInstance) && INSTANCE.test(call.hookInstance), 'hookInstance: must be a UUID');
  check(asFields(call.context) !== undefined, 'context: must be an object');
  check(isText(context.patientId) && ID.test(context.patientId), 'context.patientId: must be a FHIR id');
  check(isText(context.userId), 'context.userId: must be a string');
  check(call.fhirServer === undefined || isUrl(call.fhirServer), 'fhirServer: must be an http(s) URL');
  check(call.prefetch === undefined || asFields(call.prefetch) !== undefined, 'prefetch: must be an object');
  if (call.fhirAuthorization !== undefined) {
    check(isUrl(call.fhirServer), 'fhirServer: is required with fhirAuthorization');
    check(isToken(authorization?.access_token), 'fhirAuthorization.access_token: must be a bearer token');
    check(/^bearer$/i.test(String(authorization?.token_type)), 'fhirAuthorization.token_type: must be Bearer');
    const patient = authorization?.patient;
    check(
      patient === undefined || patient === context.patientId,
      'fhirAuthorization.patient: is not context.patientId',
    );
  }
  const isOrderHook = hook === 'order-select' || hook === 'order-sign';
  const { selections } = context;
  if (isOrderHook)
    check(asFields(context.draftOrders)?.resourceType === 'Bundle', 'context.draftOrders: must be a Bundle');
  if (hook === 'order-select') {
    check(Array.isArray(selections) && selections.every(isText), 'context.selections: must be an array of references');
  }
  if (problems.length > 0 || hook === undefined) {
    throw new InvalidRequestError('hook-request-invalid', `The hook cannot be answered: ${problems.join('; ')}.`);
  }

  const draftOrders = isOrderHook ? entriesOf(asFields(context.draftOrders)) : [];
  const selected = hook === 'order-select' ? new Set(selections as string[]) : undefined;
  const orders = draftOrders
    .map(({ resource }) => resource)
    .filter((order) => selected === undefined || isSelected(order, selected));
  return {
    hook,
    hookInstance: call.hookInstance as string,
    patientId: context.patientId as string,
    ...(isText(call.fhirServer) && { fhirServer: call.fhirServer.replace(/\/+$/, '') }),
    ...(isText(authorization?.access_token) && { accessToken: authorization.access_token }),
    ...(call.prefetch !== undefined && { prefetch: call.prefetch as Fields }),
    orders,
    draftOrders,
  };
}

/** `selections` name entries of draftOrders as "MedicationRequest/103"; some clients leave the type out. */
function isSelected({ resourceType, id }: Resource, selected: ReadonlySet<string>): boolean {
  return id !== undefined && (selected.has(`${resourceType}/${id}`) || selected.has(id));
}

function entriesOf(bundle: Fields | undefined): readonly DraftEntry[] {
  if (!Array.isArray(bundle?.entry)) return [];
  return bundle.entry.filter((entry: unknown): entry is DraftEntry =>
    isText(asFields(asFields(entry)?.resource)?.resourceType),
  );
}

function asFields(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

/** RFC 6750 2.1: what may stand in an Authorization header. */
function isToken(value: unknown): boolean {
  return isText(value) && /^[A-Za-z0-9\-._~+/]+=*$/.test(value);
}

function isUrl(value: unknown): boolean {
  return isText(value) && value.length <= LONGEST_URL && /^https?:\/\//.test(value) && URL.canParse(value);
}
