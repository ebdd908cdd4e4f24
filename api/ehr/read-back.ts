/** Nothing counts as written until it was read back and says the same. */
import { NotFoundError, TransientError, UpstreamError } from '../errors.ts';
import type { FhirConnection } from './fhir-connection.ts';
import { localReference, parseLocalReference } from './ids.ts';
import { pictureOf } from './media.ts';
import type { PictureKey } from './ids.ts';
import type { ReportResource } from './report-resources.ts';
import type { WrittenReport } from './written-report.ts';

/** Percentage points by which the same forecast may differ between execution providers. */
const FORECAST_TOLERANCE = 0.15;

/**
 * Reads a resource that was just written and compares what matters. Throws TransientError `ehr-read-back-missing` (servers may
 * show writes late), UpstreamError `ehr-read-back-differs`.
 */
export async function readBack(
  reference: string,
  written: ReportResource,
  connection: FhirConnection,
  signal: AbortSignal,
): Promise<void> {
  const id = parseLocalReference(reference, connection.baseUrl)?.id ?? '';
  const kept = await orMissing(connection.read(written.resourceType, id, signal), written.resourceType);
  const wanted = essence(written, connection.baseUrl);
  const found = essence(kept as ReportResource, connection.baseUrl);
  const element = Object.keys(wanted).find((key) => wanted[key] !== found[key]);
  if (element !== undefined) {
    throw new UpstreamError(
      'ehr-read-back-differs',
      `The EHR kept the ${written.resourceType} with another "${element}" than was written.`,
      { resourceType: written.resourceType, element },
    );
  }
}

/** Reads the bytes of a picture back and compares size and SHA-1. */
export async function readBackPicture(
  reference: string,
  { report, pictureDigests }: Pick<WrittenReport, 'report' | 'pictureDigests'>,
  key: PictureKey,
  connection: FhirConnection,
  signal: AbortSignal,
): Promise<void> {
  const { bytes, contentType } = pictureOf(report, key);
  const kept = await orMissing(connection.digestBinary(reference, contentType, signal), 'Binary');
  if (kept.size !== bytes.byteLength || kept.sha1 !== pictureDigests[key]) {
    throw new UpstreamError('ehr-read-back-differs', 'The EHR gives back other bytes of a picture than were written.', {
      resourceType: 'Binary',
      writtenBytes: bytes.byteLength,
      readBytes: kept.size,
    });
  }
}

/**
 * A forecast that is in the chart already is left alone, whatever its status. But when it says another number for the same
 * content (written under other settings), chart and service would contradict each other: UpstreamError `ehr-holds-another-result`.
 */
export function checkKeptForecast(kept: ReportResource, wanted: ReportResource): void {
  const [keptNumber, wantedNumber] = [forecastOf(kept), forecastOf(wanted)];
  if (keptNumber === undefined || wantedNumber === undefined) return;
  if (Math.abs(keptNumber - wantedNumber) > FORECAST_TOLERANCE) {
    throw new UpstreamError(
      'ehr-holds-another-result',
      'The chart already holds another forecast for the same content, made under other settings. Ask again with "force" to write a new revision.',
      { resourceType: kept.resourceType },
    );
  }
}

async function orMissing<T>(reading: Promise<T>, resourceType: string): Promise<T> {
  try {
    return await reading;
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error;
    throw new TransientError('ehr-read-back-missing', `The EHR does not show the ${resourceType} it has accepted.`, {
      resourceType,
    });
  }
}

function forecastOf(resource: ReportResource): number | undefined {
  if (resource.resourceType === 'RiskAssessment') return resource.prediction?.[0]?.probabilityDecimal;
  return resource.resourceType === 'Observation' ? resource.valueQuantity?.value : undefined;
}

/** The elements a reader relies on, as comparable scalars. */
function essence(resource: ReportResource, baseUrl: string): Record<string, string | number | boolean | undefined> {
  switch (resource.resourceType) {
    case 'RiskAssessment':
      return {
        subject: localReference(resource.subject?.reference, 'Patient', baseUrl),
        'prediction.probabilityDecimal': resource.prediction?.[0]?.probabilityDecimal,
      };
    case 'Observation':
      return {
        subject: localReference(resource.subject?.reference, 'Patient', baseUrl),
        'valueQuantity.value': resource.valueQuantity?.value,
        'valueQuantity.code': resource.valueQuantity?.code,
        'valueCodeableConcept.code': resource.valueCodeableConcept?.coding?.[0]?.code,
        valueBoolean: resource.valueBoolean,
      };
    case 'Media':
      return {
        subject: localReference(resource.subject?.reference, 'Patient', baseUrl),
        'content.hash': resource.content?.hash,
      };
    case 'DocumentReference':
      return {
        subject: localReference(resource.subject?.reference, 'Patient', baseUrl),
        'content.attachment.hash': resource.content?.[0]?.attachment?.hash,
      };
    case 'Provenance':
      return { targets: resource.target?.length };
  }
}
