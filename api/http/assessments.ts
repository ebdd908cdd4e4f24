import { Router } from 'express';
import type { Request, Response } from 'express';
import type { Assessment } from '../assessment/assessment.ts';
import { parseStudyReference } from '../assessment/assessment.ts';
import type { AssessmentRecords } from '../assessment/assessment-records.ts';
import { requestAssessment } from '../assessment/request-assessment.ts';
import type { Caller } from '../authorization/caller.ts';
import { HemocastError, NotFoundError, TransientError } from '../errors.ts';
import type { paths } from '../generated/openapi.d.ts';
import type { Services } from './app.ts';
import { toAssessmentJson } from './assessment-json.ts';
import type { AssessmentJson } from './assessment-json.ts';
import { callerOf } from './authenticate.ts';
import { boundTo, maySee, noSuchStudy, searchedPatient } from './permit.ts';

type CreateBody = paths['/v1/assessments']['post']['requestBody']['content']['application/json'];
type ListQuery = NonNullable<paths['/v1/assessments']['get']['parameters']['query']>;

const PAGE_SIZE = 20;
/** Longest time that reading the chart and the PACS's listing may take before a request is answered, ms. */
const PLAN_TIMEOUT_MS = 30_000;

/** POST, GET, DELETE of /v1/assessments. Requests have been held against openapi.yaml before they get here. */
export function assessmentRoutes(services: Services): Router {
  const router = Router();
  const { records, work, operation } = services;
  const toJson = (assessment: Assessment, caller: Caller): AssessmentJson =>
    toAssessmentJson(assessment, caller, operation.current().mode);

  router.post('/v1/assessments', async (request: Request<object, unknown, CreateBody>, response) => {
    const { imagingStudy, force = false } = request.body;
    const parts = {
      ...services,
      describeModel: () => services.reader.describe(),
      writes: () => operation.current().mode !== 'shadow',
      planStudy: boundTo(callerOf(response), services.planStudy),
    };
    const reference = parseStudyReference(imagingStudy);
    const { assessment, begun } = await inTime(response, (signal) =>
      requestAssessment(reference, force ? 'forced' : 'asked', parts, signal),
    );
    // One that waits for images keeps the patient under whom its study was filed when it began.
    if (!maySee(callerOf(response), assessment.patientReference)) throw noSuchStudy();
    response
      .status(begun ? 202 : 200)
      .location(`/v1/assessments/${assessment.id}`)
      .json(toJson(assessment, callerOf(response)));
  });

  router.get('/v1/assessments', async (request, response) => {
    const { imagingStudy, patient, limit = PAGE_SIZE, cursor } = request.query as ListQuery;
    const caller = callerOf(response);
    const page = await records.list({
      imagingStudy: imagingStudy === undefined ? undefined : parseStudyReference(imagingStudy),
      patientReference: searchedPatient(caller, patient),
      limit,
      cursor,
    });
    response.json({ items: page.items.map((item) => toJson(item, caller)), next: page.next });
  });

  router.get('/v1/assessments/:id', async (request, response) => {
    const caller = callerOf(response);
    response.json(toJson(await findAssessment(request.params.id, records, caller), caller));
  });

  router.delete('/v1/assessments/:id', async (request, response) => {
    const caller = callerOf(response);
    const found = await findAssessment(request.params.id, records, caller);
    const cancelled = await work.cancel(found.id);
    if (cancelled === null) throw new AssessmentEndedError(await findAssessment(found.id, records, caller));
    response.json(toJson(cancelled, caller));
  });

  return router;
}

/** Throws NotFoundError, also for an assessment of a patient whom the caller may not see. */
export async function findAssessment(
  id: string,
  records: Pick<AssessmentRecords, 'get'>,
  caller: Caller,
): Promise<Assessment> {
  const assessment = await records.get(id);
  if (assessment === null || !maySee(caller, assessment.patientReference))
    throw new NotFoundError('assessment-not-found', 'There is no assessment with this id.');
  return assessment;
}

class AssessmentEndedError extends HemocastError {
  constructor({ status, stage }: Assessment) {
    super(
      'assessment-ended',
      'The assessment has ended, or its result is being written; it cannot be cancelled any more.',
      {
        status: 409,
        issueType: 'conflict',
        details: { status, stage },
      },
    );
  }
}

/** Ends the planning when the caller hangs up, and answers 503 when it takes too long. */
async function inTime<T>(response: Response, plan: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  const deadline = AbortSignal.timeout(PLAN_TIMEOUT_MS);
  try {
    return await plan(AbortSignal.any([gone.signal, deadline]));
  } catch (error) {
    if (!deadline.aborted || error instanceof HemocastError) throw error;
    throw new TransientError('upstream-slow', 'The EHR or the PACS took too long to describe the study; ask again.');
  }
}
