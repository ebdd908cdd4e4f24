/** The voxels of the initial CT, for the viewer of the SMART app: read through the service, bound to the caller's patient. */
import { Router } from 'express';
import type { Request, Response } from 'express';
import { parseStudyReference } from '../assessment/assessment.ts';
import type { InitialCt, InitialCtSource } from '../assessment/initial-ct.ts';
import type { StudyPlan } from '../assessment/plan-study.ts';
import type { Admit, StudyReference } from '../assessment/ports.ts';
import { callerOf } from './authenticate.ts';
import { boundTo } from './permit.ts';
import { sendGzip } from './send-gzip.ts';

export interface InitialCtParts {
  readonly planStudy: (reference: StudyReference, signal: AbortSignal, admit?: Admit) => Promise<StudyPlan>;
  readonly source: Pick<InitialCtSource, 'read'>;
}

/** Longest time for one answer, ms. */
const TIMEOUT_MS = 60_000;

export function initialCtRoutes(parts: InitialCtParts): Router {
  const router = Router();

  const read = async (request: Request<{ id: string }>, response: Response): Promise<[StudyPlan, InitialCt]> => {
    const gone = new AbortController();
    response.on('close', () => gone.abort());
    const signal = AbortSignal.any([gone.signal, AbortSignal.timeout(TIMEOUT_MS)]);
    const planStudy = boundTo(callerOf(response), parts.planStudy);
    const plan = await planStudy(parseStudyReference(`ImagingStudy/${request.params.id}`), signal);
    return [plan, await parts.source.read(plan, signal)];
  };

  router.get('/v1/imaging-studies/:id/geometry', async (request, response) => {
    const [{ study, chosen }, { geometry }] = await read(request, response);
    response.json({
      imagingStudy: `ImagingStudy/${study.reference.id}`,
      patient: study.patientReference,
      studyInstanceUid: study.studyInstanceUid,
      seriesInstanceUid: chosen[0].seriesInstanceUid,
      ...geometry,
    });
  });

  router.get('/v1/imaging-studies/:id/initial-ct', async (request, response) => {
    const [, { huGzip }] = await read(request, response);
    await sendGzip(request, response, huGzip);
  });

  return router;
}
