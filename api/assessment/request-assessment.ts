/** A request becomes an assessment: a new one, or the one that the same content already has. */
import { HemocastError } from '../errors.ts';
import type { Assessment } from './assessment.ts';
import { hasEnded } from './assessment.ts';
import type { AssessmentRecords, AssessmentWork, NewAssessment } from './assessment-records.ts';
import { identify } from './ports.ts';
import type { Admit, ModelDescription, StudyRecord, StudyReference } from './ports.ts';

export interface RequestParts {
  /** Reads the chart and the PACS's listing (plan-study.ts); null content key = instances are still missing. */
  planStudy(
    reference: StudyReference,
    signal: AbortSignal,
    admit?: Admit,
  ): Promise<{ readonly study: StudyRecord; readonly contentKey: string | null }>;
  describeModel(): ModelDescription;
  readonly records: AssessmentRecords;
  readonly work: AssessmentWork;
  /** Whether results are written to the chart now; one that was only kept in shadow operation is then made anew. */
  readonly writes: () => boolean;
  /** Assessments that may be open at a time. */
  readonly queueLimit: number;
}

export interface RequestedAssessment {
  readonly assessment: Assessment;
  /** Whether this request began work: a new assessment, or an ended one begun anew. */
  readonly begun: boolean;
}

/** So many assessments are open that one more would wait too long. */
export class QueueFullError extends HemocastError {
  readonly retryAfterMs = 30_000;
  constructor(queueLimit: number) {
    super('queue-full', 'Too many assessments are waiting; ask again later.', {
      status: 429,
      issueType: 'throttled',
      details: { queueLimit },
    });
  }
}

/** Losing a race means that another request wrote first; one more look finds what it wrote. */
const MOST_LOOKS = 5;

/**
 * - `asked`: someone wants the result; what failed, was refused or cancelled is tried again.
 * - `forced`: someone wants it made anew.
 * - `automatic`: the chart changed. Nobody asked, so nothing is done again that was refused or that someone cancelled, and a
 *   failure only a few times.
 */
export type RequestKind = 'asked' | 'forced' | 'automatic';

/** Attempts at one content without anyone asking. */
const MOST_AUTOMATIC_ATTEMPTS = 3;

/**
 * Asks for the assessment of a study. The same content (study, chosen instances, network) is the same assessment; `forced`
 * makes a new revision of it that supersedes the latest completed one. An assessment under way is returned in either case.
 * Returns once the work is durable.
 *
 * Throws NotFoundError (no such ImagingStudy), UpstreamError, TransientError, QueueFullError.
 */
export async function requestAssessment(
  reference: StudyReference,
  kind: RequestKind,
  parts: RequestParts,
  signal: AbortSignal,
): Promise<RequestedAssessment> {
  const plan = await parts.planStudy(reference, signal);
  const model = identify(parts.describeModel());

  for (let look = 0; look < MOST_LOOKS; look++) {
    const choice = await chooseAssessment({ ...plan, model, kind, writes: parts.writes() }, reference, parts.records);
    if ('existing' in choice) return { assessment: choice.existing, begun: false };
    if ((await parts.records.countOpen()) >= parts.queueLimit) throw new QueueFullError(parts.queueLimit);
    const assessment =
      'reopen' in choice
        ? await parts.records.reopen(choice.reopen, choice.create)
        : await parts.records.create(choice.create);
    if (assessment === null) continue;
    await parts.work.submit(assessment);
    return { assessment, begun: true };
  }
  throw new HemocastError('assessment-contended', 'Too many requests for this study at once; ask again.', {
    status: 503,
    issueType: 'transient',
  });
}

type Choice =
  | { readonly existing: Assessment }
  | { readonly create: NewAssessment }
  | { readonly reopen: Assessment; readonly create: NewAssessment };

async function chooseAssessment(
  wanted: Pick<NewAssessment, 'study' | 'contentKey' | 'model'> & {
    readonly kind: RequestKind;
    readonly writes: boolean;
  },
  reference: StudyReference,
  records: AssessmentRecords,
): Promise<Choice> {
  const { kind, writes, ...content } = wanted;
  const waiting = await records.findWithoutContent(reference);
  if (waiting !== null && !hasEnded(waiting)) return { existing: waiting };
  if (content.contentKey === null) {
    const create = { ...content, revision: 1, supersedes: null };
    return waiting === null || waiting.status === 'completed' ? { create } : { reopen: waiting, create };
  }

  const revisions = await records.findByContent(content.contentKey);
  const underWay = revisions.find((assessment) => !hasEnded(assessment));
  if (underWay !== undefined) return { existing: underWay };
  const completed = revisions.find((assessment) => assessment.status === 'completed');
  const inChart = completed?.withdrawal === null && (completed.resources !== null || !writes);
  if (completed !== undefined && inChart && kind !== 'forced') return { existing: completed };

  const create = {
    ...content,
    revision: (completed?.revision ?? 0) + 1,
    supersedes: completed?.id ?? null,
  };
  const ended = revisions.find((assessment) => assessment.revision === create.revision);
  if (ended === undefined) return { create };
  return kind === 'automatic' && !mayRepeat(ended) ? { existing: ended } : { reopen: ended, create };
}

/** Whether work that ended without a result is tried again although nobody asked. */
function mayRepeat({ status, attempt }: Assessment): boolean {
  return status === 'failed' && attempt < MOST_AUTOMATIC_ATTEMPTS;
}
