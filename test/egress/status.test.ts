import { describe, expect, it } from '@jest/globals';
import { parseRetryAfter, throwForStatus } from '../../api/egress/status.ts';

const json = { 'content-type': 'application/fhir+json; charset=utf-8' };

describe('an answer of an EHR or PACS', () => {
  const classes: readonly (readonly [number, Record<string, string>, string, boolean])[] = [
    [401, json, 'ehr-unauthorized', false],
    [403, json, 'ehr-unauthorized', false],
    [404, json, 'ehr-not-found', false],
    [410, json, 'ehr-not-found', false],
    [400, json, 'ehr-rejected', false],
    [409, json, 'ehr-rejected', false],
    [412, json, 'ehr-rejected', false],
    [422, json, 'ehr-rejected', false],
    [408, json, 'ehr-unavailable', true],
    [429, { 'retry-after': '7' }, 'ehr-throttled', true],
    [500, {}, 'ehr-unavailable', true],
    [502, { 'content-type': 'text/html' }, 'ehr-unavailable', true],
    [503, { 'retry-after': '7' }, 'ehr-unavailable', true],
    [200, { 'content-type': 'text/html' }, 'ehr-answer-not-json', false],
    [200, { 'content-type': 'application/xhtml+json-not' }, 'ehr-answer-not-json', false],
    [200, {}, 'ehr-answer-not-json', false],
  ];
  it.each(classes)('%d with %j is %s (worth asking again: %s)', async (status, headers, code, transient) => {
    const response = new Response(new Uint8Array(3), { status, headers });
    await expect(throwForStatus(response, 'ehr', 'json')).rejects.toMatchObject({
      code,
      transient,
      details: { status },
    });
  });

  it('passes when it is a success of the expected type', async () => {
    await throwForStatus(new Response('{}', { headers: json }), 'ehr', 'json');
    await throwForStatus(new Response('[]', { headers: { 'content-type': 'application/dicom+json' } }), 'pacs', 'json');
    await throwForStatus(new Response('{}', { headers: { 'content-type': 'application/json' } }), 'ehr', 'json');
    await throwForStatus(new Response(null, { status: 204 }), 'pacs', 'json');
    await throwForStatus(new Response('bytes', { headers: { 'content-type': 'application/dicom' } }), 'pacs');
  });

  it('says how long to wait', async () => {
    const busy = new Response('', { status: 503, headers: { 'retry-after': '7' } });
    await expect(throwForStatus(busy, 'ehr')).rejects.toMatchObject({ retryAfterMs: 7000 });
    const now = Date.parse('2026-01-01T00:00:00Z');
    expect(parseRetryAfter('Thu, 01 Jan 2026 00:00:30 GMT', now)).toBe(30_000);
    expect(parseRetryAfter('Wed, 31 Dec 2025 00:00:00 GMT', now)).toBeUndefined();
    expect(parseRetryAfter('soon', now)).toBeUndefined();
    expect(parseRetryAfter('999999999', now)).toBe(3_600_000);
    expect(parseRetryAfter(null, now)).toBeUndefined();
  });
});
