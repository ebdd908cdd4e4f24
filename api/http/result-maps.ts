/** Attention and difference of a completed assessment, for viewers: what they are, where they lie, and their voxels. */
import { Router } from 'express';
import type { Response } from 'express';
import type { Assessment } from '../assessment/assessment.ts';
import type { AssessmentRecords } from '../assessment/assessment-records.ts';
import { MAPS } from '../assessment/result-maps.ts';
import type { MapName, ResultMaps } from '../assessment/result-maps.ts';
import { HemocastError, NotFoundError } from '../errors.ts';
import { isHiddenFrom } from './assessment-json.ts';
import { findAssessment } from './assessments.ts';
import { callerOf } from './authenticate.ts';
import { sendGzip } from './send-gzip.ts';

const NAMES = Object.keys(MAPS) as MapName[];

export function resultMapRoutes(records: Pick<AssessmentRecords, 'get' | 'getMaps'>): Router {
  const router = Router();

  const read = async (id: string, response: Response): Promise<[Assessment, ResultMaps]> => {
    const caller = callerOf(response);
    const assessment = await findAssessment(id, records, caller);
    if (assessment.withdrawal !== null) throw new WithdrawnError(assessment.withdrawal.code);
    const maps = isHiddenFrom(caller, assessment) ? null : await records.getMaps(id);
    if (maps === null) {
      throw new NotFoundError(
        'maps-not-found',
        'This assessment shows no maps: only completed ones have them, and users see none while hemocast runs in shadow.',
      );
    }
    return [assessment, maps];
  };

  router.get('/v1/assessments/:id/maps', async (request, response) => {
    const [assessment, maps] = await read(request.params.id, response);
    response.json({
      assessment: assessment.id,
      imagingStudy: `ImagingStudy/${assessment.study.id}`,
      patient: assessment.patientReference,
      studyInstanceUid: assessment.studyInstanceUid,
      seriesInstanceUid: maps.seriesInstanceUid,
      flags: assessment.flags,
      maps: NAMES.map((name) => ({
        name,
        href: `/v1/assessments/${assessment.id}/${name}`,
        ...MAPS[name],
        scale: maps[name].scale,
        grid: maps[name].grid,
      })),
      disclaimer: assessment.model.disclaimer,
    });
  });

  for (const name of NAMES) {
    router.get(`/v1/assessments/:id/${name}`, async (request, response) => {
      const [, maps] = await read(request.params.id as string, response);
      await sendGzip(request, response, maps[name].gzip);
    });
  }

  return router;
}

/** The result was taken back: what was made from it is not shown any more. */
class WithdrawnError extends HemocastError {
  constructor(code: string) {
    super('assessment-withdrawn', 'The result of this assessment was taken back.', {
      status: 410,
      issueType: 'not-found',
      details: { withdrawal: code },
    });
  }
}
