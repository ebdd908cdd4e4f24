/** Listings of a study's instances as DICOM JSON (PS3.18 Annex F), without pixels. */
import type { Egress, EgressLimits } from '../egress/egress.ts';
import { throwForStatus } from '../egress/status.ts';
import { HemocastError, NotFoundError, UpstreamError } from '../errors.ts';

const LISTING_LIMITS: Partial<EgressLimits> = { totalMs: 60_000, idleMs: 30_000 };
const ACCEPT_JSON = 'application/dicom+json';
/**
 * What an InstanceHeader is read from (imaging/volume.ts). Asked for by tag, because some archives leave most attributes out
 * of `includefield=all`: a slice position that the archive merely did not list would be taken for one the scanner left out.
 */
const HEADER_TAGS = [
  '00080008 00080016 00080018 0008001C 00080020 00080021 00080022 00080023 0008002A 00080030 00080031',
  '00080032 00080033 00080060 00080070 00080201 0008103E 00100020 00100021 00100030 00100040 00101010',
  '00180010 00180015 00180050 00180060 00181120 00181210 0020000D 0020000E 00200011 00200013 00200032',
  '00200037 00200052 00280002 00280004 00280008 00280010 00280011 00280030 00280100 00280101 00280103',
  '00280120 00280121 00281052 00281053 00281054 00282110',
]
  .join(' ')
  .split(' ');
const PAGE_SIZE = 500;
const MAX_PAGES = 100;

/** WADO-RS metadata (PS3.18 10.4.1.1.2). Undefined where the server does not have it, or not for this study. */
export async function listByMetadata(
  egress: Egress,
  studyUrl: string,
  signal: AbortSignal,
): Promise<readonly unknown[] | undefined> {
  try {
    return await getList(egress, `${studyUrl}/metadata`, signal);
  } catch (error) {
    if (error instanceof HemocastError && isLackOfMetadata(error)) return undefined;
    throw error;
  }
}

/** QIDO-RS for all attributes (PS3.18 10.6), page by page; servers may give fewer than asked for. */
export async function listByQuery(egress: Egress, studyUrl: string, signal: AbortSignal): Promise<readonly unknown[]> {
  const instances = new Map<string, unknown>();
  for (let page = 0, offset = 0; page < MAX_PAGES; page += 1) {
    const url = `${studyUrl}/instances?includefield=all&includefield=${HEADER_TAGS.join(',')}&limit=${PAGE_SIZE}&offset=${offset}`;
    const listed = await getList(egress, url, signal).catch((error: unknown) => {
      if (error instanceof NotFoundError) return [];
      throw error;
    });
    const before = instances.size;
    for (const instance of listed) instances.set(sopInstanceUidOf(instance), instance);
    // A server that ignores `offset` repeats itself: nothing new means there is no more.
    if (instances.size === before) return [...instances.values()];
    offset += listed.length;
  }
  throw new UpstreamError('pacs-listing-too-long', `The PACS lists more than ${MAX_PAGES * PAGE_SIZE} instances.`);
}

async function getList(egress: Egress, url: string, signal: AbortSignal): Promise<readonly unknown[]> {
  const response = await egress.fetch(url, { headers: { accept: ACCEPT_JSON }, signal }, LISTING_LIMITS);
  await throwForStatus(response, 'pacs', 'json');
  if (response.body === null) return [];
  const text = await response.text();
  try {
    const list: unknown = JSON.parse(text);
    if (Array.isArray(list)) return list;
  } catch {
    // falls through to the same complaint
  }
  throw new UpstreamError('pacs-answer-not-json', 'The PACS answered with something that is not a DICOM JSON list.');
}

function isLackOfMetadata(error: HemocastError): boolean {
  const { status } = error.details;
  if (error.code === 'pacs-unauthorized') return false;
  return error instanceof UpstreamError || error instanceof NotFoundError || status === 500 || status === 501;
}

function sopInstanceUidOf(instance: unknown): string {
  const attribute = (instance as Record<string, { Value?: unknown[] }> | null)?.['00080018'];
  return String(attribute?.Value?.[0] ?? '');
}
