/** What an address may make the app do: the address comes from outside. */
import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { newState, readLaunchRequest, scopesOf } from '../../smart-app/src/session/launch-request.ts';

const guide = readFileSync(join(import.meta.dirname, '../../docs/integrate.md'), 'utf8');

const issuer = { iss: 'https://ehr.example/fhir', clientId: 'hemocast-app' };
const other = { iss: 'https://second.example/r4', clientId: 'hemocast-2' };
const config = { issuers: [issuer, other], disclaimer: '', usualMs: null };
const read = (query: Record<string, string>): ReturnType<typeof readLaunchRequest> =>
  readLaunchRequest(`?${new URLSearchParams(query)}`, config);

describe('A launch address', () => {
  it('of a listed EHR is an EHR launch with that EHR’s client id', () => {
    expect(read({ iss: issuer.iss, launch: 'abc' })).toEqual({ kind: 'ehr', issuer, launch: 'abc' });
    expect(read({ iss: `${other.iss}/`, launch: 'abc' })).toEqual({ kind: 'ehr', issuer: other, launch: 'abc' });
  });

  it('without a launch is a standalone launch', () => {
    expect(read({ iss: other.iss })).toEqual({ kind: 'standalone', issuer: other });
    expect(readLaunchRequest('', { ...config, issuers: [issuer] })).toEqual({ kind: 'standalone', issuer });
    expect(readLaunchRequest('', config)).toEqual({ kind: 'choose', issuers: [issuer, other] });
  });

  it.each([
    'https://ehr.example.evil.test/fhir',
    'https://ehr.example/fhir/../evil',
    'https://ehr.example/fhirx',
    'https://EHR.example@evil.test/fhir',
    'http://ehr.example/fhir',
    'javascript:alert(1)',
    '',
  ])('that names %j is refused: it is not on the list', (iss) => {
    expect(read({ iss, launch: 'abc' }).kind).toBe('refused');
  });

  it.each(['patientId', 'clientId', 'fhirServiceUrl', 'encounterId', 'state'])(
    'that carries %s is refused: it would override what the EHR says',
    (name) => expect(read({ iss: issuer.iss, launch: 'abc', [name]: 'x' }).kind).toBe('refused'),
  );

  it('that names two EHRs, or a launch without one, is refused', () => {
    expect(readLaunchRequest(`?iss=${issuer.iss}&iss=${other.iss}`, config).kind).toBe('refused');
    expect(read({ launch: 'abc' }).kind).toBe('refused');
  });

  it('asks for reading scopes only', () => {
    expect(scopesOf('ehr')).toContain(' launch ');
    expect(scopesOf('standalone')).toContain(' launch/patient ');
    for (const scope of scopesOf('ehr')
      .split(' ')
      .filter((part) => part.includes('.')))
      expect(scope).toMatch(/\.rs?$/);
  });

  it('asks for the scopes that the guide for integrators lists, and for no other', () => {
    const listed = /^\| scopes \| `([^`]+)` \|$/m.exec(guide)![1].split(' ');
    expect(scopesOf('ehr').split(' ').toSorted()).toEqual([...listed, 'launch'].toSorted());
    expect(scopesOf('standalone').split(' ').toSorted()).toEqual([...listed, 'launch/patient'].toSorted());
  });

  it('gets a state of 256 bits, never the same twice', () => {
    const states = new Set(Array.from({ length: 100 }, newState));
    expect(states.size).toBe(100);
    for (const state of states) expect(state).toMatch(/^[A-Za-z0-9_-]{43}$/);
  });
});
