/** A browser and the SMART app inside it, reduced to what an authorization needs: cookies by path, redirects, PKCE. */
import { createHash, randomBytes } from 'node:crypto';

export interface TokenResponse {
  readonly access_token: string;
  readonly token_type: string;
  readonly expires_in: number;
  readonly scope: string;
  readonly id_token?: string;
  readonly patient?: string;
  readonly need_patient_banner?: boolean;
  readonly fhirUser?: string;
  readonly intent?: string;
  readonly appContext?: string;
  readonly fhirContext?: readonly { readonly reference: string }[];
  readonly error?: string;
}

/** The scopes of the app (smart-app/src/session). */
export const APP_SCOPES =
  'openid fhirUser patient/Patient.r patient/ImagingStudy.rs patient/RiskAssessment.rs patient/Observation.rs ' +
  'patient/Media.rs patient/Provenance.rs patient/DocumentReference.rs user/Binary.r user/Device.r';

export class Browser {
  readonly #cookies = new Map<string, { readonly value: string; readonly path: string }>();
  readonly #origin: string;

  constructor(origin: string) {
    this.#origin = origin;
  }

  /** One request, redirects not followed. */
  async request(url: string, init: RequestInit = {}): Promise<Response> {
    const { pathname } = new URL(url);
    const cookie = [...this.#cookies]
      .filter(([, { path }]) => pathname === path || pathname.startsWith(path.replace(/\/?$/, '/')))
      .map(([name, { value }]) => `${name}=${value}`)
      .join('; ');
    const response = await fetch(url, { ...init, redirect: 'manual', headers: { ...init.headers, cookie } });
    for (const line of response.headers.getSetCookie()) {
      const [pair, ...attributes] = line.split(/;\s*/);
      const [name, value] = pair.split(/=(.*)/s);
      const path = attributes.find((each) => /^path=/i.test(each))?.slice('path='.length) ?? '/';
      if (value === '') this.#cookies.delete(name);
      else this.#cookies.set(name, { value, path });
    }
    return response;
  }

  /** Follows redirects until a page or the app's redirect URI is reached; the latter is not fetched. */
  async follow(url: string, init: RequestInit = {}): Promise<{ url: string; page?: string; status: number }> {
    let next = url;
    let response = await this.request(next, init);
    for (;;) {
      const location = response.headers.get('location');
      if (location === null) return { url: next, page: await response.text(), status: response.status };
      await response.body?.cancel();
      next = new URL(location, next).href;
      if (next.startsWith(`${this.#origin}/app/`)) return { url: next, status: response.status };
      response = await this.request(next);
    }
  }
}

export interface AuthorizationRequest {
  readonly verifier: string;
  readonly state: string;
  readonly url: string;
}

/** The app's authorization request with PKCE S256; `overrides` change or (undefined) remove parameters. */
export function authorizationRequest(
  origin: string,
  parameters: Record<string, string>,
  overrides: Record<string, string | undefined> = {},
): AuthorizationRequest {
  const verifier = randomBytes(32).toString('base64url');
  const state = randomBytes(32).toString('base64url');
  const all: Record<string, string | undefined> = {
    response_type: 'code',
    client_id: 'hemocast-app',
    redirect_uri: `${origin}/app/index.html`,
    aud: `${origin}/sandbox/fhir`,
    state,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...parameters,
    ...overrides,
  };
  const query = new URLSearchParams(
    Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
  return { verifier, state, url: `${origin}/sandbox/auth/authorize?${query}` };
}

export async function exchange(
  origin: string,
  code: string,
  verifier: string,
  overrides: Record<string, string> = {},
): Promise<{ status: number; body: TokenResponse }> {
  const response = await fetch(`${origin}/sandbox/auth/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      client_id: 'hemocast-app',
      redirect_uri: `${origin}/app/index.html`,
      code,
      code_verifier: verifier,
      ...overrides,
    }),
  });
  return { status: response.status, body: (await response.json()) as TokenResponse };
}

export async function beginLaunch(origin: string, body: object): Promise<string> {
  const response = await fetch(`${origin}/sandbox/launch`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (response.status !== 200) throw new Error(`POST /sandbox/launch: ${response.status}`);
  return ((await response.json()) as { launch: string }).launch;
}

/** A whole EHR launch: the EHR's panel, the authorization, the token. */
export async function launchFromEhr(
  origin: string,
  launch: object,
  scope = `launch ${APP_SCOPES}`,
  browser = new Browser(origin),
): Promise<TokenResponse> {
  const opaque = await beginLaunch(origin, launch);
  const request = authorizationRequest(origin, { scope, launch: opaque });
  const { url } = await browser.follow(request.url);
  const answer = new URL(url).searchParams;
  if (answer.get('state') !== request.state) throw new Error(`The state came back changed: ${url}`);
  const { status, body } = await exchange(origin, answer.get('code') ?? '', request.verifier);
  if (status !== 200) throw new Error(`POST token: ${status} ${JSON.stringify(body)}`);
  return body;
}
