/** The sandbox's PACS: a small DICOMweb origin server (PS3.18 chapter 10) over a folder of DICOM files. */
import { join } from 'node:path';
import express from 'express';
import type { ErrorRequestHandler, Router } from 'express';
import { sendError } from './answers.ts';
import { InstanceStore } from './instance-store.ts';
import type { StoreOutcome, StoredStudy } from './instance-store.ts';
import { search } from './qido.ts';
import { stow } from './stow.ts';
import { metadata, retrieve } from './wado.ts';

export type { DicomJson } from './dicom-json.ts';
export type { StoreOutcome, StoredStudy } from './instance-store.ts';

export interface DicomwebOptions {
  /** Everything durable lies in <dataDir>/sandbox/dicomweb. */
  readonly dataDir: string;
  /** Called after STOW-RS kept instances, with all instances of the study, before the client gets its answer. */
  readonly onStudyChanged: (study: StoredStudy) => Promise<void>;
  /** Largest STOW-RS body, bytes. */
  readonly maxBodyBytes?: number;
}

export interface Dicomweb {
  /** To be mounted at the DICOMweb root. */
  readonly router: Router;
  /** Stores one DICOM Part 10 object without calling onStudyChanged; storing it again changes nothing. */
  store(part10: Uint8Array): Promise<StoreOutcome>;
  listStudies(): readonly StoredStudy[];
  study(studyInstanceUid: string): StoredStudy | undefined;
  /** Waits for writes under way. */
  close(): Promise<void>;
}

const MAX_BODY_BYTES = 256 * 2 ** 20;

export function createDicomweb(options: DicomwebOptions): Dicomweb {
  const store = new InstanceStore(join(options.dataDir, 'sandbox', 'dicomweb'));
  const router = express.Router();
  const storing = stow({
    store,
    onStudyChanged: options.onStudyChanged,
    maxBodyBytes: options.maxBodyBytes ?? MAX_BODY_BYTES,
  });

  router.post(['/studies', '/studies/:study'], storing);
  router.get('/studies', search(store, 'studies'));
  router.get(['/series', '/studies/:study/series'], search(store, 'series'));
  router.get(
    ['/instances', '/studies/:study/instances', '/studies/:study/series/:series/instances'],
    search(store, 'instances'),
  );
  const resources = [
    '/studies/:study',
    '/studies/:study/series/:series',
    '/studies/:study/series/:series/instances/:instance',
  ];
  router.get(
    resources.map((path) => `${path}/metadata`),
    metadata(store),
  );
  router.get(resources, retrieve(store));
  router.use((_request, response) =>
    sendError(response, 404, 'Offered: STOW-RS, QIDO-RS, and WADO-RS of whole instances and metadata.'),
  );
  router.use(hideFaults);
  return {
    router,
    store: (part10) => store.store(part10),
    listStudies: () => store.listStudies(),
    study: (studyInstanceUid) => store.study(studyInstanceUid),
    close: () => store.settle(),
  };
}

/** A fault of the server is answered without saying what it was: messages may hold paths and patient data. */
const hideFaults: ErrorRequestHandler = (error, _request, response, _next) => {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  // Express marks what is the client's fault, such as a URL that does not decode.
  const isClientFault = (error as { status?: unknown } | undefined)?.status === 400;
  sendError(response, isClientFault ? 400 : 500, isClientFault ? 'The URL cannot be decoded.' : 'The request failed.');
};
