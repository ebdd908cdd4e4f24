/**
 * Writing to an EHR that chooses ids itself. Every resource but two carries an identifier of its content: it is looked up
 * first and created only where it is absent (ifNoneExist). Provenance and Binary carry none in R4: the Provenance is found by its
 * target and travels in the same transaction as the forecast; the id a Binary was given is kept in a ledger until the rest is
 * written. Two writers of one study at once could still both find nothing: there is one per study.
 */
import { randomUUID } from 'node:crypto';
import type { Bundle, BundleEntry, Device, DocumentReference, Resource } from '@medplum/fhirtypes';
import { HemocastError, TransientError, UpstreamError } from '../errors.ts';
import { SYSTEMS } from './codes.ts';
import type { ReportForm } from './degraded.ts';
import { toDevice } from './device.ts';
import { toModelCard } from './document-reference.ts';
import type { FhirConnection } from './fhir-connection.ts';
import { referenceFromLocation, resourceId } from './ids.ts';
import type { PictureKey } from './ids.ts';
import { pictureOf } from './media.ts';
import { checkKeptForecast, readBack, readBackPicture } from './read-back.ts';
import { gatherReferences, picturesOf, rolesOf, toResource, typeOf } from './report-resources.ts';
import type { ReportResource, ReportRole } from './report-resources.ts';
import type { ReportReferences, WrittenReport } from './written-report.ts';

/** Remembers under which reference a picture's bytes were stored. A durable one leaves no orphaned bytes after a crash. */
export interface BinaryLedger {
  get(key: string): Promise<string | undefined>;
  set(key: string, reference: string): Promise<void>;
}

/** A ledger that lasts as long as the process: a crash between two writes may leave bytes that nothing refers to. */
export class MemoryLedger implements BinaryLedger {
  readonly #references = new Map<string, string>();

  async get(key: string): Promise<string | undefined> {
    return this.#references.get(key);
  }

  async set(key: string, reference: string): Promise<void> {
    this.#references.set(key, reference);
  }
}

type Unplaced = Omit<WrittenReport, 'references'>;

export async function writeByCreate(
  unplaced: Unplaced,
  form: ReportForm,
  parts: { readonly connection: FhirConnection; readonly ledger: BinaryLedger },
  signal: AbortSignal,
): Promise<ReportReferences> {
  const { report, writtenAt } = unplaced;
  const { connection } = parts;
  const device = await ensure(toDevice(report.model), connection, signal);
  const modelCard = await ensure(toModelCard(report.model, writtenAt), connection, signal);

  const kept = await findKept(unplaced, form, connection, signal);
  const roles = rolesOf(form);
  const missingPictures = picturesOf(form).filter((key) => !kept.has(`media/${key}`));
  const binaries: Partial<Record<PictureKey, string>> = {};
  for (const key of picturesOf(form)) {
    binaries[key] = missingPictures.includes(key)
      ? await storePicture(unplaced, key, parts, signal)
      : binaryOf(kept.get(`media/${key}`));
  }
  const places = new Map<ReportRole, string>(
    roles.map((role) => [role, referenceOf(kept.get(role)) ?? `urn:uuid:${randomUUID()}`]),
  );
  const placeOf = (role: ReportRole): string => places.get(role) ?? '';
  const references = gatherReferences(placeOf, form, { device, modelCard, binaries });
  const written: WrittenReport = { ...unplaced, references };
  const forecast = kept.get('risk-assessment');
  if (forecast !== undefined) checkKeptForecast(forecast, toResource('risk-assessment', written, form));

  const missing = roles
    .filter((role) => !kept.has(role))
    .map((role) => ({ role, resource: toResource(role, written, form) }));
  if (missing.length === 0) return references;
  const entries = missing.map(({ role, resource }) => toEntry(resource, placeOf(role)));
  const bundle: Bundle = { resourceType: 'Bundle', type: 'transaction', entry: entries };
  const answers = await connection.transaction(bundle, signal);

  for (const [index, { role, resource }] of missing.entries()) {
    const reference =
      referenceFromLocation(answers[index].location, resource.resourceType) ??
      referenceOf(await findOne(resource.resourceType, resource.id ?? '', connection, signal));
    if (reference === undefined) {
      throw new TransientError(
        'ehr-read-back-missing',
        `The EHR does not show the ${resource.resourceType} it has accepted.`,
        {
          resourceType: resource.resourceType,
        },
      );
    }
    places.set(role, reference);
    await readBack(reference, resource, connection, signal);
  }
  return gatherReferences(placeOf, form, { device, modelCard, binaries });
}

/** What the chart holds of this report, by role. */
async function findKept(
  { report }: Unplaced,
  form: ReportForm,
  connection: FhirConnection,
  signal: AbortSignal,
): Promise<Map<ReportRole, ReportResource>> {
  const kept = new Map<ReportRole, ReportResource>();
  const identified = rolesOf(form).filter((role) => role !== 'provenance');
  await Promise.all(
    identified.map(async (role) => {
      const found = await findOne(typeOf(role, form), resourceId(report, role), connection, signal);
      if (found !== undefined) kept.set(role, found);
    }),
  );
  const forecast = referenceOf(kept.get('risk-assessment'));
  if (forecast !== undefined) {
    const [provenance] = await connection.search('Provenance', { target: forecast }, signal);
    if (provenance !== undefined) kept.set('provenance', provenance);
  }
  return kept;
}

async function findOne(
  resourceType: ReportResource['resourceType'] | 'Device',
  id: string,
  connection: FhirConnection,
  signal: AbortSignal,
): Promise<ReportResource | undefined> {
  const found = await connection.search(resourceType, { identifier: `${SYSTEMS.resourceIdentifier}|${id}` }, signal);
  if (found.length > 1) {
    throw new UpstreamError(
      'ehr-holds-duplicates',
      `The EHR holds ${found.length} ${resourceType} of the same content.`,
      {
        resourceType,
        found: found.length,
      },
    );
  }
  return found[0] as ReportResource | undefined;
}

/** Device and model card, once per bundle. */
async function ensure(
  resource: Device | DocumentReference,
  connection: FhirConnection,
  signal: AbortSignal,
): Promise<string> {
  const { id = '', ...body } = resource;
  const find = async (): Promise<string | undefined> =>
    referenceOf(await findOne(resource.resourceType, id, connection, signal));
  const kept = await find();
  if (kept !== undefined) return kept;
  await connection.createIfAbsent(body as Resource, `${SYSTEMS.resourceIdentifier}|${id}`, signal);
  const created = await find();
  if (created !== undefined) return created;
  throw new TransientError(
    'ehr-read-back-missing',
    `The EHR does not show the ${resource.resourceType} it has accepted.`,
    {
      resourceType: resource.resourceType,
    },
  );
}

/** Stores the bytes, unless the ledger knows where they are and they are still there, and reads them back. */
async function storePicture(
  unplaced: Unplaced,
  key: PictureKey,
  { connection, ledger }: { readonly connection: FhirConnection; readonly ledger: BinaryLedger },
  signal: AbortSignal,
): Promise<string> {
  const { report } = unplaced;
  const id = resourceId(report, `binary/${key}`);
  const known = await ledger.get(id);
  if (known !== undefined && (await holdsPicture(known, unplaced, key, connection, signal))) return known;
  const { bytes, contentType } = pictureOf(report, key);
  const content = { bytes, contentType, securityContext: report.study.patientReference };
  const reference = await connection.storeBinary(content, undefined, signal);
  await ledger.set(id, reference);
  await readBackPicture(reference, unplaced, key, connection, signal);
  return reference;
}

async function holdsPicture(
  reference: string,
  unplaced: Unplaced,
  key: PictureKey,
  connection: FhirConnection,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await readBackPicture(reference, unplaced, key, connection, signal);
    return true;
  } catch (error) {
    if (error instanceof HemocastError && error.code.startsWith('ehr-read-back-')) return false;
    throw error;
  }
}

function toEntry(resource: ReportResource, fullUrl: string): BundleEntry {
  const { id = '', ...body } = resource;
  const identifier = `${SYSTEMS.resourceIdentifier}|${id}`;
  return {
    fullUrl,
    resource: body as ReportResource,
    request: {
      method: 'POST',
      url: resource.resourceType,
      ...(resource.resourceType !== 'Provenance' && { ifNoneExist: new URLSearchParams({ identifier }).toString() }),
    },
  };
}

function referenceOf(resource: Resource | undefined): string | undefined {
  return resource?.id === undefined ? undefined : `${resource.resourceType}/${resource.id}`;
}

/** Where the bytes of a kept picture lie. */
function binaryOf(resource: ReportResource | undefined): string | undefined {
  if (resource?.resourceType === 'Media') return resource.content?.url;
  return resource?.resourceType === 'DocumentReference' ? resource.content?.[0]?.attachment?.url : undefined;
}
