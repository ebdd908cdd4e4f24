import { ConfigurationError } from '../errors.ts';
import type { Database } from './database.ts';

/** Raised with every change of the tables; a step per version goes into MIGRATIONS. */
const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE hemocast.assessments (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id uuid NOT NULL UNIQUE,
    status text NOT NULL CHECK (status IN ('created', 'active', 'completed', 'refused', 'failed', 'cancelled')),
    stage text,
    progress double precision NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 1),
    revision integer NOT NULL CHECK (revision >= 1),
    attempt integer NOT NULL DEFAULT 1 CHECK (attempt >= 1),
    study_id text NOT NULL,
    study_instance_uid text NOT NULL,
    patient_reference text NOT NULL,
    content_key text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    prediction jsonb,
    flags jsonb NOT NULL DEFAULT '[]',
    refusal jsonb,
    error jsonb,
    resources jsonb,
    supersedes uuid,
    model jsonb NOT NULL,
    execution_provider text,
    timings jsonb NOT NULL DEFAULT '{}',
    waiting_since timestamptz,
    looks integer NOT NULL DEFAULT 0,
    retries integer NOT NULL DEFAULT 0,
    interruptions integer NOT NULL DEFAULT 0
  );
  COMMENT ON COLUMN hemocast.assessments.waiting_since IS 'When this attempt first found instances missing.';
  COMMENT ON COLUMN hemocast.assessments.looks IS 'How often this attempt found instances missing.';
  COMMENT ON COLUMN hemocast.assessments.retries IS 'How often this attempt met a transient fault.';
  COMMENT ON COLUMN hemocast.assessments.interruptions IS 'Runs of this attempt in a row that never came to an end (killed process).';
  -- One living assessment per content and revision; what ended without a result may be begun anew, but only once.
  CREATE UNIQUE INDEX assessments_content ON hemocast.assessments (content_key, revision)
    WHERE content_key IS NOT NULL AND status IN ('created', 'active', 'completed');
  CREATE UNIQUE INDEX assessments_waiting ON hemocast.assessments (study_id)
    WHERE content_key IS NULL AND status IN ('created', 'active');
  CREATE INDEX assessments_by_content ON hemocast.assessments (content_key, revision DESC);
  CREATE INDEX assessments_by_study ON hemocast.assessments (study_id, sequence DESC);
  CREATE INDEX assessments_by_patient ON hemocast.assessments (patient_reference, sequence DESC);
  CREATE INDEX assessments_open ON hemocast.assessments (sequence) WHERE status IN ('created', 'active');
  CREATE TABLE hemocast.pictures (key text PRIMARY KEY, reference text NOT NULL);
  COMMENT ON TABLE hemocast.pictures IS 'Where an EHR that chooses ids itself has put the bytes of a picture.';
  `,
  `
  CREATE TABLE hemocast.operation (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    mode text NOT NULL CHECK (mode IN ('running', 'shadow', 'paused')),
    reason text,
    changed_at timestamptz NOT NULL DEFAULT now()
  );
  `,
  `
  ALTER TABLE hemocast.assessments ADD COLUMN withdrawal jsonb;
  CREATE INDEX assessments_standing ON hemocast.assessments (sequence) WHERE status = 'completed' AND withdrawal IS NULL;
  CREATE TABLE hemocast.cursors (name text PRIMARY KEY, value text NOT NULL);
  `,
  `
  CREATE TABLE hemocast.used_tokens (key text PRIMARY KEY, expires_at timestamptz NOT NULL);
  COMMENT ON TABLE hemocast.used_tokens IS 'Digests of tokens that may be used once, until they expire.';
  CREATE INDEX used_tokens_expiry ON hemocast.used_tokens (expires_at);
  CREATE TABLE hemocast.cds_feedback (
    key text PRIMARY KEY,
    service text NOT NULL,
    issuer text NOT NULL,
    card text NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('accepted', 'overridden')),
    outcome_at timestamptz NOT NULL,
    reason jsonb,
    comment text,
    suggestions jsonb NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now()
  );
  COMMENT ON COLUMN hemocast.cds_feedback.comment IS 'Free text of a clinician; may hold anything.';
  `,
  `
  CREATE TABLE hemocast.assessment_maps (
    assessment_id uuid PRIMARY KEY REFERENCES hemocast.assessments (id) ON DELETE CASCADE,
    description jsonb NOT NULL,
    attention bytea NOT NULL,
    difference bytea NOT NULL
  );
  COMMENT ON TABLE hemocast.assessment_maps IS 'Maps of completed assessments, compressed by gzip: about 0.1 MB each.';
  `,
  `
  ALTER TABLE hemocast.assessments ADD COLUMN basis jsonb;
  COMMENT ON COLUMN hemocast.assessments.basis IS 'The slices read and the procedure that the hours are counted from.';
  `,
];

/** Any number that no one else uses as an advisory lock: two processes starting at once take turns. */
const LOCK = 7_203_001;

/** Brings the tables to this version; repeating it changes nothing. Throws ConfigurationError for tables of a newer hemocast. */
export async function createSchema(database: Database): Promise<void> {
  await database.executeSql(`
    BEGIN;
    SELECT pg_advisory_xact_lock(${LOCK});
    CREATE SCHEMA IF NOT EXISTS hemocast;
    CREATE TABLE IF NOT EXISTS hemocast.schema_version (version integer PRIMARY KEY, installed_at timestamptz NOT NULL DEFAULT now());
    COMMIT;
  `);
  const { rows } = await database.executeSql(
    'SELECT coalesce(max(version), 0) AS version FROM hemocast.schema_version',
  );
  const installed = Number(rows[0].version);
  if (installed > MIGRATIONS.length) {
    throw new ConfigurationError(
      `The database was written by a newer hemocast (tables of version ${installed}; this one knows ${MIGRATIONS.length}). Use that one.`,
    );
  }
  for (let version = installed + 1; version <= MIGRATIONS.length; version++) {
    await migrate(database, version);
  }
}

/** One version in one transaction. The version row is what a second process starting at the same time collides with, after waiting. */
async function migrate(database: Database, version: number): Promise<void> {
  try {
    await database.executeSql(`
      BEGIN;
      SELECT pg_advisory_xact_lock(${LOCK});
      INSERT INTO hemocast.schema_version (version) VALUES (${version});
      ${MIGRATIONS[version - 1]}
      COMMIT;
    `);
  } catch (error) {
    if ((error as { code?: string }).code !== '23505') throw error;
  }
}
