import { describe, expect, it } from '@jest/globals';
import { Capabilities } from '../../api/ehr/capabilities.ts';
import { hoursAfter, toDateTime } from '../../api/ehr/date-time.ts';

describe('72 hours later', () => {
  it.each([
    ['2026-03-01T12:10:00+01:00', '2026-03-04T12:10:00+01:00'],
    ['2026-02-27T23:59:59Z', '2026-03-02T23:59:59Z'],
    ['2026-12-30T01:00:00-03:30', '2027-01-02T01:00:00-03:30'],
    ['2026-03-01T12:10:00.250+05:45', '2026-03-04T12:10:00+05:45'],
    ['2028-02-27', '2028-03-01'],
  ])('than %s is %s: the same clock, the same precision', (start, end) => {
    expect(hoursAfter(start, 72)).toBe(end);
    if (start.includes('T'))
      expect(Math.floor((Date.parse(end) - Date.parse(start)) / 1000)).toBeCloseTo(72 * 3600, -1);
  });
});

describe('a time written to the chart', () => {
  it.each([
    ['2026-03-01T12:10:00Z', '2026-03-01T12:10:00Z'],
    ['2026-03-01T12:10+01:00', '2026-03-01T12:10:00+01:00'],
    ['2026-03-01T12:10:00', '2026-03-01'],
    ['2026-03-01', '2026-03-01'],
    ['2026-03', undefined],
    ['yesterday', undefined],
    ['2026-02-31T00:00:00', undefined],
    [undefined, undefined],
  ])('%p becomes %p', (value, dateTime) => {
    expect(toDateTime(value)).toBe(dateTime);
  });
});

describe('what an EHR says it accepts', () => {
  const capabilities = (resource: object): Capabilities =>
    new Capabilities({
      resourceType: 'CapabilityStatement',
      status: 'active',
      kind: 'instance',
      date: '2026-01-01',
      fhirVersion: '4.0.1',
      format: ['json'],
      rest: [{ mode: 'server', resource: [{ type: 'Media', ...resource }] }],
    });

  it.each([
    ['lists it without interactions', {}, true],
    ['creates it', { interaction: [{ code: 'create' }] }, true],
    ['updates it to new ids', { interaction: [{ code: 'update' }], updateCreate: true }, true],
    ['updates only what exists', { interaction: [{ code: 'update' }], updateCreate: false }, false],
    ['only reads it', { interaction: [{ code: 'read' }, { code: 'search-type' }] }, false],
  ])('a server that %s', (_, resource, accepts) => {
    expect(capabilities(resource).accepts('Media')).toBe(accepts);
    expect(capabilities(resource).accepts('RiskAssessment')).toBe(false);
  });
});
