/** A report with the places its resources will have, as the mappings receive it. */
import type { AssessmentReport } from '../../../api/assessment/ports.ts';
import type { ReportForm } from '../../../api/ehr/degraded.ts';
import { deviceId, modelCardId, resourceId } from '../../../api/ehr/ids.ts';
import { digestPictures } from '../../../api/ehr/media.ts';
import { gatherReferences, typeOf } from '../../../api/ehr/report-resources.ts';
import type { WrittenReport } from '../../../api/ehr/written-report.ts';
import { MODEL, aReport } from './report.ts';

export const FULL: ReportForm = { forecast: 'RiskAssessment', pictures: 'Media' };
export const PLAIN: ReportForm = { forecast: 'Observation', pictures: 'DocumentReference' };
export const AIAST = { system: 'http://terminology.hl7.org/CodeSystem/v3-ObservationValue', code: 'AIAST' };

export async function written(report: AssessmentReport = aReport(), form: ReportForm = FULL): Promise<WrittenReport> {
  const references = gatherReferences((role) => `${typeOf(role, form)}/${resourceId(report, role)}`, form, {
    device: `Device/${deviceId(MODEL)}`,
    modelCard: `DocumentReference/${modelCardId(MODEL)}`,
    binaries: { 'follow-up': 'Binary/f', comparison: 'Binary/c' },
  });
  return { report, references, writtenAt: '2026-03-01T14:40:00.000Z', pictureDigests: await digestPictures(report) };
}

export const noteTexts = (resource: { note?: { text: string }[] }): string =>
  (resource.note ?? []).map(({ text }) => text).join('\n');
