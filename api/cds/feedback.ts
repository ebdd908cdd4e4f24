/** What clinicians did with cards, as CDS clients report it (CDS Hooks 2.0.1, "Feedback"). */
import { InvalidRequestError } from '../errors.ts';

export interface Feedback {
  readonly card: string;
  readonly outcome: 'accepted' | 'overridden';
  readonly acceptedSuggestions: readonly string[];
  readonly reason: { readonly system: string; readonly code: string } | null;
  /** Free text of a clinician; kept, never logged or counted. */
  readonly userComment: string | null;
  /** RFC 3339, UTC. */
  readonly outcomeTimestamp: string;
}

/** Where feedback is kept. */
export interface FeedbackRecords {
  /** Keeps what is not kept yet: the same act reported twice is one. Returns how many were new. */
  add(service: string, issuer: string, feedback: readonly Feedback[]): Promise<number>;
  /** How often each outcome was reported, by service and code of the reason ("none" without one). */
  count(): Promise<
    readonly { readonly service: string; readonly outcome: string; readonly reason: string; readonly count: number }[]
  >;
}

const MOST_ITEMS = 100;
const LONGEST_COMMENT = 2_000;
/** RFC 3339 5.6 */
const TIMESTAMP = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/i;
/** No card is older than CDS Hooks; PostgreSQL has no year 0. */
const EARLIEST = Date.parse('2015-01-01T00:00:00Z');

type Fields = Readonly<Record<string, unknown>>;

/** Throws InvalidRequestError `feedback-invalid` naming the places, never their values. All or nothing is kept. */
export function readFeedback(body: unknown): readonly Feedback[] {
  const list = asFields(body)?.feedback;
  const problems: string[] = [];
  if (!Array.isArray(list) || list.length === 0) problems.push('feedback: must be an array with entries');
  else if (list.length > MOST_ITEMS) problems.push(`feedback: must hold at most ${MOST_ITEMS} entries`);
  const read =
    problems.length > 0 ? [] : (list as unknown[]).map((item, index) => readItem(asFields(item), index, problems));
  if (problems.length > 0) {
    throw new InvalidRequestError('feedback-invalid', `The feedback cannot be read: ${problems.join('; ')}.`);
  }
  return read;
}

function readItem(item: Fields = {}, index: number, problems: string[]): Feedback {
  const check = (holds: boolean, problem: string): void =>
    void (holds || problems.push(`feedback[${index}].${problem}`));
  const { card, outcome, acceptedSuggestions, overrideReason, outcomeTimestamp } = item;
  check(isId(card), 'card: must be the uuid of a card');
  check(outcome === 'accepted' || outcome === 'overridden', 'outcome: must be accepted or overridden');
  const suggestions = Array.isArray(acceptedSuggestions) ? acceptedSuggestions.map((one) => asFields(one)?.id) : [];
  check(outcome !== 'accepted' || suggestions.length > 0, 'acceptedSuggestions: are required with accepted');
  check(suggestions.every(isId), 'acceptedSuggestions: must hold objects with an id');
  check(
    isText(outcomeTimestamp) && TIMESTAMP.test(outcomeTimestamp) && Date.parse(outcomeTimestamp) >= EARLIEST,
    'outcomeTimestamp: must be an RFC 3339 time, of 2015 or later',
  );
  const override = overrideReason === undefined ? {} : asFields(overrideReason);
  check(override !== undefined, 'overrideReason: must be an object');
  const reason = override?.reason === undefined ? undefined : asFields(override.reason);
  const isCoding = isText(reason?.code) && isText(reason.system);
  check(override?.reason === undefined || isCoding, 'overrideReason.reason: must be a Coding with system and code');
  check(
    override?.userComment === undefined || typeof override.userComment === 'string',
    'overrideReason.userComment: must be a string',
  );
  return {
    card: String(card),
    outcome: outcome as Feedback['outcome'],
    acceptedSuggestions: suggestions as string[],
    reason: isText(reason?.code) ? { system: clip(reason.system, 256), code: clip(reason.code, 128) } : null,
    userComment: isText(override?.userComment) ? clip(override.userComment, LONGEST_COMMENT) : null,
    outcomeTimestamp: String(outcomeTimestamp),
  };
}

/** PostgreSQL's text holds every character but U+0000, and no half of a surrogate pair. */
function clip(value: unknown, longest: number): string {
  return isText(value) ? value.replaceAll('\u0000', '').slice(0, longest).toWellFormed() : '';
}

function isId(value: unknown): value is string {
  return isText(value) && value.length <= 128 && !value.includes('\u0000') && value.isWellFormed();
}

function asFields(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
