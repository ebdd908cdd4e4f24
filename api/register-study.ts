/**
 * POST /sandbox/register-study {"studyInstanceUid"}: files a study that lies in the configured PACS in the sandbox EHR, as a
 * hospital's integration would (`hemocast register-study`). Mounted behind the sandbox's own door.
 */
import { json, Router } from 'express';
import type { Egress } from './egress/egress.ts';
import { InvalidRequestError, NotFoundError } from './errors.ts';
import { resourceUrl } from './pacs/endpoint.ts';
import { listByMetadata, listByQuery } from './pacs/listing.ts';
import type { Sandbox } from './sandbox/sandbox.ts';

/** Longest time for asking the PACS, ms. */
const TIMEOUT_MS = 60_000;

/** `dicomwebRoot`: of the configured PACS, without trailing slash. */
export function registerStudyRoute(
  sandbox: Pick<Sandbox, 'registerStudy'>,
  egress: Egress,
  dicomwebRoot: string,
): Router {
  const router = Router();
  router.post('/register-study', json({ limit: '4kb' }), async (request, response) => {
    const { studyInstanceUid } = (request.body ?? {}) as { studyInstanceUid?: unknown };
    if (typeof studyInstanceUid !== 'string' || !/^(?=.{1,64}$)[0-9]+(\.[0-9]+)*$/.test(studyInstanceUid)) {
      throw new InvalidRequestError('study-uid-invalid', 'Send {"studyInstanceUid": "<Study Instance UID>"} as JSON.');
    }
    const url = resourceUrl(dicomwebRoot, studyInstanceUid);
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const instances = (await listByMetadata(egress, url, signal)) ?? (await listByQuery(egress, url, signal));
    if (instances.length === 0) {
      throw new NotFoundError('study-not-in-pacs', 'The PACS holds no instance of this study.', { studyInstanceUid });
    }
    const imagingStudy = await sandbox.registerStudy(
      instances as Parameters<Sandbox['registerStudy']>[0],
      dicomwebRoot,
    );
    response.status(201).json({ imagingStudy });
  });
  return router;
}
