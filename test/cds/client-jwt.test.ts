/** Who may call a hook: one answer for every fault, from the real door with real keys made for this run. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Express } from 'express';
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose';
import type { CryptoKey, JWK, JWTHeaderParameters } from 'jose';
import request from 'supertest';
import { CdsClientVerifier } from '../../api/authorization/cds-client.ts';
import { Egress } from '../../api/egress/egress.ts';
import { StoredJtis } from '../../api/jobs/jti-store.ts';
import { serve } from '../support/http-server.ts';
import type { TestServer } from '../support/http-server.ts';
import { orderHook, OWN_EHR, PARACETAMOL, patientView, PUBLIC_URL, startCdsDoor } from './support.ts';
import type { CdsDoor } from './support.ts';

const PATH = '/cds-services/hemocast-patient';
const DISCOVERY = '/cds-services';
/** Every address of the door. */
const ADDRESSES = [
  DISCOVERY,
  ...['patient', 'orders'].flatMap((id) =>
    [`hemocast-${id}`, `hemocast-${id}/feedback`].map((path) => `${DISCOVERY}/${path}`),
  ),
];
const FEEDBACK = { feedback: [{ card: 'c', outcome: 'overridden', outcomeTimestamp: '2026-11-12T10:00:00Z' }] };
const ISS = 'https://ehr.example/';
const TENANT = 'tenant-a';

interface Change {
  readonly header?: Partial<JWTHeaderParameters> & Record<string, unknown>;
  readonly claims?: Record<string, unknown>;
  readonly key?: CryptoKey | Uint8Array;
}

let hospital: CdsDoor;
let door: Express;
let keyServer: TestServer;
let egress: Egress;
let key: CryptoKey;
let rsa: CryptoKey;
let stranger: CryptoKey;
let publicJwk: JWK;
let strangersJwk: JWK;
let jtis = 0;
/** The address that tokens are made for. */
let aimedAt = PATH;
const refusals: string[] = [];

beforeAll(async () => {
  const [own, other, rsaPair] = await Promise.all([
    generateKeyPair('ES384'),
    generateKeyPair('ES384', { extractable: true }),
    generateKeyPair('RS384'),
  ]);
  key = own.privateKey;
  rsa = rsaPair.privateKey;
  stranger = other.privateKey;
  publicJwk = { ...(await exportJWK(own.publicKey)), kid: 'k1', alg: 'ES384' };
  strangersJwk = { ...(await exportJWK(other.publicKey)), kid: 'k1' };
  const keys = [publicJwk, { ...(await exportJWK(rsaPair.publicKey)), kid: 'rsa', alg: 'RS384' }];
  keyServer = await serve((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ keys }));
  });
  const jwksUrl = `${keyServer.origin}/jwks.json`;
  egress = new Egress([{ name: 'cds-client-keys', baseUrl: jwksUrl }]);
  hospital = await startCdsDoor();
  const clients = [
    { iss: ISS, jwksUrl, fhirServers: [OWN_EHR], tenant: TENANT },
    { iss: 'https://inline.example', jwks: { keys: [publicJwk] }, fhirServers: [OWN_EHR] },
    { iss: 'https://twice.example', jwks: { keys: [publicJwk, strangersJwk] }, fhirServers: [OWN_EHR] },
    { iss: 'https://narrow.example', jwksUrl, fhirServers: [OWN_EHR], algorithms: ['ES384'] },
    { iss: 'https://unreachable.example', jwksUrl: `${keyServer.origin}/elsewhere.json`, fhirServers: [] },
  ];
  const verifier = new CdsClientVerifier({
    clients,
    jtis: new StoredJtis(hospital.database),
    fetch: (url, init, limits) => egress.fetch(url, init, limits),
    onRefusal: (code) => refusals.push(code),
  });
  door = hospital.withParts({ verifier, localClient: undefined });
});
afterAll(async () => {
  await hospital.close();
  await egress.close();
  await keyServer.close();
});

const now = (): number => Math.floor(Date.now() / 1000);

function claimsOf(changes: Record<string, unknown> = {}): Record<string, unknown> {
  const claims = {
    iss: ISS,
    aud: PUBLIC_URL + aimedAt,
    iat: now(),
    exp: now() + 300,
    jti: `jti-${++jtis}`,
    tenant: TENANT,
  };
  return Object.fromEntries(Object.entries({ ...claims, ...changes }).filter(([, value]) => value !== undefined));
}

function token({ header, claims, key: signer = key }: Change = {}): Promise<string> {
  const full = { alg: 'ES384', kid: 'k1', typ: 'JWT', ...header };
  const protectedHeader = Object.fromEntries(Object.entries(full).filter(([, value]) => value !== undefined));
  return new SignJWT(claimsOf(claims)).setProtectedHeader(protectedHeader as JWTHeaderParameters).sign(signer);
}

const call = (authorization?: string, path = aimedAt) => {
  const asked = path === DISCOVERY ? request(door).get(path) : request(door).post(path);
  if (authorization !== undefined) void asked.set('Authorization', authorization);
  if (path === DISCOVERY) return asked;
  if (path.endsWith('/feedback')) return asked.send(FEEDBACK);
  return asked.send(path === PATH ? patientView('nobody') : orderHook('order-sign', 'nobody', [PARACETAMOL]));
};

describe('A registered CDS client', () => {
  it.each<[string, () => Promise<string>]>([
    ['ES384', () => token()],
    ['RS384', () => token({ header: { alg: 'RS384', kid: 'rsa' }, key: rsa })],
    ['aud as an array', () => token({ claims: { aud: [PUBLIC_URL + PATH] } })],
    ['the registered jku', () => token({ header: { jku: `${keyServer.origin}/jwks.json` } })],
    ['keys configured in place', () => token({ claims: { iss: 'https://inline.example', tenant: undefined } })],
    ['a clock 20 s ahead', () => token({ claims: { iat: now() + 20 } })],
  ])('is admitted with %s', async (_what, make) => {
    const answer = await call(`Bearer ${await make()}`);
    expect([answer.status, answer.body, refusals]).toEqual([200, { cards: [] }, []]);
  });

  it('is held to the algorithms that are configured for it', async () => {
    const claims = { iss: 'https://narrow.example', tenant: undefined };
    const [allowed, other] = [
      await token({ claims }),
      await token({ claims, header: { alg: 'RS384', kid: 'rsa' }, key: rsa }),
    ];
    expect([(await call(`Bearer ${allowed}`)).status, (await call(`Bearer ${other}`)).status]).toEqual([200, 401]);
    expect(refusals.splice(0)).toHaveLength(1);
  });

  it('names each address by its own URL: discovery, a service, its feedback', async () => {
    const at = (path: string) => token({ claims: { aud: PUBLIC_URL + path } });
    const feedback = `${PATH}/feedback`;
    await request(door)
      .get('/cds-services')
      .set('Authorization', `Bearer ${await at('/cds-services')}`)
      .expect(200);
    await request(door)
      .get('/cds-services')
      .set('Authorization', `Bearer ${await at(PATH)}`)
      .expect(401);
    await request(door)
      .post(feedback)
      .set('Authorization', `Bearer ${await at(feedback)}`)
      .send(FEEDBACK)
      .expect(200);
    await request(door)
      .post(feedback)
      .set('Authorization', `Bearer ${await at(PATH)}`)
      .send(FEEDBACK)
      .expect(401);
  });

  it('is known by its keys without fetching them at every call', async () => {
    await call(`Bearer ${await token()}`).expect(200);
    const before = keyServer.requests.length;
    await call(`Bearer ${await token()}`).expect(200);
    expect(keyServer.requests.length).toBe(before);
  });
});

describe('Every other caller', () => {
  const bodies = new Set<string>();
  /** Discovery is open to who shows none. */
  const WITHOUT_A_TOKEN = ['no token', 'an empty header'];
  const b64 = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

  it.each<[string, () => Promise<string | undefined> | string | undefined]>([
    ['no token', () => undefined],
    ['an empty header', () => ''],
    ['no scheme', () => token()],
    ['another scheme', async () => `Basic ${await token()}`],
    ['nonsense', () => 'Bearer a.b.c'],
    ['a token beyond 8 kB', async () => `Bearer ${await token({ claims: { x: 'x'.repeat(9_000) } })}`],
    ['alg none', () => `Bearer ${new UnsecuredJWT(claimsOf()).encode()}`],
    ['alg none in capitals', () => `Bearer ${b64({ alg: 'NONE', typ: 'JWT', kid: 'k1' })}.${b64(claimsOf())}.`],
    [
      'HMAC with the public key as its secret',
      async () =>
        `Bearer ${await token({ header: { alg: 'HS384' }, key: new TextEncoder().encode(JSON.stringify(publicJwk)) })}`,
    ],
    ['a stranger’s key', async () => `Bearer ${await token({ key: stranger })}`],
    [
      'a stranger’s key in the header (jwk)',
      async () => `Bearer ${await token({ key: stranger, header: { jwk: strangersJwk } })}`,
    ],
    ['our own key in the header (jwk)', async () => `Bearer ${await token({ header: { jwk: publicJwk } })}`],
    ['an unregistered jku', async () => `Bearer ${await token({ header: { jku: `${keyServer.origin}/evil.json` } })}`],
    [
      'a jku where keys are configured in place',
      async () =>
        `Bearer ${await token({ claims: { iss: 'https://inline.example' }, header: { jku: `${keyServer.origin}/jwks.json` } })}`,
    ],
    ['x5u', async () => `Bearer ${await token({ header: { x5u: 'https://evil.example' } })}`],
    ['no kid', async () => `Bearer ${await token({ header: { kid: undefined } })}`],
    ['an unknown kid', async () => `Bearer ${await token({ header: { kid: 'k2' } })}`],
    [
      'a kid that two keys of its set have',
      async () => `Bearer ${await token({ claims: { iss: 'https://twice.example', tenant: undefined } })}`,
    ],
    ['no typ', async () => `Bearer ${await token({ header: { typ: undefined } })}`],
    ['another typ', async () => `Bearer ${await token({ header: { typ: 'at+jwt' } })}`],
    ['no iss', async () => `Bearer ${await token({ claims: { iss: undefined } })}`],
    ['an unregistered iss', async () => `Bearer ${await token({ claims: { iss: 'https://evil.example' } })}`],
    ['an iss that differs by a slash', async () => `Bearer ${await token({ claims: { iss: ISS.slice(0, -1) } })}`],
    ['no aud', async () => `Bearer ${await token({ claims: { aud: undefined } })}`],
    ['the base as aud', async () => `Bearer ${await token({ claims: { aud: PUBLIC_URL } })}`],
    [
      'another address of ours as aud',
      async () => {
        const another = ADDRESSES[(ADDRESSES.indexOf(aimedAt) + 1) % ADDRESSES.length];
        return `Bearer ${await token({ claims: { aud: PUBLIC_URL + another } })}`;
      },
    ],
    ['expired', async () => `Bearer ${await token({ claims: { iat: now() - 400, exp: now() - 60 } })}`],
    ['no exp', async () => `Bearer ${await token({ claims: { exp: undefined } })}`],
    ['an exp far away', async () => `Bearer ${await token({ claims: { exp: now() + 86_400 } })}`],
    ['no iat', async () => `Bearer ${await token({ claims: { iat: undefined } })}`],
    ['an iat in the future', async () => `Bearer ${await token({ claims: { iat: now() + 120 } })}`],
    ['an nbf in the future', async () => `Bearer ${await token({ claims: { nbf: now() + 120 } })}`],
    ['no jti', async () => `Bearer ${await token({ claims: { jti: undefined } })}`],
    ['a jti that is no text', async () => `Bearer ${await token({ claims: { jti: 1 } })}`],
    ['another tenant', async () => `Bearer ${await token({ claims: { tenant: 'tenant-b' } })}`],
    ['no tenant', async () => `Bearer ${await token({ claims: { tenant: undefined } })}`],
    [
      'an issuer whose keys cannot be fetched',
      async () => `Bearer ${await token({ claims: { iss: 'https://unreachable.example' } })}`,
    ],
    [
      'a replayed token',
      async () => {
        const once = `Bearer ${await token()}`;
        await call(once).expect(200);
        return once;
      },
    ],
    [
      'a changed payload',
      async () => {
        const [header, , signature] = (await token()).split('.');
        return `Bearer ${header}.${b64(claimsOf())}.${signature}`;
      },
    ],
  ])('is refused alike at every address: %s', async (what, make) => {
    for (aimedAt of ADDRESSES) {
      if (aimedAt === DISCOVERY && WITHOUT_A_TOKEN.includes(what)) continue;
      const answer = await call(await make())
        .expect(401)
        .expect('WWW-Authenticate', 'Bearer');
      bodies.add(answer.text);
    }
    expect([...bodies]).toHaveLength(1);
  });

  it.each(ADDRESSES)(
    'is admitted to %s with a token for it, so that the faults above are the reason',
    async (address) => {
      aimedAt = address;
      await call(`Bearer ${await token()}`).expect(200);
      aimedAt = PATH;
    },
  );

  it('is told of no service, hook or patient before that', async () => {
    expect((await call(undefined, '/cds-services/nothing')).status).toBe(401);
    expect((await request(door).post(PATH).send('not even JSON')).status).toBe(401);
  });

  it('made us fetch nothing but the registered key set', () => {
    expect(new Set(keyServer.requests.map(({ url }) => url))).toEqual(new Set(['/jwks.json']));
  });

  it('cannot use up the jti of another: one counts only when the rest of the token is right', async () => {
    await call(`Bearer ${await token({ key: stranger, claims: { jti: 'wanted' } })}`).expect(401);
    await call(`Bearer ${await token({ claims: { jti: 'wanted' } })}`).expect(200);
  });

  it('leaves no token in the log', () => {
    expect(hospital.logged.join('')).not.toMatch(/eyJ/);
  });
});
