/** What every mapping of this folder is given beside the report: where the other resources are, and when this was. */
import type { AssessmentReport } from '../assessment/ports.ts';
import type { FindingKey, PictureKey } from './ids.ts';

/** References ("Type/id", or "urn:uuid:..." inside a transaction) of the resources that belong together. */
export interface ReportReferences {
  readonly device: string;
  readonly modelCard: string;
  readonly riskAssessment: string;
  readonly provenance: string;
  readonly observations: Readonly<Record<FindingKey, string>>;
  readonly media: Readonly<Partial<Record<PictureKey, string>>>;
  /** Always "Binary/id": an attachment's url is not rewritten by servers. */
  readonly binaries: Readonly<Partial<Record<PictureKey, string>>>;
}

/** SHA-1 of the bytes of each picture, base64. */
export type PictureDigests = Readonly<Record<PictureKey, string>>;

export interface WrittenReport {
  readonly report: AssessmentReport;
  readonly references: ReportReferences;
  /** FHIR instant of this writing. */
  readonly writtenAt: string;
  readonly pictureDigests: PictureDigests;
}

/** The label of what looks like a scan and is none. */
export const NOT_ACQUIRED = 'AI-generated, not acquired.';

/** Why blood on the first CT is hard to tell after this procedure. */
export const CONFOUNDER =
  'Contrast agent left in the brain after thrombectomy (contrast staining) can look like blood on the first CT and can raise this forecast.';

/** "hemocast-tiny 0.1.0" */
export function modelName(report: AssessmentReport): string {
  return `${report.model.name} ${report.model.version}`;
}
