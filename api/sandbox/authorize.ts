/**
 * Who may use the sandbox: this machine only. A call without a token sees everything, as the EHR's own pages do; a token that is
 * presented is always verified, and opens what it was granted.
 */
import type { ImagingStudy } from '@medplum/fhirtypes';
import type { Request, RequestHandler, Response } from 'express';
import type { AuthorizationServer } from './authorization/authorization-server.ts';
import { covers } from './authorization/scopes.ts';
import { findByIdentifier } from './chart.ts';
import { studyIdentifier } from './dicom-to-fhir.ts';
import type { TokenAccess } from './fhir/access.ts';
import type { SandboxRepository } from './fhir/repository.ts';

/** Host names of this machine. A page of another site that rebinds its own name to 127.0.0.1 still sends that name. */
const loopbackHost = /^(localhost|[a-z0-9-]+\.localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$/i;
const loopbackAddress = /^(::ffff:)?127(\.\d{1,3}){3}$|^::1$/;

/** By these a proxy says that it passes on the call of another. */
const FORWARDED = ['x-forwarded-for', 'forwarded', 'via'];

export const loopbackOnly: RequestHandler = (request, response, next) => {
  if (isLoopback(request)) next();
  else refuse(response, 401);
};

function isLoopback(request: Request): boolean {
  const { remoteAddress = '' } = request.socket;
  const isForwarded = FORWARDED.some((name) => request.get(name) !== undefined);
  return loopbackAddress.test(remoteAddress) && loopbackHost.test(request.get('host') ?? '') && !isForwarded;
}

/** Puts what a presented token opens into `response.locals.access`. */
export function verifyToken(authorization: Pick<AuthorizationServer, 'lookUp'>): RequestHandler {
  return async (request, response, next) => {
    const header = request.get('authorization');
    if (header === undefined) {
      next();
      return;
    }
    const token = /^Bearer +([A-Za-z0-9\-._~+/]{1,4096}=*)$/i.exec(header)?.[1];
    const access = token === undefined ? undefined : await authorization.lookUp(token);
    if (access === undefined) {
      refuse(response, 401);
      return;
    }
    (response.locals as { access?: TokenAccess }).access = access;
    next();
  };
}

/** The archive by a token: studies of the token's patient, or, for a backend service, what its scopes for ImagingStudy say. */
export function guardDicomweb(repository: SandboxRepository): RequestHandler {
  return async (request, response, next) => {
    const { access } = response.locals as { access?: TokenAccess };
    if (access === undefined || (await isOpen(request, access, repository))) next();
    else refuse(response, 403);
  };
}

async function isOpen(request: Request, access: TokenAccess, repository: SandboxRepository): Promise<boolean> {
  const reads = request.method === 'GET' || request.method === 'HEAD';
  if (!covers(access.scopes, 'ImagingStudy', reads ? 'r' : 'c')) return false;
  if (access.patient === undefined) return true;
  const uid = /^\/studies\/([0-9.]{1,64})(\/|$)/.exec(request.path)?.[1];
  if (!reads || uid === undefined) return false;
  const study = await findByIdentifier<ImagingStudy>(repository, 'ImagingStudy', studyIdentifier(uid));
  return study?.subject.reference === access.patient;
}

/** The sandbox's own pages and helpers are no part of what an app is granted. */
export const refuseTokens: RequestHandler = (_request, response, next) => {
  if ((response.locals as { access?: TokenAccess }).access === undefined) next();
  else refuse(response, 403);
};

/** One body for each status: it does not say what was wrong with the token. */
function refuse(response: Response, status: 401 | 403): void {
  const [code, text] = status === 401 ? ['login', 'Unauthorized'] : ['forbidden', 'Forbidden'];
  const issue = [{ severity: 'error', code, details: { text }, diagnostics: text }];
  if (status === 401) response.set('WWW-Authenticate', 'Bearer');
  response
    .status(status)
    .type('application/fhir+json')
    .send(JSON.stringify({ resourceType: 'OperationOutcome', issue }));
}
