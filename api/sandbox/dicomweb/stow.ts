/** STOW-RS, Store Transaction (PS3.18 10.5). */
import type { Request, RequestHandler, Response } from 'express';
import { rootUrl, sendDicomJson, sendError } from './answers.ts';
import type { InstanceStore, StoreOutcome, StoredStudy } from './instance-store.ts';
import { isUid } from './instance.ts';
import { acceptsDicomJson, parseMediaTypes } from './media-types.ts';
import { splitParts } from './multipart.ts';
import type { DicomJson } from './dicom-json.ts';

export interface StowOptions {
  readonly store: InstanceStore;
  readonly maxBodyBytes: number;
  /** Called once per study that instances were added to (or offered to again), before the answer. */
  readonly onStudyChanged: (study: StoredStudy) => Promise<void>;
}

/** POST /studies and POST /studies/{study}: 200 when all instances are kept, 202 when some are, 409 when none is. */
export function stow(options: StowOptions): RequestHandler {
  return async (request, response) => {
    const study = request.params.study;
    if (study !== undefined && !isUid(study)) return sendError(response, 400, 'The study UID in the URL is not a UID.');
    if (!acceptsDicomJson(request.get('accept'))) {
      return sendError(response, 406, 'Store answers as application/dicom+json; accept that.');
    }
    const [type] = parseMediaTypes(request.get('content-type') ?? '');
    const boundary = type?.parameters.get('boundary');
    const partType = type?.parameters.get('type')?.toLowerCase() ?? 'application/dicom';
    if (type?.name !== 'multipart/related' || partType !== 'application/dicom' || !boundary) {
      return sendError(response, 415, 'Send multipart/related; type="application/dicom"; boundary=...');
    }
    const body = await readBody(request, options.maxBodyBytes);
    if (body === 'too-large') {
      response.set('Connection', 'close');
      return sendError(
        response,
        413,
        `A request may hold ${options.maxBodyBytes} bytes; send fewer instances at once.`,
      );
    }
    const parts = splitParts(body, boundary);
    if (parts === undefined || parts.length === 0) {
      return sendError(response, 400, 'The body is not multipart with this boundary, or ends early, or has no part.');
    }
    const outcomes: StoreOutcome[] = [];
    for (const part of parts) outcomes.push(await options.store.store(part.content, study));
    await tellChanges(options, outcomes);
    sendOutcomes(request, response, outcomes, study);
  };
}

/** An instance sent again is told, too: whoever listens may have missed it the first time. */
async function tellChanges(options: StowOptions, outcomes: readonly StoreOutcome[]): Promise<void> {
  const kept = outcomes.flatMap((outcome) => (outcome.status === 'failed' ? [] : [outcome.studyInstanceUid]));
  for (const uid of new Set(kept)) {
    const changed = options.store.study(uid);
    if (changed !== undefined) await options.onStudyChanged(changed);
  }
}

async function readBody(request: Request, maxBytes: number): Promise<Buffer | 'too-large'> {
  if (Number(request.get('content-length') ?? 0) > maxBytes) return 'too-large';
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxBytes) return 'too-large';
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

/** The Store Instances Response Module (PS3.18 Annex I.2). */
function sendOutcomes(
  request: Request,
  response: Response,
  outcomes: readonly StoreOutcome[],
  study: string | undefined,
): void {
  const root = rootUrl(request);
  const kept: DicomJson[] = [];
  const failures: DicomJson[] = [];
  for (const outcome of outcomes) {
    const reference = {
      ...(outcome.sopClassUid !== undefined && { '00081150': { vr: 'UI', Value: [outcome.sopClassUid] } }),
      ...(outcome.sopInstanceUid !== undefined && { '00081155': { vr: 'UI', Value: [outcome.sopInstanceUid] } }),
    };
    if (outcome.status === 'failed') {
      failures.push({
        ...reference,
        '00081197': { vr: 'US', Value: [outcome.failureReason] },
        '00741048': { vr: 'LO', Value: [outcome.message.slice(0, 64)] },
      });
    } else {
      const url = `${root}/studies/${outcome.studyInstanceUid}/series/${outcome.seriesInstanceUid}/instances/${outcome.sopInstanceUid}`;
      kept.push({ ...reference, '00081190': { vr: 'UR', Value: [url] } });
    }
  }
  const studies = new Set(
    outcomes.flatMap((outcome) => (outcome.status === 'failed' ? [] : [outcome.studyInstanceUid])),
  );
  const onlyStudy = study ?? (studies.size === 1 ? [...studies][0] : undefined);
  const status = failures.length === 0 ? 200 : kept.length === 0 ? 409 : 202;
  sendDicomJson(response, status, {
    ...(onlyStudy !== undefined && { '00081190': { vr: 'UR', Value: [`${root}/studies/${onlyStudy}`] } }),
    ...(failures.length > 0 && { '00081198': { vr: 'SQ', Value: failures } }),
    ...(kept.length > 0 && { '00081199': { vr: 'SQ', Value: kept } }),
  });
}
