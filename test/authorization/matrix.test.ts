/** Every fault of a token against every route and verb of openapi.yaml; and for every kind of caller exactly what is open to it. */
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { exportJWK, exportSPKI, generateKeyPair, importJWK } from 'jose';
import type { CryptoKey } from 'jose';
import { parse } from 'yaml';
import { BearerJwtVerifier } from '../../api/authorization/bearer-jwt.ts';
import { Introspector } from '../../api/authorization/introspection.ts';
import { OPENAPI_FILE } from '../../api/http/app.ts';
import { RULES } from '../../api/http/permit.ts';
import { startTestApp } from '../support/app.ts';
import type { TestApp } from '../support/app.ts';
import { serve } from '../support/http-server.ts';
import type { TestServer } from '../support/http-server.ts';
import { AUDIENCE, compact, makeIssuer } from './support/issuer.ts';
import type { Changes, TestIssuer } from './support/issuer.ts';

const API_TOKEN = 'canary-token-canary-token-canary-token';
const NOTIFICATION_TOKEN = 'canary-of-subscriptions-canary-of-subscriptions';
const TENANT = 'ward-7';
const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const;

interface Described {
  readonly paths: Record<string, Record<string, { readonly security?: readonly unknown[] }>>;
}

const ALL_ROUTES = Object.entries((parse(readFileSync(OPENAPI_FILE, 'utf8')) as Described).paths).flatMap(
  ([path, item]) =>
    METHODS.filter((method) => method in item).map((method) => ({
      route: `${method.toUpperCase()} ${path}`,
      isOpen: item[method].security?.length === 0,
      method: method.toUpperCase(),
      path: path
        .replace('{resourceType}', 'ImagingStudy')
        .replace('{name}', 'hemocast-test')
        .replace('{id}', '0b0f1b1e-6a5a-4d7e-9d2e-3f1c2b4a5d6e'),
    })),
);
const ROUTES = ALL_ROUTES.filter(({ isOpen }) => !isOpen);

/** What the EHR says of its users' tokens. */
const INTROSPECTED: Readonly<Record<string, object>> = {
  'token-of-a-user-of-the-ehr': {},
  'token-of-a-user-inactive': { active: false },
  'token-of-another-app': { client_id: 'another-app' },
  'token-without-a-patient': { patient: undefined },
  'token-of-a-user-expired': { exp: 1_700_000_000 },
  'token-with-a-strange-patient': { patient: '../Patient/1' },
};

describe('The doors of the service', () => {
  let service: TestApp;
  let server: TestServer;
  let issuer: TestIssuer;
  let faults: Record<string, string | undefined>;
  const fetched: string[] = [];
  const scopesOfUser = { current: 'patient/*.cruds' };

  beforeAll(async () => {
    issuer = await makeIssuer('https://issuer.example', { tenant: TENANT });
    const introspect = async (_url: string, init?: RequestInit): Promise<Response> => {
      const token = new URLSearchParams(String(init?.body)).get('token') ?? '';
      const good = { active: true, client_id: 'app', patient: 'his', scope: scopesOfUser.current };
      const known = INTROSPECTED[token] ?? (token.startsWith('user-with-scope-') ? {} : undefined);
      return Response.json(known === undefined ? { active: false } : { ...good, ...known });
    };
    service = await startTestApp({ start: false });
    const app = service.variant({
      authentication: {
        apiToken: API_TOKEN,
        notificationToken: NOTIFICATION_TOKEN,
        jwts: new BearerJwtVerifier(
          [{ iss: issuer.iss, jwks: issuer.jwks, audience: AUDIENCE, tenantClaim: 'tenant', tenant: TENANT }],
          async (url) => {
            fetched.push(url);
            throw new Error('nothing is fetched');
          },
        ),
        users: new Introspector({ url: 'https://ehr.example/introspect', clientId: 'app', fetch: introspect }),
      },
    });
    server = await serve(app);
    faults = await makeFaults(issuer);
  });
  afterAll(async () => {
    await server.close();
    await service.close();
  });

  const call = async ({ method, path }: (typeof ROUTES)[number], authorization?: string): Promise<Response> =>
    fetch(`${server.origin}${path}`, {
      method,
      headers: authorization === undefined ? {} : { authorization },
    });

  /** The routes that do not answer 401 or 403; what they then say of an empty request is not looked at. */
  const opened = async (authorization: string): Promise<string[]> => {
    const open: string[] = [];
    for (const route of ROUTES) {
      const answer = await call(route, authorization);
      await answer.text();
      expect(answer.status).not.toBe(401);
      if (answer.status !== 403) open.push(route.route);
    }
    return open.sort();
  };

  it('are all in the table of what is open to whom, but for three that everyone may read', () => {
    expect(ALL_ROUTES.filter(({ isOpen }) => isOpen).map(({ route }) => route)).toEqual([
      'GET /health/live',
      'GET /health/ready',
      'GET /openapi.yaml',
    ]);
    expect(RULES.map(({ method, path }) => `${method} ${path}`).sort()).toEqual(
      ROUTES.map(({ route }) => route).sort(),
    );
  });

  it('turn every fault away with the same words, whatever the route', async () => {
    const bodies = await Promise.all(ROUTES.map(async (route) => (await call(route, 'Bearer nobody')).text()));
    expect(new Set(bodies).size).toBe(1);
  });

  it.each(ROUTES)('$route answers every fault with 401 and one body', async (route) => {
    expect(Object.keys(faults).length).toBeGreaterThanOrEqual(30);
    const answers = new Map<string, string[]>();
    for (const [fault, authorization] of Object.entries(faults)) {
      const answer = await call(route, authorization);
      const said = `${answer.status} ${answer.headers.get('www-authenticate')} ${await answer.text()}`;
      answers.set(said, [...(answers.get(said) ?? []), fault]);
    }
    expect([...answers.keys()]).toEqual([expect.stringMatching(/^401 Bearer \{.*"code":"unauthorized"/)]);
  });

  it('fetch nothing that a token names', () => {
    expect(fetched).toEqual([]);
  });

  it('open to a good token of the issuer, so that the faults above are the reason', async () => {
    const answer = await fetch(`${server.origin}/v1/models`, {
      headers: { authorization: `Bearer ${await issuer.token()}` },
    });
    expect(answer.status).toBe(200);
  });

  it('open wholly to the API token', async () => {
    expect(await opened(`Bearer ${API_TOKEN}`)).toEqual(ROUTES.map(({ route }) => route).sort());
  });

  const REFERENCE = ['GET /v1/models', 'GET /v1/models/{name}', 'GET /v1/operation', 'GET /v1/refusals'];
  const IMAGES = ['GET /v1/imaging-studies/{id}/geometry', 'GET /v1/imaging-studies/{id}/initial-ct'];
  const READ = ['GET /v1/assessments/{id}', 'GET /v1/assessments/{id}/events'];
  const MAPS = ['attention', 'difference', 'maps'].map((map) => `GET /v1/assessments/{id}/${map}`);
  const NOTIFY = [
    'POST /v1/notifications',
    'PUT /v1/notifications/{resourceType}/{id}',
    'DELETE /v1/notifications/{resourceType}/{id}',
  ];
  const ALL_OF_A_CLIENT = [
    ...IMAGES,
    ...READ,
    ...MAPS,
    ...NOTIFY,
    'GET /v1/assessments',
    'POST /v1/assessments',
    'DELETE /v1/assessments/{id}',
  ];

  it('open to the token of a Subscription, which many can read in the EHR, for notifications and what every caller may read', async () => {
    expect(await opened(`Bearer ${NOTIFICATION_TOKEN}`)).toEqual([...REFERENCE, ...NOTIFY].sort());
  });

  it.each([
    ['no scope', undefined, []],
    ['system/RiskAssessment.c', 'system/RiskAssessment.c', ['POST /v1/assessments']],
    ['system/RiskAssessment.r', 'system/RiskAssessment.r', READ],
    ['system/RiskAssessment.u', 'system/RiskAssessment.u', []],
    ['system/RiskAssessment.d', 'system/RiskAssessment.d', ['DELETE /v1/assessments/{id}']],
    ['system/RiskAssessment.s', 'system/RiskAssessment.s', ['GET /v1/assessments']],
    ['system/ImagingStudy.r', 'system/ImagingStudy.r', IMAGES],
    ['system/ImagingStudy.u', 'system/ImagingStudy.u', NOTIFY],
    [
      'system/RiskAssessment.r and system/ImagingStudy.r',
      'system/RiskAssessment.r system/ImagingStudy.r',
      [...READ, ...IMAGES, ...MAPS],
    ],
    ['system/RiskAssessment.read of version 1', 'system/RiskAssessment.read', [...READ, 'GET /v1/assessments']],
    ['system/*.cruds', 'openid system/*.cruds', ALL_OF_A_CLIENT],
    ['scopes of a user', 'patient/*.cruds user/*.cruds', []],
    ['a scope narrowed by a query', 'system/RiskAssessment.rs?status=final', []],
    ['letters out of order', 'system/RiskAssessment.srudc', []],
    ['another type', 'system/Observation.cruds', []],
    ['scopes as a list, which no issuer was told to send', ['system/*.cruds'], []],
  ])('open to an integrator with %s exactly what that says', async (_, scope, routes) => {
    const token = await issuer.token({ claims: { scope } });
    expect(await opened(`Bearer ${token}`)).toEqual([...REFERENCE, ...routes].sort());
  });

  it.each([
    ['no scope for data', 'openid launch', []],
    ['patient/RiskAssessment.rs', 'patient/RiskAssessment.rs', [...READ, 'GET /v1/assessments']],
    ['user/ImagingStudy.r', 'user/ImagingStudy.r', IMAGES],
    [
      'patient/RiskAssessment.rs and patient/ImagingStudy.rs',
      'patient/RiskAssessment.rs patient/ImagingStudy.rs',
      [...READ, ...IMAGES, ...MAPS, 'GET /v1/assessments', 'POST /v1/assessments'],
    ],
    [
      'patient/*.*',
      'patient/*.*',
      [...READ, ...IMAGES, ...MAPS, 'GET /v1/assessments', 'POST /v1/assessments', 'DELETE /v1/assessments/{id}'],
    ],
    ['scopes of a system', 'system/*.cruds', []],
  ])('open to a user of the EHR with %s exactly what that says', async (name, scope, routes) => {
    scopesOfUser.current = scope;
    const token = `user-with-scope-${Buffer.from(name).toString('base64url')}`;
    expect(await opened(`Bearer ${token}`)).toEqual([...REFERENCE, ...routes].sort());
  });

  it('are closed to a known caller at addresses that do not exist', async () => {
    const answer = await fetch(`${server.origin}/v1/nothing-here`, {
      headers: { authorization: `Bearer ${await issuer.token()}` },
    });
    expect(answer.status).toBe(403);
  });

  it('leave no token in the log', () => {
    const logged = service.logged.join('');
    expect(logged).not.toContain(API_TOKEN);
    expect(logged).not.toContain(NOTIFICATION_TOKEN);
    expect(logged).not.toContain('eyJ');
    expect(logged).not.toContain('token-of-');
  });
});

/** By name what is wrong: an Authorization header, or undefined for none. */
async function makeFaults(issuer: TestIssuer): Promise<Record<string, string | undefined>> {
  const now = Math.floor(Date.now() / 1000);
  const stranger = await makeIssuer('https://stranger.example');
  const other = await generateKeyPair('ES384', { extractable: true });
  const rsa = await generateKeyPair('RS256');
  const publicPem = await exportSPKI((await importJWK(issuer.jwks.keys[0], 'ES384')) as CryptoKey);
  const bearer = async (changes: Changes): Promise<string> => `Bearer ${await issuer.token(changes)}`;
  const good = await issuer.token();
  const [header, payload, signature] = good.split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
  const hmacInput = compact({ alg: 'HS256', kid: issuer.kid, typ: 'at+jwt' }, claims).replace(/\.$/, '');
  const changed = Buffer.from(JSON.stringify({ ...claims, sub: 'someone-else' })).toString('base64url');
  return {
    'no token at all': undefined,
    'no token after the scheme': 'Bearer',
    'another scheme': `Basic ${API_TOKEN}`,
    'no scheme': API_TOKEN,
    'the API token and more': `Bearer ${API_TOKEN}x`,
    'the token of a Subscription and more': `Bearer ${NOTIFICATION_TOKEN}x`,
    'two tokens': `Bearer ${API_TOKEN} ${good}`,
    'no token that anyone gave': 'Bearer not-a-token-of-anyone',
    'a token without end': `Bearer ${'a'.repeat(9_000)}`,
    'alg none': `Bearer ${compact({ alg: 'none', kid: issuer.kid, typ: 'at+jwt' }, claims)}`,
    'an HMAC with the public key as its secret': `Bearer ${hmacInput}.${createHmac('sha256', publicPem).update(hmacInput).digest('base64url')}`,
    'another key under the same id': await bearer({ key: other.privateKey }),
    'another algorithm under the same id': await bearer({ header: { alg: 'RS256' }, key: rsa.privateKey }),
    'a key of its own in the header': await bearer({
      header: { jwk: await exportJWK(other.publicKey) },
      key: other.privateKey,
    }),
    'a key set of its own in the header': await bearer({ header: { jku: 'https://stranger.example/jwks' } }),
    'a certificate address in the header': await bearer({ header: { x5u: 'https://stranger.example/cert' } }),
    'a certificate in the header': await bearer({ header: { x5c: ['MIIB'] } }),
    'an extension that must be understood': `Bearer ${compact({ alg: 'ES384', kid: issuer.kid, crit: ['x'], x: 1 }, claims, signature)}`,
    'an unknown key id': await bearer({ header: { kid: 'another' } }),
    'no key id': await bearer({ header: { kid: undefined } }),
    'a JWT of another kind': await bearer({ header: { typ: 'logout+jwt' } }),
    'an unknown issuer': `Bearer ${await stranger.token()}`,
    'a known issuer named by a stranger': `Bearer ${await stranger.token({ claims: { iss: issuer.iss } })}`,
    'another audience': await bearer({ claims: { aud: 'https://elsewhere.example' } }),
    'no audience': await bearer({ claims: { aud: undefined } }),
    expired: await bearer({ claims: { iat: now - 1_000, exp: now - 100 } }),
    'not valid yet': await bearer({ claims: { nbf: now + 600 } }),
    'given in the future': await bearer({ claims: { iat: now + 600, exp: now + 900 } }),
    'no time of giving': await bearer({ claims: { iat: undefined } }),
    'no end': await bearer({ claims: { exp: undefined } }),
    'valid for a day': await bearer({ claims: { exp: now + 86_400 } }),
    'no subject': await bearer({ claims: { sub: undefined } }),
    'another tenant': await bearer({ claims: { tenant: 'ward-8' } }),
    'no tenant': await bearer({ claims: { tenant: undefined } }),
    'changed claims': `Bearer ${header}.${changed}.${signature}`,
    'a cut signature': `Bearer ${good.slice(0, -10)}`,
    ...Object.fromEntries(
      Object.keys(INTROSPECTED)
        .slice(1)
        .map((token) => [token, `Bearer ${token}`]),
    ),
  };
}
