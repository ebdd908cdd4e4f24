import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { openBench } from './support/ehr.ts';
import type { EhrBench } from './support/ehr.ts';
import type { Fault } from './support/fhir-server.ts';
import { aReport } from './support/report.ts';

const REFERENCE = { resourceType: 'ImagingStudy', id: 'ct' } as const;
const HTML: Fault = { status: 200, type: 'text/html', body: '<html>Please sign in</html>' };

function outcome(issue: Record<string, unknown>): unknown {
  return { resourceType: 'OperationOutcome', issue: [{ severity: 'error', code: 'invalid', ...issue }] };
}

let bench: EhrBench;
beforeEach(async () => {
  bench = await openBench({ totalMs: 400, idleMs: 300 });
});
afterEach(() => bench.close());

describe('an EHR that answers badly when a study is read', () => {
  it.each<[string, Fault, { code: string; transient: boolean; retryAfterMs?: number }]>([
    ['401', { status: 401 }, { code: 'ehr-unauthorized', transient: false }],
    ['403', { status: 403 }, { code: 'ehr-unauthorized', transient: false }],
    ['404', { status: 404 }, { code: 'study-not-found', transient: false }],
    ['410', { status: 410 }, { code: 'study-not-found', transient: false }],
    ['400', { status: 400 }, { code: 'ehr-rejected', transient: false }],
    ['409', { status: 409 }, { code: 'ehr-conflict', transient: true }],
    ['412', { status: 412 }, { code: 'ehr-rejected', transient: false }],
    [
      '429 with Retry-After',
      { status: 429, headers: { 'retry-after': '7' } },
      { code: 'ehr-throttled', transient: true, retryAfterMs: 7000 },
    ],
    ['429', { status: 429 }, { code: 'ehr-throttled', transient: true }],
    ['500', { status: 500 }, { code: 'ehr-unavailable', transient: true }],
    ['501', { status: 501 }, { code: 'ehr-unsupported', transient: false }],
    [
      '503 with Retry-After',
      { status: 503, headers: { 'retry-after': '2' } },
      { code: 'ehr-unavailable', transient: true, retryAfterMs: 2000 },
    ],
    ['503 in HTML', { ...HTML, status: 503 }, { code: 'ehr-unavailable', transient: true }],
    ['a login page with 200', HTML, { code: 'ehr-answer-not-fhir', transient: false }],
    [
      'JSON that is no resource',
      { status: 200, body: { hello: 'world' } },
      { code: 'ehr-answer-not-fhir', transient: false },
    ],
    ['the JSON null', { status: 200, body: 'null' }, { code: 'ehr-answer-not-fhir', transient: false }],
    [
      'JSON cut short',
      { status: 200, body: '{"resourceType":"Imag' },
      { code: 'ehr-answer-not-fhir', transient: false },
    ],
    ['an empty body', { status: 200 }, { code: 'ehr-answer-not-fhir', transient: false }],
    [
      'another study',
      { status: 200, body: { resourceType: 'ImagingStudy', id: 'other' } },
      { code: 'ehr-answer-not-fhir', transient: false },
    ],
    [
      'a redirect',
      { status: 302, headers: { location: 'http://127.0.0.1:1/' } },
      { code: 'egress-refused', transient: false },
    ],
    ['silence', 'hang', { code: 'upstream-timeout', transient: true }],
    ['a cut connection', 'work-then-cut', { code: 'upstream-truncated', transient: true }],
  ])('%s', async (_, fault, wanted) => {
    bench.server.fault = () => fault;
    const error = await bench.ehr.readStudy(REFERENCE, bench.signal).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject(wanted);
    expect(bench.server.requests).toHaveLength(1); // trying again is the queue's work
  });

  it('cannot be reached when nothing listens', async () => {
    await bench.server.stop();
    await expect(bench.ehr.readStudy(REFERENCE, bench.signal)).rejects.toMatchObject({
      code: 'upstream-unreachable',
      transient: true,
    });
  });

  it('is left alone when the work is cancelled', async () => {
    bench.server.fault = () => 'hang';
    const controller = new AbortController();
    const reading = bench.ehr.readStudy(REFERENCE, controller.signal);
    controller.abort();
    await expect(reading).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('never puts what it says about a patient into an error', async () => {
    const body = outcome({
      diagnostics: 'Anna Berg, MRN-1',
      details: { text: 'Anna Berg' },
      expression: ["Patient.name('Anna Berg')"],
    });
    bench.server.fault = () => ({ status: 422, body });
    const error = (await bench.ehr.readStudy(REFERENCE, bench.signal).catch((thrown: unknown) => thrown)) as Error;
    const { message, details } = error as Error & { details: unknown };
    expect(JSON.stringify({ message, details })).not.toMatch(/Anna|MRN-1/);
  });
});

describe('an EHR that answers badly when a result is written', () => {
  it.each<[string, Fault, Record<string, unknown>]>([
    ['401', { status: 401 }, { code: 'ehr-unauthorized', transient: false }],
    ['403', { status: 403 }, { code: 'ehr-unauthorized', transient: false }],
    ['404', { status: 404 }, { code: 'ehr-rejected', transient: false }],
    ['405', { status: 405 }, { code: 'ehr-rejected', transient: false }],
    ['409', { status: 409 }, { code: 'ehr-conflict', transient: true }],
    ['412', { status: 412 }, { code: 'ehr-rejected', transient: false }],
    [
      '422 naming an element',
      { status: 422, body: outcome({ expression: ['RiskAssessment.prediction[0].whenPeriod'] }) },
      {
        code: 'ehr-rejected',
        transient: false,
        details: { issues: ['invalid at RiskAssessment.prediction[0].whenPeriod'] },
      },
    ],
    [
      '429',
      { status: 429, headers: { 'retry-after': '3' } },
      { code: 'ehr-throttled', transient: true, retryAfterMs: 3000 },
    ],
    ['500', { status: 500 }, { code: 'ehr-unavailable', transient: true }],
    ['HTML with 200', HTML, { code: 'ehr-answer-not-fhir', transient: false }],
    ['silence', 'hang', { code: 'upstream-timeout', transient: true }],
    [
      'a transaction answer that confirms nothing',
      { status: 200, body: { resourceType: 'Bundle', type: 'transaction-response' } },
      { code: 'ehr-transaction-incomplete', transient: false },
    ],
  ])('%s', async (_, fault, wanted) => {
    bench.server.fault = ({ method, path }) => (method === 'POST' && path === '' ? fault : undefined);
    const error: unknown = await bench.ehr.writeBack(aReport(), bench.signal).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject(wanted);
    expect(bench.server.counts()).not.toHaveProperty('RiskAssessment');

    bench.server.fault = () => undefined;
    await bench.restarted().writeBack(aReport(), bench.signal);
    expect(bench.server.counts()).toMatchObject({ RiskAssessment: 1, Provenance: 1, Media: 2, Binary: 2 });
  });

  it('is asked again later when it does not show yet what it has accepted', async () => {
    let written = false;
    bench.server.fault = ({ method, path }) => {
      if (method === 'POST') written = true;
      return written && method === 'GET' && path.startsWith('RiskAssessment') ? { status: 404 } : undefined;
    };
    await expect(bench.ehr.writeBack(aReport(), bench.signal)).rejects.toMatchObject({
      code: 'ehr-read-back-missing',
      transient: true,
    });
  });
});

describe('the health of an EHR', () => {
  it('is good when it speaks FHIR R4', async () => {
    expect(await bench.ehr.health(bench.signal)).toEqual({ ok: true });
  });

  it.each<[string, Fault, RegExp]>([
    [
      'another FHIR version',
      { status: 200, body: { resourceType: 'CapabilityStatement', fhirVersion: '5.0.0' } },
      /does not speak FHIR R4/,
    ],
    ['a credential it refuses', { status: 401 }, /ehr-unauthorized/],
    ['a login page', HTML, /ehr-answer-not-fhir/],
    ['silence', 'hang', /upstream-timeout/],
  ])('is bad, with the reason, on %s', async (_, fault, reason) => {
    bench.server.fault = () => fault;
    expect(await bench.ehr.health(bench.signal)).toEqual({ ok: false, reason: expect.stringMatching(reason) });
  });
});
