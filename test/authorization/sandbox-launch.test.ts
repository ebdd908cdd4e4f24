/** SMART App Launch 2.2 against the sandbox EHR, step by step as an app goes. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Patient, Practitioner } from '@medplum/fhirtypes';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import {
  removeFolders,
  startSandbox,
  temporaryFolder,
  testPatient,
  writePatients,
} from '../sandbox/support/running-sandbox.ts';
import type { RunningSandbox } from '../sandbox/support/running-sandbox.ts';
import { callFhir } from '../sandbox/support/fhir-client.ts';
import { APP_SCOPES, authorizationRequest, beginLaunch, Browser, exchange, launchFromEhr } from './support/browser.ts';

let running: RunningSandbox;
let origin: string;
let folders: string[];
const ANA = testPatient.slug;
const BEN = 'test-ben';

beforeAll(async () => {
  folders = [await temporaryFolder(), await writePatients()];
  running = await startSandbox(folders[0], folders[1]);
  origin = running.origin;
  const ben: Patient = { resourceType: 'Patient', id: BEN, name: [{ family: '<Sim>', given: ['Ben'] }] };
  await callFhir(`${running.fhir}/Patient/${BEN}`, 'PUT', ben);
});
afterAll(async () => {
  await running.close();
  await removeFolders(...folders);
});

const introspect = async (token: string, credential = running.sandbox.introspectionCredential) => {
  const response = await fetch(`${origin}/sandbox/auth/token/introspection`, {
    method: 'POST',
    headers: { authorization: credential, 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ token }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
};

describe('The EHR says how to reach it', () => {
  it('at .well-known/smart-configuration, naming only endpoints that answer', async () => {
    const response = await fetch(`${running.fhir}/.well-known/smart-configuration`);
    expect(response.headers.get('content-type')).toMatch(/^application\/json/);
    const configuration = (await response.json()) as Record<string, string> & { capabilities: string[] };
    expect(configuration).toMatchObject({
      issuer: `${origin}/sandbox/auth`,
      authorization_endpoint: `${origin}/sandbox/auth/authorize`,
      token_endpoint: `${origin}/sandbox/auth/token`,
      code_challenge_methods_supported: ['S256'],
    });
    expect(configuration.capabilities).toEqual(
      expect.arrayContaining(['launch-ehr', 'launch-standalone', 'permission-v2', 'client-confidential-asymmetric']),
    );
    const discovered = await fetch(`${configuration.issuer}/.well-known/openid-configuration`);
    const openid = (await discovered.json()) as Record<string, string>;
    for (const [name, url] of Object.entries(configuration)) {
      if (/_endpoint$|jwks_uri/.test(name)) expect(openid[name]).toBe(url);
    }
  });
});

describe('An EHR launch', () => {
  it('opens the chart it was begun in without a click, and tells the app all of its context', async () => {
    const token = await launchFromEhr(origin, {
      patient: ANA,
      imagingStudy: `${ANA}-ct`,
      intent: 'review',
      appContext: '{"riskAssessment":"RiskAssessment/1"}',
      needPatientBanner: false,
    });
    expect(token).toMatchObject({
      token_type: 'Bearer',
      patient: ANA,
      need_patient_banner: false,
      intent: 'review',
      appContext: '{"riskAssessment":"RiskAssessment/1"}',
      fhirContext: [{ reference: `ImagingStudy/${ANA}-ct` }],
      fhirUser: `${running.fhir}/Practitioner/sandbox-clinician`,
    });
    expect(token.scope.split(' ').sort()).toEqual(`launch ${APP_SCOPES}`.split(' ').sort());
    expect(token.expires_in).toBe(3600);

    const keys = createRemoteJWKSet(new URL(`${origin}/sandbox/auth/jwks`));
    const { payload } = await jwtVerify(token.id_token ?? '', keys, {
      issuer: `${origin}/sandbox/auth`,
      audience: 'hemocast-app',
      algorithms: ['RS256'],
    });
    expect(payload.fhirUser).toBe(token.fhirUser);
    const { body } = await running.get<Practitioner>('Practitioner/sandbox-clinician');
    expect(body.name).toMatchObject([{ family: 'Sandbox' }]);
  });

  it('keeps two tabs of one browser with two patients apart, however their steps interleave', async () => {
    const browser = new Browser(origin);
    const scope = `launch ${APP_SCOPES}`;
    await launchFromEhr(origin, { patient: ANA }, scope, browser); // the session that both tabs share
    const [forAna, forBen] = [await beginLaunch(origin, { patient: ANA }), await beginLaunch(origin, { patient: BEN })];
    const ana = authorizationRequest(origin, { scope, launch: forAna });
    const ben = authorizationRequest(origin, { scope, launch: forBen });
    const anaAnswer = new URL((await browser.follow(ana.url)).url).searchParams;
    const benAnswer = new URL((await browser.follow(ben.url)).url).searchParams;
    const benToken = await exchange(origin, benAnswer.get('code')!, ben.verifier);
    const anaToken = await exchange(origin, anaAnswer.get('code')!, ana.verifier);
    expect([anaToken.body.patient, benToken.body.patient]).toEqual([ANA, BEN]);
    expect((await introspect(anaToken.body.access_token)).body).toMatchObject({ active: true, patient: ANA });
    expect((await introspect(benToken.body.access_token)).body).toMatchObject({ active: true, patient: BEN });
  });

  it('redeems a launch once', async () => {
    const launch = await beginLaunch(origin, { patient: ANA });
    const scope = `launch ${APP_SCOPES}`;
    const first = await new Browser(origin).follow(authorizationRequest(origin, { scope, launch }).url);
    expect(new URL(first.url).searchParams.get('code')).toBeTruthy();
    const second = await new Browser(origin).follow(authorizationRequest(origin, { scope, launch }).url);
    expect(new URL(second.url).searchParams.get('error')).toBe('invalid_request');
  });

  it.each([
    ['of nobody', { patient: 'nobody' }],
    ['without a patient', {}],
    ['of a study that is not there', { patient: ANA, imagingStudy: 'none' }],
    ['with a context that is no text', { patient: ANA, appContext: {} }],
  ])('is not begun %s', async (_what, body) => {
    await expect(beginLaunch(origin, body)).rejects.toThrow('400');
  });
});

describe('A standalone launch', () => {
  it('asks for a patient, says that the sign-in is simulated, and opens that chart', async () => {
    const browser = new Browser(origin);
    const request = authorizationRequest(origin, { scope: `launch/patient ${APP_SCOPES}` });
    const { url, page, status } = await browser.follow(request.url);
    expect(status).toBe(200);
    expect(page).toContain('simulated sign-in');
    expect(page).toContain('Test-Sim, Ana');
    expect(page).not.toContain('<Sim>');

    const chosen = await browser.follow(url, { method: 'POST', body: new URLSearchParams({ patient: BEN }) });
    const answer = new URL(chosen.url).searchParams;
    expect(answer.get('state')).toBe(request.state);
    const { body } = await exchange(origin, answer.get('code')!, request.verifier);
    expect(body).toMatchObject({ patient: BEN, need_patient_banner: true });
  });

  it('does not let another browser choose', async () => {
    const { url } = await new Browser(origin).follow(
      authorizationRequest(origin, { scope: `launch/patient ${APP_SCOPES}` }).url,
    );
    const body = new URLSearchParams({ patient: BEN });
    expect((await new Browser(origin).follow(url, { method: 'POST', body })).status).toBe(400);
  });
});

describe('The authorization server refuses', () => {
  const scope = `launch/patient ${APP_SCOPES}`;

  it.each([
    ['a request without PKCE', { code_challenge: undefined, code_challenge_method: undefined }, 'invalid_request'],
    ['PKCE by the plain method', { code_challenge_method: 'plain' }, 'invalid_request'],
    ['another audience', { aud: 'https://elsewhere.example/fhir' }, 'invalid_request'],
    ['no audience', { aud: undefined }, 'invalid_request'],
    ['the implicit flow', { response_type: 'token' }, 'unsupported_response_type'],
    ['a launch that it never gave', { scope: `launch ${APP_SCOPES}`, launch: 'made-up' }, 'invalid_request'],
    ['a launch scope without a launch', { scope: `launch ${APP_SCOPES}` }, 'invalid_request'],
  ])('%s', async (_what, overrides: Record<string, string | undefined>, error) => {
    const { url } = await new Browser(origin).follow(authorizationRequest(origin, { scope }, overrides).url);
    const answer = new URL(url.replace('#', '?')).searchParams;
    expect([answer.get('error'), answer.get('code')]).toEqual([error, null]);
  });

  it.each([
    ['a foreign redirect URI', { redirect_uri: 'https://attacker.example/app' }],
    ['an unknown client', { client_id: 'someone' }],
  ])('%s without redirecting anywhere', async (_what, overrides) => {
    const { status, page } = await new Browser(origin).follow(authorizationRequest(origin, { scope }, overrides).url);
    expect(status).toBe(400);
    expect(page).toContain('The app was not opened');
  });

  it('a code with another verifier, and a code used twice, whose token then ends', async () => {
    const launch = await beginLaunch(origin, { patient: ANA });
    const request = authorizationRequest(origin, { scope: `launch ${APP_SCOPES}`, launch });
    const code = new URL((await new Browser(origin).follow(request.url)).url).searchParams.get('code')!;
    expect((await exchange(origin, code, 'x'.repeat(43))).body.error).toBe('invalid_grant');
    const { body } = await exchange(origin, code, request.verifier);
    expect((await introspect(body.access_token)).body.active).toBe(true);
    expect((await exchange(origin, code, request.verifier)).body.error).toBe('invalid_grant');
    expect((await introspect(body.access_token)).body).toEqual({ active: false });
  });

  it('to grant an app what it does not know or what is for backend services', async () => {
    const asked = 'launch patient/Observation.rs patient/Observation.sr patient/Spaceship.rs system/Observation.rs';
    const { scope: granted } = await launchFromEhr(origin, { patient: ANA }, asked);
    expect(granted).toBe('launch patient/Observation.rs');
  });
});

describe('Introspection', () => {
  it('tells the service whose token it is, for whom, and until when', async () => {
    const token = await launchFromEhr(origin, { patient: ANA });
    const { body } = await introspect(token.access_token);
    expect(body).toMatchObject({ active: true, client_id: 'hemocast-app', patient: ANA, scope: token.scope });
    expect((body.exp as number) - (body.iat as number)).toBe(3600);
  });

  it('says of anything else only that it is not active', async () => {
    expect((await introspect('made-up')).body).toEqual({ active: false });
  });

  it('is not answered without the credential of the service', async () => {
    const wrong = `Basic ${Buffer.from('hemocast-service:guess').toString('base64')}`;
    expect((await introspect('made-up', wrong)).status).toBe(401);
  });
});
