/** When the one who has to be asked about a token does not answer: nobody is let in, and nobody is told that the token is bad. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import { createAuthorizer } from '../../api/authorization/authorizer.ts';
import { BearerJwtVerifier } from '../../api/authorization/bearer-jwt.ts';
import { UnauthorizedError } from '../../api/authorization/caller.ts';
import { Introspector } from '../../api/authorization/introspection.ts';
import { TransientError } from '../../api/errors.ts';
import { AUDIENCE, makeIssuer } from './support/issuer.ts';

const TOKEN = 'token-of-a-user-of-the-ehr';
const ACTIVE = { active: true, client_id: 'app', patient: 'his', scope: 'patient/RiskAssessment.rs' };

describe('The EHR, asked about a user’s token', () => {
  let asked: number;
  let answer: () => Promise<Response>;
  let nowMs: number;
  let users: Introspector;
  beforeEach(() => {
    asked = 0;
    nowMs = 1_800_000_000_000;
    answer = async () => Response.json(ACTIVE);
    users = new Introspector({
      url: 'https://ehr.example/introspect',
      clientId: 'app',
      now: () => nowMs,
      fetch: () => {
        asked += 1;
        return answer();
      },
    });
  });
  const codeOf = (token = TOKEN): Promise<string> =>
    users.identify(token).then(
      ({ kind }) => kind,
      (error: { code: string }) => error.code,
    );

  it('says whose chart is open and what may be done', async () => {
    const caller = { kind: 'user', patient: 'Patient/his', scopes: ['patient/RiskAssessment.rs'] };
    expect(await users.identify(TOKEN)).toEqual(caller);
  });

  it.each<[string, () => Promise<Response>]>([
    ['does not answer', () => Promise.reject(new TransientError('upstream-timeout', 'late'))],
    ['answers 500', async () => Response.json({}, { status: 500 })],
    ['refuses our own credential', async () => Response.json({}, { status: 401 })],
    ['answers with a page', async () => new Response('<html>')],
    ['does not say whether the token is active', async () => Response.json({ client_id: 'app' })],
    ['says it in words', async () => Response.json({ ...ACTIVE, active: 'true' })],
    ['answers with null', async () => Response.json(null)],
  ])('%s: 503, and the next question is asked anew', async (_, fault) => {
    answer = fault;
    await expect(users.identify(TOKEN)).rejects.toMatchObject({ code: 'introspection-unavailable', status: 503 });
    answer = async () => Response.json(ACTIVE);
    expect(await codeOf()).toBe('user');
  });

  it('is asked once for many calls at a time, and again after 15 s', async () => {
    await Promise.all(Array.from({ length: 20 }, () => users.identify(TOKEN)));
    expect(asked).toBe(1);
    nowMs += 14_000;
    await users.identify(TOKEN);
    expect(asked).toBe(1);
    answer = async () => Response.json({ active: false });
    nowMs += 2_000;
    expect(await codeOf()).toBe('unauthorized');
    expect(asked).toBe(2);
  });

  it('is not believed beyond the end of the token', async () => {
    const exp = nowMs / 1000 + 3;
    answer = async () => Response.json({ ...ACTIVE, exp });
    expect(await codeOf()).toBe('user');
    nowMs += 4_000;
    expect(await codeOf()).toBe('unauthorized');
  });

  it('is not flooded with questions by strangers', async () => {
    answer = () => new Promise(() => undefined);
    const many = Array.from({ length: 200 }, (_, index) => codeOf(`token-of-a-stranger-${index}`));
    expect(await Promise.race(many.slice(100))).toBe('introspection-unavailable');
    expect(asked).toBeLessThanOrEqual(32);
  });
});

describe('An issuer, whose keys are at an address', () => {
  it('is asked for them once, is asked again for an unknown key at most every 30 s, and may be away: 503', async () => {
    const issuer = await makeIssuer('https://issuer.example');
    let asked = 0;
    let isThere = false;
    const jwts = new BearerJwtVerifier(
      [{ iss: issuer.iss, jwksUrl: 'https://issuer.example/jwks', audience: AUDIENCE }],
      async () => {
        asked += 1;
        if (!isThere) throw new TransientError('upstream-unreachable', 'away');
        return Response.json(issuer.jwks);
      },
    );
    const token = await issuer.token();
    await expect(jwts.verify(token)).rejects.toMatchObject({ code: 'issuer-keys-unavailable', status: 503 });
    isThere = true;
    for (let index = 0; index < 5; index++) expect(await jwts.verify(token)).toMatchObject({ kind: 'client' });
    expect(asked).toBe(2);
    const unknown = await issuer.token({ header: { kid: 'another' } });
    for (let index = 0; index < 5; index++) await expect(jwts.verify(unknown)).rejects.toThrow(UnauthorizedError);
    expect(asked).toBe(2);
  });

  it('never has its tokens shown to the EHR', async () => {
    const issuer = await makeIssuer('https://issuer.example');
    const shown: string[] = [];
    const authorizer = createAuthorizer({
      jwts: new BearerJwtVerifier([{ iss: issuer.iss, jwks: issuer.jwks, audience: AUDIENCE }], fetch),
      users: {
        identify: async (token) => {
          shown.push(token);
          throw new UnauthorizedError();
        },
      },
    });
    const bad = await issuer.token({ claims: { aud: 'elsewhere' } });
    await expect(authorizer.authorize({ authorization: `Bearer ${bad}`, isLocal: true })).rejects.toThrow(
      UnauthorizedError,
    );
    expect(shown).toEqual([]);
  });
});
