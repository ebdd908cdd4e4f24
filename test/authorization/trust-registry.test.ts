/** TRUST_FILE: what it says is trusted and nothing else, and every mistake in it is named before the service starts. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { exportJWK, generateKeyPair } from 'jose';
import type { JWK } from 'jose';
import { readTrustRegistry } from '../../api/authorization/trust-registry.ts';
import { composeTrust } from '../../api/compose-trust.ts';
import { readConfig } from '../../api/config.ts';

const API_TOKEN = 'a-token-of-at-least-thirty-two-characters';
const SECRET = 'canary-secret-of-the-introspection';
const folder = mkdtempSync(join(tmpdir(), 'hemocast-trust-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;
const write = (content: unknown): string => {
  const file = join(folder, `trust-${(files += 1)}.json`);
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  return file;
};

const issuer = { iss: 'https://issuer.example', jwksUrl: 'https://issuer.example/jwks', audience: 'hemocast' };
const smart = {
  iss: 'https://ehr.example/fhir',
  clientId: 'hemocast-app',
  introspectionUrl: 'https://login.ehr.example/introspect',
  introspectionToken: SECRET,
  frameAncestors: ['https://portal.ehr.example'],
};
const cdsClient = { iss: 'https://ehr.example', jwksUrl: 'https://ehr.example/jwks', fhirServers: [smart.iss] };

const mistakes = (act: () => unknown): string => {
  try {
    act();
    return '';
  } catch (error) {
    return (error as Error).message;
  }
};

describe('The trust registry', () => {
  let publicKey: JWK;
  let privateKey: JWK;
  beforeAll(async () => {
    const pair = await generateKeyPair('ES384', { extractable: true });
    publicKey = { ...(await exportJWK(pair.publicKey)), kid: '1' };
    privateKey = { ...(await exportJWK(pair.privateKey)), kid: '1' };
  });

  it('names issuers, EHRs and clients of the hooks', () => {
    writeFileSync(join(folder, 'secret'), `${SECRET}\n`);
    const registry = readTrustRegistry(
      write({
        issuers: [issuer, { iss: 'other', jwks: { keys: [publicKey] }, audience: 'hemocast', algorithms: ['ES384'] }],
        smart: [{ ...smart, introspectionToken: undefined, introspectionTokenFile: 'secret' }],
        cdsClients: [cdsClient],
      }),
    );
    expect(registry.issuers).toHaveLength(2);
    expect(registry.smart[0]).toMatchObject({ clientId: 'hemocast-app', authorization: `Bearer ${SECRET}` });
    expect(registry.cdsClients).toEqual([cdsClient]);
    expect(readTrustRegistry(write({}))).toEqual({ issuers: [], smart: [], cdsClients: [] });
  });

  it.each<[string, () => unknown, string]>([
    ['no JSON', () => '{', 'it is not JSON'],
    ['a list', () => [], 'the file must be object'],
    ['a misspelled list', () => ({ isuers: [issuer] }), 'unknown property isuers'],
    ['a misspelled property', () => ({ issuers: [{ ...issuer, tenants: 'x' }] }), '/issuers/0 has an unknown property'],
    ['an issuer without keys', () => ({ issuers: [{ iss: 'x', audience: 'y' }] }), 'exactly one of jwks and jwksUrl'],
    [
      'an issuer with keys twice',
      () => ({ issuers: [{ ...issuer, jwks: { keys: [publicKey] } }] }),
      'exactly one of jwks and jwksUrl',
    ],
    ['no audience', () => ({ issuers: [{ ...issuer, audience: undefined }] }), "required property 'audience'"],
    ['a symmetric algorithm', () => ({ issuers: [{ ...issuer, algorithms: ['HS256'] }] }), '/issuers/0/algorithms/0'],
    ['the algorithm none', () => ({ issuers: [{ ...issuer, algorithms: ['none'] }] }), '/issuers/0/algorithms/0'],
    [
      'a symmetric algorithm of hooks',
      () => ({ cdsClients: [{ ...cdsClient, algorithms: ['HS256'] }] }),
      '/cdsClients/0/algorithms/0',
    ],
    ['no algorithm at all', () => ({ issuers: [{ ...issuer, algorithms: [] }] }), '/issuers/0/algorithms'],
    ['a tenant without its claim', () => ({ issuers: [{ ...issuer, tenant: 'x' }] }), 'tenantClaim'],
    ['a claim without its tenant', () => ({ issuers: [{ ...issuer, tenantClaim: 'x' }] }), 'tenant'],
    [
      'keys without TLS',
      () => ({ issuers: [{ ...issuer, jwksUrl: 'http://issuer.example/jwks' }] }),
      '/issuers/0/jwksUrl',
    ],
    [
      'credentials in a URL',
      () => ({ issuers: [{ ...issuer, jwksUrl: 'https://a:b@i.example' }] }),
      '/issuers/0/jwksUrl',
    ],
    [
      'a private key',
      () => ({ issuers: [{ ...issuer, jwksUrl: undefined, jwks: { keys: [privateKey] } }] }),
      '/issuers/0/jwks/keys/0 names what must not be there',
    ],
    [
      'a shared secret for a key',
      () => ({
        issuers: [{ ...issuer, jwksUrl: undefined, jwks: { keys: [{ kty: 'oct', kid: '1', k: 'c2VjcmV0' }] } }],
      }),
      '/issuers/0/jwks/keys/0',
    ],
    ['an issuer named twice', () => ({ issuers: [issuer, issuer] }), '/issuers/1/iss is named twice'],
    [
      'an EHR named twice',
      () => ({ smart: [smart, { ...smart, iss: `${smart.iss}/` }] }),
      '/smart/1/iss is named twice',
    ],
    [
      'a page for an origin',
      () => ({ smart: [{ ...smart, frameAncestors: ['https://a.example/page'] }] }),
      'an origin',
    ],
    ['a wildcard for an origin', () => ({ smart: [{ ...smart, frameAncestors: ['*'] }] }), '/smart/0/frameAncestors/0'],
    ['a secret given twice', () => ({ smart: [{ ...smart, introspectionTokenFile: 'secret' }] }), '/smart/0'],
    [
      'a secret that is not there',
      () => ({ smart: [{ ...smart, introspectionToken: undefined, introspectionTokenFile: 'nowhere' }] }),
      '/smart/0/introspectionTokenFile cannot be read',
    ],
    [
      'a hook client of no EHR',
      () => ({ cdsClients: [{ ...cdsClient, fhirServers: [] }] }),
      '/cdsClients/0/fhirServers',
    ],
    [
      'a hook client whose FHIR server has no TLS',
      () => ({ cdsClients: [{ ...cdsClient, fhirServers: ['http://ehr.example/fhir'] }] }),
      '/cdsClients/0/fhirServers/0',
    ],
  ])('is refused for %s', (_, content, place) => {
    const message = mistakes(() => readTrustRegistry(write(content())));
    expect(message).toContain('TRUST_FILE is not usable: ');
    expect(message).toContain(place);
    expect(message).not.toContain(SECRET);
  });

  it('is refused where there is no such file', () => {
    expect(mistakes(() => readTrustRegistry(join(folder, 'nowhere')))).toContain('it cannot be read');
  });

  it('names all mistakes at once', () => {
    const message = mistakes(() => readTrustRegistry(write({ issuers: [{}], smart: [{}], cdsClients: [{}] })));
    for (const place of ['/issuers/0', '/smart/0', '/cdsClients/0']) expect(message).toContain(place);
  });
});

describe('Whom the service trusts', () => {
  const ehr = { baseUrl: 'https://ehr.example/fhir', sandbox: false };
  const parts = { ehr, url: 'http://127.0.0.1:8080' };
  const hospital = (env: Record<string, string>): ReturnType<typeof readConfig> =>
    readConfig({ EHR_FHIR_URL: ehr.baseUrl, ...env });

  it('takes the issuers of the file in place of an API token, where there is one', () => {
    expect(() => composeTrust(hospital({ TRUST_FILE: write({ issuers: [issuer] }) }), parts)).not.toThrow();
    const none = hospital({ TRUST_FILE: write({ smart: [smart] }) });
    expect(mistakes(() => composeTrust(none, parts))).toContain('API_TOKEN, or issuers in TRUST_FILE, are required');
  });

  it('is one EHR: patients of another one mean nothing here', () => {
    const other = hospital({
      API_TOKEN,
      TRUST_FILE: write({ smart: [{ ...smart, iss: 'https://other.example/fhir' }] }),
    });
    expect(mistakes(() => composeTrust(other, parts))).toContain('/smart/0/iss is not the EHR in use');
  });

  it('tells the app its EHR, and the browser who may frame the app and whom the app may call', () => {
    const trust = composeTrust(hospital({ API_TOKEN, TRUST_FILE: write({ smart: [smart] }) }), parts);
    expect(trust.app).toEqual({
      issuers: [{ iss: smart.iss, clientId: 'hemocast-app' }],
      frameAncestors: ['https://portal.ehr.example'],
      connectOrigins: ['https://ehr.example'],
    });
  });

  it('gives each endpoint its own credential and no other', () => {
    const config = hospital({ API_TOKEN, TRUST_FILE: write({ issuers: [issuer], smart: [smart] }) });
    expect(composeTrust(config, parts).systems).toEqual([
      { name: 'issuer-keys', baseUrl: issuer.jwksUrl },
      { name: 'ehr-introspection', baseUrl: smart.introspectionUrl, authorization: `Bearer ${SECRET}` },
    ]);
  });
});
