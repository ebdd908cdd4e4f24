/** WADO-RS, Retrieve Transaction (PS3.18 10.4): whole instances and metadata, as stored; nothing is transcoded or rendered. */
import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { Request, RequestHandler, Response } from 'express';
import { rootUrl, sendDicomJson, sendError } from './answers.ts';
import type { InstanceStore, StoredInstance } from './instance-store.ts';
import { isUid } from './instance.ts';
import { acceptsDicomJson, chooseInstancesFormat } from './media-types.ts';
import { closing, partHead } from './multipart.ts';

/** GET of a study, series or instance: its instances as multipart/related, or one instance as application/dicom. */
export function retrieve(store: InstanceStore): RequestHandler {
  return async (request, response) => {
    const instances = findInstances(store, request, response);
    if (instances === undefined) return;
    const syntaxes = instances.map((instance) => instance.transferSyntaxUid);
    const format = chooseInstancesFormat(request.get('accept'), syntaxes);
    if (format === undefined) {
      const message =
        'Instances are given as stored; accept multipart/related; type="application/dicom"; transfer-syntax=* .';
      return sendError(response, 406, `${message} Stored: ${[...new Set(syntaxes)].join(', ')}.`);
    }
    response.set('Cache-Control', 'no-store');
    try {
      if (format === 'single') {
        response.set('Content-Type', `application/dicom; transfer-syntax=${syntaxes[0]}`);
        await pipeline(createReadStream(instances[0].file), response);
      } else {
        const boundary = randomUUID();
        response.set('Content-Type', `multipart/related; type="application/dicom"; boundary=${boundary}`);
        await pipeline(multipart(instances, boundary, rootUrl(request)), response);
      }
    } catch {
      response.destroy(); // the client left, or a file is gone: an answer under way can only be cut off
    }
  };
}

async function* multipart(
  instances: readonly StoredInstance[],
  boundary: string,
  root: string,
): AsyncGenerator<Buffer> {
  for (const instance of instances) {
    const headers = {
      'Content-Type': `application/dicom; transfer-syntax=${instance.transferSyntaxUid}`,
      'Content-Location': instanceUrl(root, instance),
    };
    yield Buffer.from(partHead(boundary, headers));
    yield* createReadStream(instance.file) as AsyncIterable<Buffer>;
  }
  yield Buffer.from(closing(boundary));
}

/** GET .../metadata: headers as DICOM JSON; pixel data and other bulk data are left out. */
export function metadata(store: InstanceStore): RequestHandler {
  return (request, response) => {
    const instances = findInstances(store, request, response);
    if (instances === undefined) return;
    if (!acceptsDicomJson(request.get('accept'))) {
      return sendError(response, 406, 'Metadata is given as application/dicom+json; accept that.');
    }
    const root = rootUrl(request);
    const list = instances.map((instance) => ({
      ...instance.json,
      '00081190': { vr: 'UR', Value: [instanceUrl(root, instance)] },
    }));
    sendDicomJson(response, 200, list);
  };
}

/** The instances that the URL names; answers 400 or 404 itself when there are none. */
function findInstances(store: InstanceStore, request: Request, response: Response): StoredInstance[] | undefined {
  const { study, series, instance } = request.params as Record<string, string | undefined>;
  if (![study, series, instance].every((uid) => uid === undefined || isUid(uid))) {
    sendError(response, 400, 'A study, series or instance UID in the URL is not a UID.');
    return undefined;
  }
  const found = store.find({ study, series, instance });
  if (found.length > 0) return found;
  sendError(response, 404, 'There is no such study, series or instance here.');
  return undefined;
}

function instanceUrl(root: string, instance: StoredInstance): string {
  const { studyInstanceUid, seriesInstanceUid, sopInstanceUid } = instance;
  return `${root}/studies/${studyInstanceUid}/series/${seriesInstanceUid}/instances/${sopInstanceUid}`;
}
