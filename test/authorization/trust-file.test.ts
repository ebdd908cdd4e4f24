/** A hospital's service as it is run: no API token, a trust file, an EHR with an introspection endpoint, an issuer with a key set. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import express from 'express';
import { serve } from '../support/http-server.ts';
import type { TestServer } from '../support/http-server.ts';
import { ServiceProcess } from '../support/service-process.ts';
import { AUDIENCE, makeIssuer } from './support/issuer.ts';
import type { TestIssuer } from './support/issuer.ts';

const SECRET = 'canary-secret-of-the-introspection';
const USER_TOKEN = 'token-of-a-user-of-the-ehr';

describe('A service with a trust file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hemocast-trust-file-'));
  const introspected: string[] = [];
  let ehrIsUp = true;
  let hospital: TestServer;
  let issuer: TestIssuer;
  let service: ServiceProcess;

  beforeAll(async () => {
    issuer = await makeIssuer('https://issuer.example');
    const app = express();
    app.get('/jwks', (_request, response) => void response.json(issuer.jwks));
    app.post('/introspect', express.urlencoded(), (request, response) => {
      const { token } = request.body as { token: string };
      introspected.push(`${request.get('authorization')} ${token}`);
      if (!ehrIsUp) response.status(503).end();
      else if (token !== USER_TOKEN) response.json({ active: false });
      else response.json({ active: true, client_id: 'app-here', patient: 'his', scope: 'patient/RiskAssessment.rs' });
    });
    hospital = await serve(app);
    const trust = {
      issuers: [{ iss: issuer.iss, jwksUrl: `${hospital.origin}/jwks`, audience: AUDIENCE }],
      smart: [
        {
          iss: `${hospital.origin}/fhir`,
          clientId: 'app-here',
          introspectionUrl: `${hospital.origin}/introspect`,
          introspectionToken: SECRET,
          frameAncestors: ['https://portal.example'],
          connectOrigins: ['https://login.example'],
        },
      ],
    };
    writeFileSync(join(folder, 'trust.json'), JSON.stringify(trust));
    service = await ServiceProcess.start({
      TRUST_FILE: join(folder, 'trust.json'),
      EHR_FHIR_URL: `${hospital.origin}/fhir`,
      PACS_DICOMWEB_URL: `${hospital.origin}/dicomweb`,
    });
  });
  afterAll(async () => {
    await service.stopAndForget();
    await hospital.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const status = async (token?: string, path = '/v1/assessments'): Promise<number> => {
    const answer = await service.fetch(
      path,
      token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } },
    );
    await answer.text();
    return answer.status;
  };

  it('answers nobody without a token, also on its own machine', async () => {
    expect(await status()).toBe(401);
    expect(await status(undefined, '/metrics')).toBe(401);
  });

  it('answers the issuer’s tokens, whose keys it fetches without any credential', async () => {
    expect(await status(await issuer.token())).toBe(200);
    expect(await status(await issuer.token({ claims: { aud: 'elsewhere' } }))).toBe(401);
    expect(await status(await issuer.token(), '/metrics')).toBe(403);
    const keySetCalls = hospital.requests.filter(({ url }) => url === '/jwks');
    expect(keySetCalls.map(({ headers }) => headers.authorization)).toEqual([undefined]);
    expect(introspected).toEqual([]);
  });

  it('asks its EHR about a user’s token, with the credential of that endpoint', async () => {
    expect(await status(USER_TOKEN)).toBe(200);
    expect(await status('token-of-nobody-whom-the-ehr-knows')).toBe(401);
    expect(introspected).toEqual([
      `Bearer ${SECRET} ${USER_TOKEN}`,
      `Bearer ${SECRET} token-of-nobody-whom-the-ehr-knows`,
    ]);
  });

  it('lets nobody in on doubt while the EHR is away, and others as before', async () => {
    ehrIsUp = false;
    const answer = await service.fetch('/v1/assessments', {
      headers: { authorization: 'Bearer another-users-token-x' },
    });
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '5']);
    expect(await answer.json()).toMatchObject({ code: 'introspection-unavailable' });
    expect(await status(await issuer.token())).toBe(200);
    ehrIsUp = true;
    expect(await status('another-users-token-x')).toBe(401);
  });

  it('tells the app its EHR, and the browser who may frame it and whom it may call', async () => {
    const config = await service.fetch('/app/config.json');
    expect(await config.json()).toMatchObject({ issuers: [{ iss: `${hospital.origin}/fhir`, clientId: 'app-here' }] });
    const policy = config.headers.get('content-security-policy');
    expect(policy).toContain('frame-ancestors https://portal.example');
    expect(policy).toContain(`connect-src 'self' ${hospital.origin} https://login.example;`);
  });

  it('writes no token and no secret to its output', () => {
    for (const secret of [SECRET, USER_TOKEN, 'eyJ']) expect(service.output()).not.toContain(secret);
  });
});
