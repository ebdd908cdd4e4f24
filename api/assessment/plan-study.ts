/** From a reference to a decision: which slices would be read, or why none can be. Reads the chart and the PACS's listing, no pixels. */
import { NotFoundError } from '../errors.ts';
import type { InstanceHeader } from '../imaging/volume.ts';
import type { Flag } from '../prediction/prediction.ts';
import type { Refusal } from '../prediction/refusals.ts';
import { RefusalError } from '../prediction/refusals.ts';
import { formatStudyReference } from './assessment.ts';
import { chooseSeries } from './choose-series.ts';
import { contentKey } from './content-key.ts';
import type { Admit, Ehr, Pacs, StudyRecord, StudyReference } from './ports.ts';

export interface StudyPlan {
  readonly study: StudyRecord;
  /** Whether every instance the chart announces has arrived; without an announcement, whether two listings were equal. */
  readonly complete: boolean;
  readonly instancesPresent: number;
  /** Null until complete. */
  readonly contentKey: string | null;
  readonly chosen: readonly InstanceHeader[];
  /** Why no series can be read; the refusal is itself the result for this content. */
  readonly refusal: Refusal | null;
  readonly flags: readonly Flag[];
}

/** Pause between the two listings of a study whose chart entry announces no number of instances, ms. */
const SECOND_LOOK_MS = 1_000;

/** Throws NotFoundError (no such ImagingStudy), UpstreamError, TransientError. */
export async function planStudy(
  reference: StudyReference,
  parts: { readonly ehr: Ehr; readonly pacs: Pacs; readonly modelSha256: string },
  signal: AbortSignal,
  admit?: Admit,
): Promise<StudyPlan> {
  const study = await parts.ehr.readStudy(reference, signal, admit);
  const found = await listStudy(parts.pacs, study, signal);
  const listing = found.acquired;
  const instancesPresent = listing.length;
  if (!(await isComplete(parts.pacs, study, found, signal))) {
    return { study, complete: false, instancesPresent, contentKey: null, chosen: [], refusal: null, flags: [] };
  }
  const keyOf = (headers: readonly InstanceHeader[]): string =>
    contentKey({
      filedUnder: [formatStudyReference(study.reference), study.patientReference],
      studyInstanceUid: study.studyInstanceUid,
      sopInstanceUids: headers.map((header) => header.sopInstanceUid),
      modelSha256: parts.modelSha256,
    });
  try {
    const { chosen, flags } = chooseSeries(listing);
    return { study, complete: true, instancesPresent, contentKey: keyOf(chosen), chosen, refusal: null, flags };
  } catch (error) {
    if (!(error instanceof RefusalError)) throw error;
    const refusal = error.toRefusal();
    return { study, complete: true, instancesPresent, contentKey: keyOf(listing), chosen: [], refusal, flags: [] };
  }
}

interface StudyListing {
  /** Series that a model made (ours among them) neither count nor trigger: Synthetic Data (0008,001C). */
  readonly acquired: readonly InstanceHeader[];
  readonly generated: number;
}

async function listStudy(pacs: Pacs, study: StudyRecord, signal: AbortSignal): Promise<StudyListing> {
  try {
    const listing = await pacs.listInstances(study.studyInstanceUid, study.dicomwebAddresses, signal);
    const acquired = listing.filter((header) => header.syntheticData !== 'YES');
    // Of a study that a model made as a whole, the reading says so.
    return acquired.length > 0
      ? { acquired, generated: listing.length - acquired.length }
      : { acquired: listing, generated: 0 };
  } catch (error) {
    if (error instanceof NotFoundError) return { acquired: [], generated: 0 }; // announced in the chart, not yet in the PACS
    throw error;
  }
}

async function isComplete(
  pacs: Pacs,
  study: StudyRecord,
  { acquired, generated }: StudyListing,
  signal: AbortSignal,
): Promise<boolean> {
  const { numberOfInstances: announced } = study;
  if (acquired.length === 0) return false;
  if (announced !== undefined && acquired.length >= announced) return true;
  // Some charts count what a model added: then the announced number says no more than none does.
  if (announced !== undefined && acquired.length + generated < announced) return false;
  await pause(SECOND_LOOK_MS, signal);
  return (await listStudy(pacs, study, signal)).acquired.length === acquired.length;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', abort);
      resolve();
    }, ms);
    signal.addEventListener('abort', abort, { once: true });
  });
}
