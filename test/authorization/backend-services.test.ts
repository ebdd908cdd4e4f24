/** SMART Backend Services: the service's own access to an EHR, against the sandbox's authorization server and scripted ones. */
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import express from 'express';
import type { RequestHandler } from 'express';
import { decodeJwt, decodeProtectedHeader, SignJWT } from 'jose';
import type { Bundle } from '@medplum/fhirtypes';
import { BackendServices } from '../../api/authorization/backend-services.ts';
import type { BackendServicesOptions } from '../../api/authorization/backend-services.ts';
import { readClientKey } from '../../api/authorization/client-key.ts';
import type { ClientKey } from '../../api/authorization/client-key.ts';
import { Egress } from '../../api/egress/egress.ts';
import { createSandbox } from '../../api/sandbox/sandbox.ts';
import type { Sandbox } from '../../api/sandbox/sandbox.ts';
import { serve } from '../support/http-server.ts';
import type { TestServer } from '../support/http-server.ts';
import { removeFolders, temporaryFolder, testPatient, writePatients } from '../sandbox/support/running-sandbox.ts';

const SCOPE = 'system/Patient.r system/RiskAssessment.crus';
const pem = (type: 'P-384' | 'P-256' | 'RSA' | 'short RSA'): string => {
  const { privateKey } =
    type === 'RSA' || type === 'short RSA'
      ? generateKeyPairSync('rsa', { modulusLength: type === 'RSA' ? 2048 : 1024 })
      : generateKeyPairSync('ec', { namedCurve: type });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
};

let folder: string;
let ecKey: ClientKey;
let rsaKey: ClientKey;
const keyFile = async (content: string): Promise<string> => {
  const file = join(folder, `${Math.random()}.key`);
  await writeFile(file, content);
  return file;
};
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'client-key-'));
  ecKey = await readClientKey(await keyFile(pem('P-384')));
  rsaKey = await readClientKey(await keyFile(pem('RSA')));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('The key of the service', () => {
  it('signs ES384 or RS384, and its public half holds nothing secret', () => {
    expect([ecKey.algorithm, rsaKey.algorithm]).toEqual(['ES384', 'RS384']);
    for (const { publicJwk, kid } of [ecKey, rsaKey]) {
      expect(publicJwk).toMatchObject({ kid, use: 'sig' });
      for (const secret of ['d', 'p', 'q', 'dp', 'dq', 'qi']) expect(publicJwk).not.toHaveProperty(secret);
    }
  });

  it('may be a JWK, whose id is kept', async () => {
    const jwk = { ...ecKey.privateKey.export({ format: 'jwk' }), kid: 'of-the-hospital' };
    const read = await readClientKey(await keyFile(JSON.stringify(jwk)));
    expect([read.kid, read.algorithm]).toEqual(['of-the-hospital', 'ES384']);
  });

  it.each([
    ['a curve that SMART does not name', () => pem('P-256')],
    ['an RSA key of 1024 bits', () => pem('short RSA')],
    ['a public key', () => JSON.stringify(ecKey.publicJwk)],
    ['a shared secret', () => JSON.stringify({ kty: 'oct', k: 'c2VjcmV0' })],
    ['something else', () => 'canary-not-a-key'],
  ])('is refused where the file holds %s, quoting nothing of it', async (_what, content) => {
    const error = await readClientKey(await keyFile(content())).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'configuration-invalid',
      message: expect.stringMatching(/^EHR_PRIVATE_KEY_FILE /),
    });
    expect(String(error)).not.toContain('canary');
  });
});

describe('Against the sandbox', () => {
  let http: TestServer;
  let sandbox: Sandbox;
  let folders: string[];
  let closers: (() => Promise<void>)[];
  /** Every URL that was called, in order. */
  const asked: string[] = [];

  beforeAll(async () => {
    folders = [await temporaryFolder(), await writePatients()];
    let origin = '';
    sandbox = await createSandbox({
      dataDir: folders[0],
      patientsDir: folders[1],
      baseUrl: () => origin,
      backendClients: [
        { clientId: 'service-ec', keys: [ecKey.publicJwk], scopes: SCOPE.split(' ') },
        { clientId: 'service-rsa', keys: [rsaKey.publicJwk], scopes: ['system/*.cruds'] },
      ],
    });
    const note: RequestHandler = ({ originalUrl }, _response, next) => {
      asked.push(originalUrl);
      next();
    };
    http = await serve(express().use(note).use('/sandbox', sandbox.router));
    origin = http.origin;
    await sandbox.seed();
    closers = [];
  });
  afterAll(async () => {
    for (const close of closers) await close();
    await http.close();
    await sandbox.close();
    await removeFolders(...folders);
  });

  const fhirBase = (): string => `${http.origin}/sandbox/fhir`;
  const credentialOf = (options: Partial<BackendServicesOptions> = {}): BackendServices => {
    const egress = new Egress([{ name: 'ehr-authorization', baseUrl: http.origin }]);
    closers.push(() => egress.close());
    return new BackendServices({
      clientId: 'service-ec',
      key: ecKey,
      scope: SCOPE,
      fhirBase: fhirBase(),
      fetch: (...call) => egress.fetch(...call),
      ...options,
    });
  };
  const ehrWith = (credential: BackendServices): Egress => {
    const egress = new Egress([{ name: 'ehr', baseUrl: fhirBase(), credential }]);
    closers.push(() => egress.close());
    return egress;
  };
  const clientAssertion = async (): Promise<Record<string, string>> => ({
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: await new SignJWT()
      .setProtectedHeader({ alg: 'ES384', kid: ecKey.kid })
      .setIssuer('service-ec')
      .setSubject('service-ec')
      .setAudience(`${http.origin}/sandbox/auth/token`)
      .setJti(crypto.randomUUID())
      .setIssuedAt()
      .setExpirationTime('1m')
      .sign(ecKey.privateKey),
  });
  const tokenRequests = (): number => asked.filter((url) => url === '/sandbox/auth/token').length;

  it('finds the token endpoint, proves who it is, and reads and searches what its scopes open', async () => {
    const egress = ehrWith(credentialOf());
    const read = await egress.fetch(`${fhirBase()}/Patient/${testPatient.slug}`);
    expect(read.status).toBe(200);
    await read.arrayBuffer();
    const found = await egress.fetch(`${fhirBase()}/RiskAssessment?subject=Patient/${testPatient.slug}`);
    expect(((await found.json()) as Bundle).total).toBe(0);
    const closed = await egress.fetch(`${fhirBase()}/Observation?subject=Patient/${testPatient.slug}`);
    expect(closed.status).toBe(403);
    await closed.arrayBuffer();
  });

  it('works with an RSA key', async () => {
    const credential = credentialOf({ clientId: 'service-rsa', key: rsaKey, scope: 'system/*.read' });
    expect(await credential.current()).toMatch(/^Bearer \S{20,}$/);
  });

  it('asks for one token, however many calls begin at once, and none while it holds', async () => {
    const egress = ehrWith(credentialOf());
    const before = tokenRequests();
    const url = `${fhirBase()}/Patient/${testPatient.slug}`;
    const answers = await Promise.all(Array.from({ length: 12 }, () => egress.fetch(url)));
    expect(answers.map(({ status }) => status)).toEqual(Array(12).fill(200));
    await Promise.all(answers.map((answer) => answer.arrayBuffer()));
    expect(tokenRequests() - before).toBe(1);
  });

  it('gets a new token and tries once more where the EHR has forgotten the one it gave', async () => {
    const credential = credentialOf();
    const egress = ehrWith(credential);
    const forgotten = await credential.current();
    const body = new URLSearchParams({ token: forgotten.slice('Bearer '.length), ...(await clientAssertion()) });
    const revoked = await fetch(`${http.origin}/sandbox/auth/token/revocation`, { method: 'POST', body });
    expect(revoked.status).toBe(200);
    const before = asked.length;
    const response = await egress.fetch(`${fhirBase()}/Patient/${testPatient.slug}`);
    await response.arrayBuffer();
    expect(response.status).toBe(200);
    expect(asked.slice(before)).toEqual([
      `/sandbox/fhir/Patient/${testPatient.slug}`,
      '/sandbox/fhir/.well-known/smart-configuration',
      '/sandbox/auth/token',
      `/sandbox/fhir/Patient/${testPatient.slug}`,
    ]);
    expect(await credential.current()).not.toBe(forgotten);
  });

  it.each([
    ['another key than the registered one', { key: () => rsaKey }, 'invalid_client'],
    ['a client that is not registered', { clientId: 'nobody' }, 'invalid_client'],
    ['a scope beyond the registered ones', { scope: `${SCOPE} system/Observation.r` }, 'invalid_scope'],
    ['a scope that is none', { scope: 'everything' }, 'invalid_scope'],
  ])('is refused by name with %s', async (_what, { key, ...options }: Record<string, unknown>, error) => {
    const credential = credentialOf({ ...options, ...(typeof key === 'function' && { key: key() as ClientKey }) });
    await expect(credential.current()).rejects.toMatchObject({ code: 'ehr-token-refused', details: { error } });
  });
});

describe('Against an authorization server that misbehaves', () => {
  const FHIR = 'https://ehr.example/fhir';
  const TOKEN = 'https://ehr.example/token';
  const answering = (answer: () => Response, calls: [string, RequestInit][] = []): BackendServices =>
    new BackendServices({
      clientId: 'service',
      key: ecKey,
      scope: SCOPE,
      fhirBase: FHIR,
      tokenUrl: TOKEN,
      fetch: async (url, init) => {
        calls.push([url, init]);
        return answer();
      },
    });
  const json =
    (body: unknown, status = 200): (() => Response) =>
    () =>
      Response.json(body, { status });

  it('signs an assertion for this endpoint, once, for less than five minutes', async () => {
    const calls: [string, RequestInit][] = [];
    const credential = answering(json({ access_token: 'a', token_type: 'bearer', expires_in: 1 }), calls);
    await credential.current();
    credential.rejected('Bearer a');
    await credential.current();
    const assertions = calls.map(([, { body }]) => new URLSearchParams(body as string).get('client_assertion')!);
    expect(decodeProtectedHeader(assertions[0])).toEqual({ alg: 'ES384', kid: ecKey.kid, typ: 'JWT' });
    const [first, second] = assertions.map((assertion) => decodeJwt(assertion));
    expect(first).toMatchObject({ iss: 'service', sub: 'service', aud: TOKEN });
    expect(first.exp! - first.iat!).toBeLessThanOrEqual(300);
    expect(first.jti).not.toBe(second.jti);
  });

  it.each([
    ['no token', json({ token_type: 'bearer' }), 'ehr-token-malformed'],
    ['a token with a line break', json({ access_token: 'a\r\nX: y', token_type: 'bearer' }), 'ehr-token-malformed'],
    ['a token of another kind', json({ access_token: 'a', token_type: 'DPoP' }), 'ehr-token-malformed'],
    ['a token that has ended', json({ access_token: 'a', token_type: 'bearer', expires_in: 0 }), 'ehr-token-malformed'],
    ['null', json(null), 'ehr-token-malformed'],
    [
      'a login page',
      () => new Response('<html>', { headers: { 'content-type': 'text/html' } }),
      'ehr-authorization-answer-not-json',
    ],
    ['an error with a text of its own', json({ error: 'canary' }, 400), 'ehr-token-refused'],
    ['503', json({}, 503), 'ehr-authorization-unavailable'],
    ['429', json({}, 429), 'ehr-authorization-throttled'],
  ])('takes nothing from one that answers %s', async (_what, answer, code) => {
    const error = await answering(answer)
      .current()
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code });
    expect(JSON.stringify(error)).not.toContain('canary');
  });

  it('asks for a new token before the old one ends', async () => {
    const calls: [string, RequestInit][] = [];
    let now = Date.now();
    const credential = new BackendServices({
      clientId: 'service',
      key: ecKey,
      scope: SCOPE,
      fhirBase: FHIR,
      tokenUrl: TOKEN,
      now: () => now,
      fetch: async (url, init) => {
        calls.push([url, init]);
        return Response.json({ access_token: `token-${calls.length}`, token_type: 'Bearer', expires_in: 300 });
      },
    });
    const tokens: string[] = [];
    for (const passedMs of [0, 269_000, 2_000]) {
      now += passedMs;
      tokens.push(await credential.current());
    }
    expect(tokens).toEqual(['Bearer token-1', 'Bearer token-1', 'Bearer token-2']);
  });

  it('asks again after a fault', async () => {
    let status = 503;
    const credential = answering(() => json({ access_token: 'a', token_type: 'Bearer' }, status)());
    await expect(credential.current()).rejects.toMatchObject({ code: 'ehr-authorization-unavailable' });
    status = 200;
    expect(await credential.current()).toBe('Bearer a');
  });

  it('sends no assertion to an endpoint of another origin that the EHR names', async () => {
    const calls: string[] = [];
    const credential = new BackendServices({
      clientId: 'service',
      key: ecKey,
      scope: SCOPE,
      fhirBase: FHIR,
      fetch: async (url) => {
        calls.push(url);
        return Response.json({ token_endpoint: 'https://elsewhere.example/token' });
      },
    });
    await expect(credential.current()).rejects.toMatchObject({ code: 'ehr-token-malformed' });
    expect(calls).toEqual([`${FHIR}/.well-known/smart-configuration`]);
  });
});
