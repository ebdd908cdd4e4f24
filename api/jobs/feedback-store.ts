import { createHash } from 'node:crypto';
import type { Database } from './database.ts';

/** One entry of a feedback report; api/cds/feedback.ts reads it. */
export interface KeptFeedback {
  readonly card: string;
  readonly outcome: string;
  readonly acceptedSuggestions: readonly string[];
  readonly reason: { readonly system: string; readonly code: string } | null;
  readonly userComment: string | null;
  /** RFC 3339 */
  readonly outcomeTimestamp: string;
}

/** What clinicians did with cards. The same act reported twice is one row. */
export class FeedbackStore {
  readonly #database: Database;

  /** The tables are those of AssessmentStore.open. */
  constructor(database: Database) {
    this.#database = database;
  }

  /** Returns how many entries were new. */
  async add(service: string, issuer: string, feedback: readonly KeptFeedback[]): Promise<number> {
    const rows = feedback.map((entry) => {
      const { card, outcome, reason, userComment, acceptedSuggestions } = entry;
      const at = new Date(entry.outcomeTimestamp).toISOString();
      const act = [service, issuer, card, outcome, at, reason?.system, reason?.code, ...acceptedSuggestions];
      const key = createHash('sha256').update(JSON.stringify(act)).digest('hex');
      return { key, card, outcome, at, reason, comment: userComment, suggestions: acceptedSuggestions };
    });
    const { rows: added } = await this.#database.executeSql(
      `INSERT INTO hemocast.cds_feedback (key, service, issuer, card, outcome, outcome_at, reason, comment, suggestions)
       SELECT entry.key, $1, $2, entry.card, entry.outcome, entry.at, entry.reason, entry.comment, entry.suggestions
       FROM jsonb_to_recordset($3::jsonb) AS entry
         (key text, card text, outcome text, at timestamptz, reason jsonb, comment text, suggestions jsonb)
       ON CONFLICT DO NOTHING RETURNING key`,
      [service, issuer, JSON.stringify(rows)],
    );
    return added.length;
  }

  /** How often each outcome was reported; `reason` is the code, "none" without one. */
  async count(): Promise<
    readonly { readonly service: string; readonly outcome: string; readonly reason: string; readonly count: number }[]
  > {
    const { rows } = await this.#database.executeSql(
      `SELECT service, outcome, coalesce(reason->>'code', 'none') AS reason, count(*)::int AS count
       FROM hemocast.cds_feedback GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`,
    );
    return rows;
  }
}
