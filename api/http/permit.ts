/**
 * What a caller may do: for every route the scopes that it takes, and the one patient to whom a user is bound. The administrator's
 * own callers (the API token; this machine, where no token is required) may do everything. What is not listed is closed to others.
 */
import type { RequestHandler } from 'express';
import type { Caller } from '../authorization/caller.ts';
import { ForbiddenError } from '../authorization/caller.ts';
import { covers } from '../authorization/scopes.ts';
import type { Level, Permission } from '../authorization/scopes.ts';
import type { Admit, StudyRecord, StudyReference } from '../assessment/ports.ts';
import { InvalidRequestError, NotFoundError, UpstreamError } from '../errors.ts';
import { callerOf } from './authenticate.ts';

type Needed = `${string}.${Permission}`;

export interface Rule {
  readonly method: string;
  /** As in openapi.yaml. */
  readonly path: string;
  /** All of them are needed, of `system/`; null = closed. */
  readonly client: readonly Needed[] | null;
  /** All of them are needed, of `patient/` or `user/`; null = closed. */
  readonly user: readonly Needed[] | null;
}

const rule = (method: string, path: string, client: Rule['client'], user: Rule['user'] = client): Rule => ({
  method,
  path,
  client,
  user,
});

export const RULES: readonly Rule[] = [
  // The service writes to the chart with rights of its own: a user who asks needs to see the study and the answer.
  rule('POST', '/v1/assessments', ['RiskAssessment.c'], ['ImagingStudy.r', 'RiskAssessment.r']),
  rule('GET', '/v1/assessments', ['RiskAssessment.s']),
  rule('GET', '/v1/assessments/{id}', ['RiskAssessment.r']),
  rule('DELETE', '/v1/assessments/{id}', ['RiskAssessment.d']),
  rule('GET', '/v1/assessments/{id}/events', ['RiskAssessment.r']),
  // They show the head as much as the result.
  rule('GET', '/v1/assessments/{id}/maps', ['RiskAssessment.r', 'ImagingStudy.r']),
  rule('GET', '/v1/assessments/{id}/attention', ['RiskAssessment.r', 'ImagingStudy.r']),
  rule('GET', '/v1/assessments/{id}/difference', ['RiskAssessment.r', 'ImagingStudy.r']),
  rule('GET', '/v1/imaging-studies/{id}/geometry', ['ImagingStudy.r']),
  rule('GET', '/v1/imaging-studies/{id}/initial-ct', ['ImagingStudy.r']),
  rule('GET', '/v1/models', []),
  rule('GET', '/v1/models/{name}', []),
  rule('GET', '/v1/refusals', []),
  // An EHR that tells of a changed study.
  rule('POST', '/v1/notifications', ['ImagingStudy.u'], null),
  rule('PUT', '/v1/notifications/{resourceType}/{id}', ['ImagingStudy.u'], null),
  rule('DELETE', '/v1/notifications/{resourceType}/{id}', ['ImagingStudy.u'], null),
  rule('GET', '/v1/operation', []),
  rule('PUT', '/v1/operation', null),
  rule('GET', '/metrics', null),
];

const patterns = RULES.map((each) => ({
  ...each,
  pattern: new RegExp(`^${each.path.replace(/\{\w+\}/g, '[^/]+')}$`),
}));

/** Stands behind `authenticate`, before anything of the request is read. */
export const permit: RequestHandler = (request, response, next) => {
  const caller = callerOf(response);
  if (caller.kind === 'client' || caller.kind === 'user') {
    const path = request.baseUrl + request.path;
    const found = patterns.find(({ method, pattern }) => method === request.method && pattern.test(path));
    assertScopes(caller, found?.[caller.kind] ?? null);
  }
  next();
};

function assertScopes(caller: Caller & { kind: 'client' | 'user' }, needed: readonly Needed[] | null): void {
  const levels: readonly Level[] = caller.kind === 'client' ? ['system'] : ['patient', 'user'];
  const holds = (each: Needed): boolean => {
    const [type, permission] = each.split('.');
    return covers(caller.scopes, levels, type, permission as Permission);
  };
  if (needed === null || !needed.every(holds)) throw new ForbiddenError('The token’s scopes do not open this address.');
}

/** Whether the caller may see what is about this patient ("Patient/<id>"). */
export function maySee(caller: Caller, patientReference: string): boolean {
  return caller.kind !== 'user' || caller.patient === patientReference;
}

type PlanStudy<T> = (reference: StudyReference, signal: AbortSignal, admit?: Admit) => Promise<T>;

/** For a user every study of another patient, whatever is wrong with it, is one that is not there. */
export function boundTo<T extends { readonly study: Pick<StudyRecord, 'patientReference'> }>(
  caller: Caller,
  planStudy: PlanStudy<T>,
): (reference: StudyReference, signal: AbortSignal) => Promise<T> {
  if (caller.kind !== 'user') return planStudy;
  return async (reference, signal) => {
    let isAdmitted = false;
    const admit: Admit = (patientReference) => {
      if (!maySee(caller, patientReference)) throw noSuchStudy();
      isAdmitted = true;
    };
    try {
      const plan = await planStudy(reference, signal, admit);
      admit(plan.study.patientReference);
      return plan;
    } catch (error) {
      const isAboutStudy = error instanceof InvalidRequestError || error instanceof UpstreamError;
      throw !isAdmitted && isAboutStudy ? noSuchStudy() : error;
    }
  };
}

export function noSuchStudy(): NotFoundError {
  return new NotFoundError('study-not-found', 'The EHR has no such ImagingStudy; check the id and the EHR in use.');
}

/** The patient whose records a search is about. Throws ForbiddenError where a user names another than theirs. */
export function searchedPatient(caller: Caller, wanted: string | undefined): string | undefined {
  if (caller.kind !== 'user') return wanted;
  if (wanted !== undefined && wanted !== caller.patient) throw new ForbiddenError('The token is for another patient.');
  return caller.patient;
}
