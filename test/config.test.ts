/** The configuration: every mistake named at once, nothing replaced silently, and the README tells of every setting. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { readConfig } from '../api/config.ts';
import { repositoryRoot } from './support/components.ts';

const TOKEN = 'a-token-of-at-least-thirty-two-characters';
const folder = mkdtempSync(join(tmpdir(), 'hemocast-config-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const mistakes = (env: Record<string, string>): string => {
  try {
    readConfig(env);
    return '';
  } catch (error) {
    return (error as Error).message;
  }
};

describe('The configuration', () => {
  it('without any setting is the sandbox on loopback', () => {
    const config = readConfig({});
    expect(config).toMatchObject({ host: '127.0.0.1', port: 8080, provider: 'auto', assumedPrevalence: 0.35 });
    expect([config.ehr, config.pacs, config.apiToken, config.databaseUrl]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    expect(Object.isFrozen(config)).toBe(true);
  });

  it('reads credentials from the environment or from files', () => {
    const file = join(folder, 'token');
    writeFileSync(file, `${TOKEN}\n`);
    const env = { EHR_FHIR_URL: 'https://ehr.example/fhir/', EHR_TOKEN_FILE: file, API_TOKEN: TOKEN };
    expect(readConfig(env).ehr).toEqual({ baseUrl: 'https://ehr.example/fhir', authorization: `Bearer ${TOKEN}` });
  });

  it.each([
    ['a port that is no number', { PORT: 'eighty' }, 'PORT'],
    ['a port out of range', { PORT: '70000' }, 'PORT'],
    ['an unknown execution provider', { HEMOCAST_PROVIDER: 'tpu' }, 'HEMOCAST_PROVIDER'],
    ['a software adapter for whatever comes', { WEBGPU_SOFTWARE_ADAPTER: 'true' }, 'WEBGPU_SOFTWARE_ADAPTER'],
    ['a prevalence in percent', { ASSUMED_PREVALENCE: '35' }, 'ASSUMED_PREVALENCE'],
    ['bands in the wrong order', { RISK_BAND_MODERATE: '0.6' }, 'RISK_BAND_MODERATE'],
    ['a public address without https', { PUBLIC_URL: 'http://hemocast.example', API_TOKEN: TOKEN }, 'PUBLIC_URL'],
    ['an EHR without https', { EHR_FHIR_URL: 'http://ehr.example', API_TOKEN: TOKEN }, 'EHR_FHIR_URL'],
    [
      'credentials inside a URL',
      { PACS_DICOMWEB_URL: 'https://a:b@pacs.example', API_TOKEN: TOKEN },
      'PACS_DICOMWEB_URL',
    ],
    ['an address that is no URL', { ALLOWED_DICOMWEB_URLS: 'pacs' }, 'ALLOWED_DICOMWEB_URLS'],
    ['an EHR client without a key', { EHR_FHIR_URL: 'https://e.example', EHR_CLIENT_ID: 'c' }, 'EHR_PRIVATE_KEY_FILE'],
    ['an EHR client for no EHR', { EHR_CLIENT_ID: 'c', EHR_PRIVATE_KEY_FILE: '/k' }, 'EHR_CLIENT_ID'],
    ['a key for no EHR client', { EHR_PRIVATE_KEY_FILE: '/k' }, 'EHR_PRIVATE_KEY_FILE'],
    [
      'a token and a client for one EHR',
      { EHR_FHIR_URL: 'https://e.example', EHR_TOKEN: 'x', EHR_CLIENT_ID: 'c', EHR_PRIVATE_KEY_FILE: '/k' },
      'EHR_CLIENT_ID',
    ],
    [
      'a token endpoint without https',
      {
        EHR_FHIR_URL: 'https://e.example',
        EHR_CLIENT_ID: 'c',
        EHR_PRIVATE_KEY_FILE: '/k',
        EHR_TOKEN_URL: 'http://e.example/token',
      },
      'EHR_TOKEN_URL',
    ],
    ['a token for no system', { EHR_TOKEN: TOKEN }, 'EHR_TOKEN'],
    [
      'a token given twice',
      { EHR_FHIR_URL: 'https://e.example', EHR_TOKEN: 'x', EHR_TOKEN_FILE: 'y', API_TOKEN: TOKEN },
      'EHR_TOKEN',
    ],
    ['a token file that is not there', { API_TOKEN_FILE: '/nonexistent' }, 'API_TOKEN_FILE'],
    ['a token that can be guessed', { API_TOKEN: 'secret' }, 'API_TOKEN'],
    ['a hospital’s PACS without a token for callers', { PACS_DICOMWEB_URL: 'https://pacs.example' }, 'API_TOKEN'],
  ])('is refused for %s, by the name of the setting', (_, env, key) => {
    expect(mistakes(env as Record<string, string>)).toContain(`${key}: `);
  });

  it('names all mistakes at once and none of the secrets', () => {
    const message = mistakes({ PORT: 'x', LOG_LEVEL: 'loud', API_TOKEN: 'hunter2' });
    for (const key of ['PORT', 'LOG_LEVEL', 'API_TOKEN']) expect(message).toContain(`${key}: `);
    expect(message).not.toContain('hunter2');
  });

  it('is told in the README, setting for setting', () => {
    const source = readFileSync(join(repositoryRoot, 'api/config.ts'), 'utf8');
    const read = new Set([...source.matchAll(/(?:'|env\.)([A-Z]+(?:_[A-Z]+)+|PORT|HOST)\b/g)].map((match) => match[1]));
    const readme = readFileSync(join(repositoryRoot, 'README.md'), 'utf8');
    const table = readme.slice(readme.indexOf('## Configuration'), readme.indexOf('## Limits'));
    const told = new Set(
      [...table.matchAll(/`([A-Z][A-Z_]+)`/g)].map((match) => match[1].replace(/_TOKEN_FILE$/, '_TOKEN')),
    );
    expect([...told].sort()).toEqual([...read].sort());
  });
});
