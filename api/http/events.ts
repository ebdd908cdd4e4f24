import { Router } from 'express';
import type { Response } from 'express';
import type { Assessment } from '../assessment/assessment.ts';
import { hasEnded } from '../assessment/assessment.ts';
import type { AssessmentRecords } from '../assessment/assessment-records.ts';
import type { OperationMode, OperationSwitch } from '../assessment/operation.ts';
import type { Logger } from '../log.ts';
import { toAssessmentJson } from './assessment-json.ts';
import { findAssessment } from './assessments.ts';
import { callerOf } from './authenticate.ts';

const HEARTBEAT_MS = 15_000;
/** Changes that another process made are found by looking, ms. */
const LOOK_MS = 2_000;

/** GET /v1/assessments/{id}/events: server-sent events (WHATWG HTML 9.2), one per change, until the assessment has ended. */
export function eventRoutes({
  records,
  operation,
  log,
}: {
  readonly records: AssessmentRecords;
  readonly operation: OperationSwitch;
  readonly log: Logger;
}): Router {
  const router = Router();
  router.get('/v1/assessments/:id/events', async (request, response) => {
    const { id } = request.params;
    const first = await findAssessment(id, records, callerOf(response));
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'X-Accel-Buffering': 'no' });

    const stream = new AssessmentStream(response, () => operation.current().mode);
    const unwatch = records.watch(id, (assessment) => stream.show(assessment));
    const heartbeat = setInterval(() => response.write(': still here\n\n'), HEARTBEAT_MS);
    const look = (): Promise<void> =>
      records.get(id).then(
        (assessment) => void (assessment !== null && stream.show(assessment)),
        (error: unknown) => log.warn('assessment could not be followed', { assessmentId: id }, error),
      );
    const looking = setInterval(look, LOOK_MS);
    response.on('close', () => {
      unwatch();
      clearInterval(heartbeat);
      clearInterval(looking);
    });

    stream.show(first);
    if (!hasEnded(first)) await look(); // what changed between the first look and the watch
  });
  return router;
}

/** Writes each state once, in order; a caller who reads slowly gets the latest state, not every one. */
class AssessmentStream {
  readonly #response: Response;
  readonly #mode: () => OperationMode;
  #shown = '';
  #shownAt = '';
  #attempt = 0;
  #latest: Assessment | undefined;
  #blocked = false;

  constructor(response: Response, mode: () => OperationMode) {
    this.#response = response;
    this.#mode = mode;
    response.on('drain', () => {
      this.#blocked = false;
      const latest = this.#latest;
      this.#latest = undefined;
      if (latest !== undefined) this.show(latest);
    });
  }

  show(assessment: Assessment): void {
    if (this.#response.writableEnded || this.#response.destroyed || this.#isOlder(assessment)) return;
    if (this.#blocked) {
      this.#latest = assessment;
      return;
    }
    const text = JSON.stringify(toAssessmentJson(assessment, callerOf(this.#response), this.#mode()));
    if (text === this.#shown) return;
    this.#shown = text;
    this.#shownAt = assessment.updatedAt;
    this.#attempt = assessment.attempt;
    this.#blocked = !this.#response.write(`event: assessment\ndata: ${text}\n\n`);
    if (hasEnded(assessment)) this.#response.end();
  }

  /** A look at the row may come back after a change that followed it. */
  #isOlder({ attempt, updatedAt }: Assessment): boolean {
    return attempt < this.#attempt || (attempt === this.#attempt && updatedAt < this.#shownAt);
  }
}
