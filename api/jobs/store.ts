import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { InvalidRequestError } from '../errors.ts';
import { WRITING_BEGINS_AT } from '../assessment/assessment.ts';
import type { Assessment, AssessmentStage } from '../assessment/assessment.ts';
import type { AssessmentOutcome } from '../assessment/assess-study.ts';
import type {
  AssessmentPage,
  AssessmentQuery,
  AssessmentRecords,
  NewAssessment,
} from '../assessment/assessment-records.ts';
import type { StudyReference } from '../assessment/ports.ts';
import type { MapName, ResultMap, ResultMaps } from '../assessment/result-maps.ts';
import type { Withdrawal } from '../assessment/withdrawal.ts';
import { COLUMNS, toAssessment } from './assessment-row.ts';
import type { AssessmentRow, KeptAssessment } from './assessment-row.ts';
import type { Database } from './database.ts';
import { createSchema } from './schema.ts';

/** One run of the work: updates of a run that is over, cancelled or begun anew find no row and change nothing. */
export type Run = Pick<Assessment, 'id' | 'attempt'>;

/** How a run ends for good. */
export type AssessmentEnd =
  AssessmentOutcome | { readonly kind: 'failed'; readonly error: { code: string; message: string } };

/** The content that a run found already belongs to another assessment. */
export class ContentTakenError extends Error {
  override readonly name = 'ContentTakenError';
  readonly contentKey: string;
  constructor(contentKey: string) {
    super('Another assessment holds this content.');
    this.contentKey = contentKey;
  }
}

/** About 10 kB each. */
const REMEMBERED_PATIENTS = 500;
/** How many of the latest assessments say how long one takes. */
const USUAL_OF = 50;

const OPEN = `status IN ('created', 'active')`;
const UNIQUE_VIOLATION = '23505';

/**
 * The assessments, one row each. Every change is one statement that names the status it expects, so that of two writers one
 * wins and the other learns it by getting null: an ended assessment never reopens but as a new attempt.
 */
export class AssessmentStore implements AssessmentRecords {
  readonly #database: Database;
  readonly #changes = new EventEmitter().setMaxListeners(0);
  readonly #ofPatient = new Map<string, Promise<AssessmentPage>>();

  private constructor(database: Database) {
    this.#database = database;
  }

  /** Makes or updates the tables. Throws ConfigurationError for tables of a newer hemocast. */
  static async open(database: Database): Promise<AssessmentStore> {
    await createSchema(database);
    return new AssessmentStore(database);
  }

  get(id: string): Promise<KeptAssessment | null> {
    return this.#one(`SELECT ${COLUMNS} FROM hemocast.assessments WHERE id = $1`, [id]);
  }

  async getMaps(id: string): Promise<ResultMaps | null> {
    const { rows } = await this.#database.executeSql(
      'SELECT description, attention, difference FROM hemocast.assessment_maps WHERE assessment_id = $1',
      [id],
    );
    if (rows.length === 0) return null;
    const { description, attention, difference } = rows[0] as Record<MapName, Uint8Array> & {
      description: MapDescriptions;
    };
    return {
      seriesInstanceUid: description.seriesInstanceUid,
      attention: { ...description.attention, gzip: attention },
      difference: { ...description.difference, gzip: difference },
    };
  }

  /**
   * What is known of one patient is remembered: a chart that is opened asks for it with every hook. Only in the embedded
   * database, whose folder is locked: nobody else writes there, so every change comes through #change.
   */
  list(query: AssessmentQuery): Promise<AssessmentPage> {
    const { patientReference, imagingStudy, cursor, limit } = query;
    const isOfPatient = patientReference !== undefined && imagingStudy === undefined && cursor === undefined;
    if (this.#database.kind !== 'pglite' || !isOfPatient) return this.#read(query);
    const key = `${patientReference} ${limit}`;
    const remembered = this.#ofPatient.get(key) ?? this.#read(query);
    this.#ofPatient.delete(key);
    this.#ofPatient.set(key, remembered);
    remembered.catch(() => this.#ofPatient.delete(key));
    for (const oldest of this.#ofPatient.keys()) {
      if (this.#ofPatient.size <= REMEMBERED_PATIENTS) break;
      this.#ofPatient.delete(oldest);
    }
    return remembered;
  }

  async #read(query: AssessmentQuery): Promise<AssessmentPage> {
    if (query.cursor !== undefined && !/^[1-9]\d{0,17}$/.test(query.cursor)) {
      throw new InvalidRequestError('cursor-invalid', 'Use `next` of the page before as the cursor, or leave it out.');
    }
    const { rows } = await this.#database.executeSql(
      `SELECT ${COLUMNS} FROM hemocast.assessments
       WHERE ($1::text IS NULL OR study_id = $1) AND ($2::text IS NULL OR patient_reference = $2)
         AND ($3::text IS NULL OR sequence < $3::text::bigint)
       ORDER BY hemocast.assessments.sequence DESC LIMIT $4`,
      [query.imagingStudy?.id ?? null, query.patientReference ?? null, query.cursor ?? null, query.limit + 1],
    );
    const page: AssessmentRow[] = rows.slice(0, query.limit);
    return { items: page.map(toAssessment), next: rows.length > query.limit ? page[page.length - 1].sequence : null };
  }

  async findByContent(contentKey: string): Promise<readonly KeptAssessment[]> {
    const { rows } = await this.#database.executeSql(
      `SELECT ${COLUMNS} FROM hemocast.assessments WHERE content_key = $1
       ORDER BY revision DESC, hemocast.assessments.sequence DESC`,
      [contentKey],
    );
    return rows.map(toAssessment);
  }

  findWithoutContent(study: StudyReference): Promise<KeptAssessment | null> {
    return this.#one(
      `SELECT ${COLUMNS} FROM hemocast.assessments WHERE study_id = $1 AND content_key IS NULL
       ORDER BY hemocast.assessments.sequence DESC LIMIT 1`,
      [study.id],
    );
  }

  async listStanding(of: Parameters<AssessmentRecords['listStanding']>[0]): Promise<readonly KeptAssessment[]> {
    const { rows } = await this.#database.executeSql(
      `SELECT ${COLUMNS} FROM hemocast.assessments WHERE status = 'completed' AND withdrawal IS NULL
         AND ($1::text[] IS NULL OR study_id = ANY ($1) OR patient_reference = ANY ($2::text[]) OR updated_at >= $3::timestamptz)
       ORDER BY hemocast.assessments.sequence`,
      of === null ? [null, null, null] : [of.studies.map(({ id }) => id), [...of.patients], of.completedSince ?? null],
    );
    return rows.map(toAssessment);
  }

  withdraw(id: string, withdrawal: Withdrawal): Promise<KeptAssessment | null> {
    return this.#change(
      `UPDATE hemocast.assessments SET withdrawal = $2::jsonb, updated_at = now()
       WHERE id = $1 AND status = 'completed' AND withdrawal IS NULL RETURNING ${COLUMNS}`,
      [id, JSON.stringify(withdrawal)],
    );
  }

  async readCursor(name: string): Promise<string | null> {
    const { rows } = await this.#database.executeSql('SELECT value FROM hemocast.cursors WHERE name = $1', [name]);
    return (rows[0]?.value as string | undefined) ?? null;
  }

  async writeCursor(name: string, value: string): Promise<void> {
    await this.#database.executeSql(
      `INSERT INTO hemocast.cursors (name, value) VALUES ($1, $2)
       ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
      [name, value],
    );
  }

  async countOpen(): Promise<number> {
    const { rows } = await this.#database.executeSql(
      `SELECT count(*)::int AS open FROM hemocast.assessments WHERE ${OPEN}`,
    );
    return rows[0].open;
  }

  async usualMs(): Promise<number | null> {
    const { rows } = await this.#database.executeSql(
      `SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) AS usual FROM (
         SELECT (SELECT sum(value::float8) FROM jsonb_each_text(timings) WHERE key = ANY($1)) AS ms
         FROM hemocast.assessments WHERE status = 'completed' ORDER BY sequence DESC LIMIT $2
       ) AS latest`,
      [['choosing-series', 'retrieving', 'reading-scan', 'writing-back'], USUAL_OF],
    );
    return rows[0].usual;
  }

  /** Everything that has not ended and has not changed for `unchangedMs`, oldest first. */
  async listOpen(unchangedMs = 0): Promise<readonly KeptAssessment[]> {
    const { rows } = await this.#database.executeSql(
      `SELECT ${COLUMNS} FROM hemocast.assessments
       WHERE ${OPEN} AND updated_at <= now() - $1::float8 * interval '1 millisecond' ORDER BY hemocast.assessments.sequence`,
      [unchangedMs],
    );
    return rows.map(toAssessment);
  }

  create({ study, contentKey, revision, supersedes, model }: NewAssessment): Promise<KeptAssessment | null> {
    return this.#change(
      `INSERT INTO hemocast.assessments
         (id, status, revision, study_id, study_instance_uid, patient_reference, content_key, supersedes, model)
       VALUES ($1, 'created', $2, $3, $4, $5, $6, $7, $8::jsonb)
       ON CONFLICT DO NOTHING RETURNING ${COLUMNS}`,
      [
        randomUUID(),
        revision,
        study.reference.id,
        study.studyInstanceUid,
        study.patientReference,
        contentKey,
        supersedes,
        JSON.stringify(model),
      ],
    );
  }

  async reopen(
    { id, attempt }: Run,
    { study, contentKey, supersedes, model }: Pick<NewAssessment, 'study' | 'contentKey' | 'supersedes' | 'model'>,
  ): Promise<KeptAssessment | null> {
    try {
      return await this.#change(
        `UPDATE hemocast.assessments SET status = 'created', attempt = attempt + 1, stage = NULL, progress = 0,
           study_id = $8, study_instance_uid = $3, patient_reference = $4, content_key = $5, supersedes = $6, model = $7::jsonb,
           prediction = NULL, flags = '[]', refusal = NULL, error = NULL, resources = NULL, execution_provider = NULL, timings = '{}',
           updated_at = now(), waiting_since = NULL, looks = 0, retries = 0, interruptions = 0
         WHERE id = $1 AND attempt = $2 AND status IN ('refused', 'failed', 'cancelled') RETURNING ${COLUMNS}`,
        [
          id,
          attempt,
          study.studyInstanceUid,
          study.patientReference,
          contentKey,
          supersedes,
          JSON.stringify(model),
          study.reference.id,
        ],
      );
    } catch (error) {
      if (isUniqueViolation(error)) return null;
      throw error;
    }
  }

  /** A worker takes the assessment up. Counts as an interruption until the run comes to an end. */
  begin({ id, attempt }: Run, model: Assessment['model']): Promise<KeptAssessment | null> {
    return this.#change(
      `UPDATE hemocast.assessments SET status = 'active', interruptions = interruptions + 1, model = $3::jsonb, updated_at = now()
       WHERE id = $1 AND attempt = $2 AND ${OPEN} RETURNING ${COLUMNS}`,
      [id, attempt, JSON.stringify(model)],
    );
  }

  /** Progress never goes back within an attempt. Throws ContentTakenError where `contentKey` belongs to another assessment. */
  async advance(
    { id, attempt }: Run,
    to: { readonly stage: AssessmentStage; readonly progress: number; readonly contentKey?: string },
  ): Promise<KeptAssessment | null> {
    try {
      return await this.#change(
        `UPDATE hemocast.assessments SET stage = $3, progress = greatest(progress, least($4::float8, 1)),
           content_key = coalesce($5, content_key), updated_at = now()
         WHERE id = $1 AND attempt = $2 AND status = 'active' RETURNING ${COLUMNS}`,
        [id, attempt, to.stage, to.progress, to.contentKey ?? null],
      );
    } catch (error) {
      if (to.contentKey !== undefined && isUniqueViolation(error)) throw new ContentTakenError(to.contentKey);
      throw error;
    }
  }

  /** A run that learns its content late becomes the next revision of it. */
  asNextRevision({ id, attempt }: Run, contentKey: string): Promise<KeptAssessment | null> {
    return this.#change(
      `UPDATE hemocast.assessments SET updated_at = now(),
         revision = (SELECT coalesce(max(other.revision), 0) + 1 FROM hemocast.assessments other WHERE other.content_key = $3)
       WHERE id = $1 AND attempt = $2 AND content_key IS NULL AND ${OPEN} RETURNING ${COLUMNS}`,
      [id, attempt, contentKey],
    );
  }

  /** The run ends without a result and another one follows: instances are missing, a system is away, or the process stops. */
  pause(
    { id, attempt }: Run,
    why: 'instances-missing' | 'transient-fault' | 'shutdown',
  ): Promise<KeptAssessment | null> {
    return this.#change(
      `UPDATE hemocast.assessments SET interruptions = 0, updated_at = now(),
         stage = CASE WHEN $3 = 'instances-missing' THEN 'waiting-for-instances' ELSE stage END,
         waiting_since = CASE WHEN $3 = 'instances-missing' THEN coalesce(waiting_since, now()) ELSE waiting_since END,
         looks = looks + CASE WHEN $3 = 'instances-missing' THEN 1 ELSE 0 END,
         retries = retries + CASE WHEN $3 = 'transient-fault' THEN 1 ELSE 0 END
       WHERE id = $1 AND attempt = $2 AND ${OPEN} RETURNING ${COLUMNS}`,
      [id, attempt, why],
    );
  }

  /** The run ends for good; a completed one with its maps, both or neither. */
  finish({ id, attempt }: Run, end: AssessmentEnd): Promise<KeptAssessment | null> {
    const json = (value: unknown): string | null => (value === undefined ? null : JSON.stringify(value));
    const completed = end.kind === 'completed' ? end : undefined;
    return this.#change(
      `WITH finished AS (
       UPDATE hemocast.assessments SET status = $3, stage = NULL, progress = CASE WHEN $3 = 'completed' THEN 1 ELSE progress END,
         prediction = $4::jsonb, flags = coalesce($5::jsonb, '[]'), refusal = $6::jsonb, error = $7::jsonb, resources = $8::jsonb,
         execution_provider = $9, timings = coalesce($10::jsonb, '{}'), basis = $14::jsonb, interruptions = 0, updated_at = now()
       WHERE id = $1 AND attempt = $2 AND ${OPEN} RETURNING ${COLUMNS}
       ), kept AS (
       INSERT INTO hemocast.assessment_maps (assessment_id, description, attention, difference)
         SELECT id, $11::jsonb, $12::bytea, $13::bytea FROM finished WHERE $11::jsonb IS NOT NULL
       )
       SELECT * FROM finished`,
      [
        id,
        attempt,
        end.kind,
        json(completed?.prediction),
        end.kind === 'failed' ? null : json(end.flags),
        end.kind === 'refused' ? json(end.refusal) : null,
        end.kind === 'failed' ? json(end.error) : null,
        json(completed?.resources),
        completed?.executionProvider ?? null,
        end.kind === 'failed' ? null : json(end.timings),
        completed?.maps ? json(describeMaps(completed.maps)) : null,
        completed?.maps?.attention.gzip ?? null,
        completed?.maps?.difference.gzip ?? null,
        json(completed?.basis),
      ],
    );
  }

  /**
   * `attempt`: only this one; a request that began the work anew is not cancelled by an older run. Not once a run has begun to
   * write: the chart might hold what no record stands for, and nobody would take it back.
   */
  cancel(id: string, attempt?: number): Promise<KeptAssessment | null> {
    return this.#change(
      `UPDATE hemocast.assessments SET status = 'cancelled', stage = NULL, interruptions = 0, updated_at = now()
       WHERE id = $1 AND ${OPEN} AND ($2::int IS NULL OR attempt = $2) AND progress < ${WRITING_BEGINS_AT} RETURNING ${COLUMNS}`,
      [id, attempt ?? null],
    );
  }

  watch(id: string, listener: (assessment: Assessment) => void): () => void {
    this.#changes.on(id, listener);
    return () => void this.#changes.off(id, listener);
  }

  /** How many watchers there are, over all assessments. */
  get watchers(): number {
    return this.#changes.eventNames().reduce((sum, id) => sum + this.#changes.listenerCount(id), 0);
  }

  async #change(text: string, values: unknown[]): Promise<KeptAssessment | null> {
    this.#ofPatient.clear();
    const changed = await this.#one(text, values).finally(() => this.#ofPatient.clear());
    if (changed !== null) this.#changes.emit(changed.id, changed);
    return changed;
  }

  async #one(text: string, values: unknown[]): Promise<KeptAssessment | null> {
    const { rows } = await this.#database.executeSql(text, values);
    return rows.length === 0 ? null : toAssessment(rows[0]);
  }
}

/** Everything about the maps but their bytes. */
type MapDescriptions = Pick<ResultMaps, 'seriesInstanceUid'> & Record<MapName, Omit<ResultMap, 'gzip'>>;

function describeMaps({ seriesInstanceUid, attention, difference }: ResultMaps): MapDescriptions {
  const describe = ({ grid, scale }: ResultMap): Omit<ResultMap, 'gzip'> => ({ grid, scale });
  return { seriesInstanceUid, attention: describe(attention), difference: describe(difference) };
}

function isUniqueViolation(error: unknown): boolean {
  return (error as { code?: string }).code === UNIQUE_VIOLATION;
}
