/**
 * Writing to an EHR that lets the writer choose ids (updateCreate): every resource has the id of its content, so that doing it
 * again, after whatever interruption, meets what is there. What is there is never overwritten: a clinician may have marked it
 * as entered in error.
 */
import type { Bundle } from '@medplum/fhirtypes';
import { NotFoundError, UpstreamError } from '../errors.ts';
import type { ReportForm } from './degraded.ts';
import { toDevice } from './device.ts';
import { toModelCard } from './document-reference.ts';
import type { FhirConnection } from './fhir-connection.ts';
import { resourceId } from './ids.ts';
import { pictureOf } from './media.ts';
import { checkKeptForecast, readBack, readBackPicture } from './read-back.ts';
import { gatherReferences, picturesOf, rolesOf, toResource, typeOf } from './report-resources.ts';
import type { ReportResource, ReportRole } from './report-resources.ts';
import type { ReportReferences, WrittenReport } from './written-report.ts';

type Unplaced = Omit<WrittenReport, 'references'>;

/** Returns where everything is, once all of it was found there or written and read back. */
export async function writeByUpdate(
  unplaced: Unplaced,
  form: ReportForm,
  connection: FhirConnection,
  signal: AbortSignal,
): Promise<ReportReferences> {
  const { report } = unplaced;
  const shared = await ensureModel(unplaced, connection, signal);
  const idOf = (role: ReportRole): string => resourceId(report, role);
  const binaries = Object.fromEntries(
    picturesOf(form).map((key) => [key, `Binary/${resourceId(report, `binary/${key}`)}`]),
  );
  const references = gatherReferences((role) => `${typeOf(role, form)}/${idOf(role)}`, form, { ...shared, binaries });
  const written: WrittenReport = { ...unplaced, references };

  const wanted = rolesOf(form).map((role) => ({ role, resource: toResource(role, written, form) }));
  const kept = await Promise.all(
    wanted.map(({ role }) => findKept(typeOf(role, form), idOf(role), connection, signal)),
  );
  const forecast = wanted.findIndex(({ role }) => role === 'risk-assessment');
  if (kept[forecast] !== undefined) checkKeptForecast(kept[forecast], wanted[forecast].resource);
  const missing = wanted.filter((_, index) => kept[index] === undefined);
  if (missing.length === 0) return references;

  // Nobody refers to a Binary before its Media is there: putting the same bytes again overwrites nothing of anyone's.
  const pictures = picturesOf(form).filter((key) => missing.some(({ role }) => role === `media/${key}`));
  for (const key of pictures) {
    const { bytes, contentType } = pictureOf(report, key);
    const content = { bytes, contentType, securityContext: report.study.patientReference };
    const reference = await connection.storeBinary(content, resourceId(report, `binary/${key}`), signal);
    await readBackPicture(reference, unplaced, key, connection, signal);
  }
  await connection.transaction(toTransaction(missing.map(({ resource }) => resource)), signal);
  await Promise.all(
    missing.map(({ resource }) => readBack(`${resource.resourceType}/${resource.id}`, resource, connection, signal)),
  );
  return references;
}

/** Device and model card, once per bundle. */
async function ensureModel(
  { report, writtenAt }: Unplaced,
  connection: FhirConnection,
  signal: AbortSignal,
): Promise<Pick<ReportReferences, 'device' | 'modelCard'>> {
  const [device, modelCard] = [toDevice(report.model), toModelCard(report.model, writtenAt)];
  for (const resource of [device, modelCard]) {
    const kept = await connection.find(resource.resourceType, resource.id ?? '', signal).catch((error: unknown) => {
      if (error instanceof NotFoundError) return undefined; // deleted: nothing of a patient's, so it may come back
      throw error;
    });
    if (kept === undefined) await connection.update(resource, signal);
  }
  return { device: `Device/${device.id}`, modelCard: `DocumentReference/${modelCard.id}` };
}

/** What is kept under an id, or undefined. What someone deleted is not quietly written again. */
async function findKept(
  resourceType: ReportResource['resourceType'],
  id: string,
  connection: FhirConnection,
  signal: AbortSignal,
): Promise<ReportResource | undefined> {
  try {
    return await connection.find(resourceType, id, signal);
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error;
    throw new UpstreamError(
      'ehr-resource-deleted',
      `A ${resourceType} of this assessment was deleted in the EHR. Ask again with "force" to write a new revision.`,
      { resourceType },
    );
  }
}

function toTransaction(resources: readonly ReportResource[]): Bundle {
  return {
    resourceType: 'Bundle',
    type: 'transaction',
    entry: resources.map((resource) => ({
      resource,
      request: { method: 'PUT' as const, url: `${resource.resourceType}/${resource.id}` },
    })),
  };
}
