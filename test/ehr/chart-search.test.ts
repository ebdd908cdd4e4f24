/** The chart as a hook reads it: with the token that was lent, for one system, and nothing of it elsewhere. */
import { afterEach, describe, expect, it } from '@jest/globals';
import type { RequestListener } from 'node:http';
import { Egress } from '../../api/egress/egress.ts';
import { searchChart } from '../../api/ehr/chart-search.ts';
import { serve } from '../support/http-server.ts';
import type { TestServer } from '../support/http-server.ts';

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

async function start(listener: RequestListener): Promise<TestServer> {
  const server = await serve(listener);
  open.push(() => server.close());
  return server;
}

const SEARCH = { resourceType: 'RiskAssessment', parameters: { patient: 'p 1' } };
const CANARY = 'canary-token';

function bundle(more: object = {}): string {
  const entry = [
    { resource: { resourceType: 'RiskAssessment', id: 'r1' } },
    { resource: { resourceType: 'OperationOutcome' }, search: { mode: 'outcome' } },
  ];
  return JSON.stringify({ resourceType: 'Bundle', type: 'searchset', entry, ...more });
}

function egressTo(...baseUrls: string[]): Egress {
  const systems = baseUrls.map((baseUrl, index) => ({
    name: `s${index}`,
    baseUrl,
    authorization: `Bearer own-${index}`,
  }));
  const egress = new Egress(systems);
  open.push(() => egress.close());
  return egress;
}

const search = (egress: Egress, baseUrl: string, accessToken?: string) =>
  searchChart(SEARCH, { baseUrl, accessToken }, egress, AbortSignal.timeout(5_000));

describe('A search of a hook', () => {
  it('presents the lent token instead of our own, and our own where none was lent', async () => {
    const server = await start((_request, response) => response.end(bundle()));
    const base = `${server.origin}/fhir`;
    const egress = egressTo(base);
    expect(await search(egress, base, CANARY)).toEqual([{ resourceType: 'RiskAssessment', id: 'r1' }]);
    await search(egress, base);
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual([`Bearer ${CANARY}`, 'Bearer own-0']);
    expect(server.requests[0].url).toBe('/fhir/RiskAssessment?patient=p+1');
  });

  it.each<[string, (origin: string, elsewhere: string) => string]>([
    ['another origin', (_origin, elsewhere) => `${elsewhere}/fhir/RiskAssessment?page=2`],
    ['another system on the same origin', (origin) => `${origin}/other/RiskAssessment?page=2`],
    ['a system below the base', (origin) => `${origin}/fhir/inner/RiskAssessment?page=2`],
    ['a path that climbs out', (origin) => `${origin}/fhir/%2e%2e/other/x`],
  ])('takes no token to %s, whatever the next link says', async (_what, linkTo) => {
    const elsewhere = await start((_request, response) => response.end(bundle()));
    const server: TestServer = await start((_request, response) => {
      response.end(bundle({ link: [{ relation: 'next', url: linkTo(server.origin, elsewhere.origin) }] }));
    });
    const base = `${server.origin}/fhir`;
    const egress = egressTo(base, `${server.origin}/other`, `${base}/inner`, `${elsewhere.origin}/fhir`);
    await expect(search(egress, base, CANARY)).rejects.toMatchObject({
      code: expect.stringMatching(/egress-refused|ehr-link-outside-base/),
    });
    expect(server.requests.map(({ url }) => url)).toEqual(['/fhir/RiskAssessment?patient=p+1']);
    expect(elsewhere.requests).toEqual([]);
  });

  it('takes no token along a redirect', async () => {
    const elsewhere = await start((_request, response) => response.end(bundle()));
    const server = await start((_request, response) =>
      response.writeHead(307, { location: `${elsewhere.origin}/fhir/x` }).end(),
    );
    const base = `${server.origin}/fhir`;
    await expect(search(egressTo(base, `${elsewhere.origin}/fhir`), base, CANARY)).rejects.toMatchObject({
      code: 'egress-refused',
    });
    expect(elsewhere.requests).toEqual([]);
  });

  it('lends nothing to a base that is not registered itself, also when it lies below one that is', async () => {
    const server = await start((_request, response) => response.end(bundle()));
    const egress = egressTo(`${server.origin}/fhir`);
    for (const base of [`${server.origin}/fhir/inner`, `${server.origin}/other`, 'https://evil.example/fhir']) {
      await expect(search(egress, base, CANARY)).rejects.toMatchObject({ code: 'egress-refused' });
    }
    expect(server.requests).toEqual([]);
  });

  it('follows pages, and gives up on a list that is too long for a hook', async () => {
    let pages = 0;
    const server: TestServer = await start((_request, response) => {
      const link =
        ++pages === 2 ? [] : [{ relation: 'next', url: `${server.origin}/fhir/RiskAssessment?page=${pages}` }];
      response.end(bundle({ link }));
    });
    const base = `${server.origin}/fhir`;
    expect(await search(egressTo(base), base, CANARY)).toHaveLength(2);
    await expect(search(egressTo(base), base, CANARY)).rejects.toMatchObject({ code: 'ehr-search-too-long' });
  });

  it.each<[string, number, string, string]>([
    ['refuses', 403, '{}', 'ehr-search-refused'],
    ['answers in HTML', 200, '<html>', 'ehr-answer-malformed'],
    ['answers with null', 200, 'null', 'ehr-answer-malformed'],
    ['answers with an OperationOutcome', 200, '{"resourceType":"OperationOutcome"}', 'ehr-answer-malformed'],
    ['answers with entries that are no list', 200, '{"resourceType":"Bundle","entry":{}}', 'ehr-answer-malformed'],
  ])('says so when the EHR %s, without the token', async (_what, status, body, code) => {
    const server = await start((_request, response) => response.writeHead(status).end(body));
    const base = `${server.origin}/fhir`;
    const error = await search(egressTo(base), base, CANARY).then(undefined, (reason: unknown) => reason);
    expect(error).toMatchObject({ code });
    expect(JSON.stringify(error) + String((error as Error).stack)).not.toContain(CANARY);
  });
});
