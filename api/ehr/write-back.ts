/** From a report to the resources in the chart, in the way the EHR at hand allows. */
import type { AssessmentReport, WrittenResources } from '../assessment/ports.ts';
import { InvalidRequestError } from '../errors.ts';
import { chooseForm, degradedTypes, reportInForm } from './degraded.ts';
import type { FhirConnection } from './fhir-connection.ts';
import { parseLocalReference } from './ids.ts';
import { digestPictures } from './media.ts';
import { rolesOf, typeOf } from './report-resources.ts';
import { writeByCreate } from './write-by-create.ts';
import type { BinaryLedger } from './write-by-create.ts';
import { writeByUpdate } from './write-by-update.ts';

export interface WriteBackParts {
  readonly connection: FhirConnection;
  readonly ledger: BinaryLedger;
  readonly now: () => Date;
}

/**
 * Device and model card once per bundle; then what is there is read, the pictures' bytes are stored, and one transaction brings
 * the rest; all that was written is read back. Repeating it, after any interruption, writes only what is missing.
 *
 * Throws UpstreamError (`ehr-lacks-resource`, `ehr-lacks-transaction`, `ehr-rejected`, `ehr-unauthorized`,
 * `ehr-read-back-differs`, `ehr-holds-another-result`, `ehr-resource-deleted`, ...), TransientError, CancelledError.
 */
export async function writeBack(
  original: AssessmentReport,
  parts: WriteBackParts,
  signal: AbortSignal,
): Promise<WrittenResources> {
  const { connection } = parts;
  if (original.supersedes !== undefined && parseLocalReference(original.supersedes, connection.baseUrl) === undefined) {
    throw new InvalidRequestError('supersedes-invalid', 'The superseded forecast must be a relative reference.');
  }
  const capabilities = await connection.capabilities(signal);
  const form = chooseForm(capabilities);
  const report = reportInForm(original, form);
  const pictureDigests = await digestPictures(report);
  const unplaced = { report, pictureDigests, writtenAt: parts.now().toISOString() };
  const types = new Set<string>([
    ...rolesOf(form).map((role) => typeOf(role, form)),
    'Binary',
    'Device',
    'DocumentReference',
  ]);
  const references = capabilities.createsByUpdate([...types])
    ? await writeByUpdate(unplaced, form, connection, signal)
    : await writeByCreate(unplaced, form, parts, signal);
  const degraded = degradedTypes(form);
  return {
    riskAssessment: references.riskAssessment,
    media: Object.values(references.media),
    observations: Object.values(references.observations),
    provenance: references.provenance,
    device: references.device,
    ...(degraded.length > 0 && { degraded }),
  };
}
