/**
 * The structured log: one JSON object a line. Fields outside the allow-list never reach it, and neither do the messages of
 * errors that are not ours, because a parser or a driver may quote patient data or a credential in them.
 */
import { pino } from 'pino';
import type { DestinationStream } from 'pino';
import type { Config } from './config.ts';

/** Everything a log line may carry. No names, no identifiers of patients or studies, no tokens. */
export interface LogFields {
  readonly requestId?: string;
  readonly assessmentId?: string;
  readonly jobId?: string;
  readonly attempt?: number;
  readonly stage?: string;
  readonly status?: string | number;
  readonly code?: string;
  readonly method?: string;
  /** Route template ("/v1/assessments/{id}"), never the path that was asked for. */
  readonly route?: string;
  readonly durationMs?: number;
  readonly delayMs?: number;
  readonly count?: number;
  /** Which system outside: "ehr", "pacs", "queue". */
  readonly system?: string;
  /** Hash of a StudyInstanceUID. */
  readonly studyHash?: string;
  /** Where an answer broke openapi.yaml: property paths and rules, no values. */
  readonly violations?: readonly string[];
}

const ALLOWED: ReadonlySet<string> = new Set<keyof LogFields>([
  'requestId',
  'assessmentId',
  'jobId',
  'attempt',
  'stage',
  'status',
  'code',
  'method',
  'route',
  'durationMs',
  'delayMs',
  'count',
  'system',
  'studyHash',
  'violations',
]);

/** `message` is a constant of the code, never composed from data: what varies goes into `fields`. */
export interface Logger {
  debug(message: string, fields?: LogFields, error?: unknown): void;
  info(message: string, fields?: LogFields, error?: unknown): void;
  warn(message: string, fields?: LogFields, error?: unknown): void;
  error(message: string, fields?: LogFields, error?: unknown): void;
}

/** A logger that writes to `destination`, standard error unless told otherwise (standard output is for people). */
export function createLogger(options: { level: Config['logLevel']; destination?: DestinationStream }): Logger {
  const out = pino(
    {
      level: options.level,
      base: undefined,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
    },
    options.destination ?? pino.destination({ fd: 2, sync: true }),
  );
  const at =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (message: string, fields: LogFields = {}, error?: unknown): void =>
      out[level]({ ...onlyAllowed(fields), ...(error === undefined ? {} : { error: describeError(error) }) }, message);
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

function onlyAllowed(fields: object): object {
  return Object.fromEntries(Object.entries(fields).filter(([key, value]) => ALLOWED.has(key) && value !== undefined));
}

interface LoggedError {
  readonly name: string;
  readonly code?: string;
  readonly stack?: readonly string[];
  readonly cause?: LoggedError;
}

/** Class, code and stack frames of an error and its causes. Frames name our files; the message is left out. */
function describeError(error: unknown, depth = 0): LoggedError {
  if (!(error instanceof Error)) return { name: typeof error };
  const { code, status } = error as { code?: unknown; status?: unknown };
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  const expected = typeof status === 'number' && status < 500; // a caller's mistake: where it was found says nothing
  return {
    name: error.name,
    ...(typeof code === 'string' && /^[\w.-]{1,64}$/.test(code) ? { code } : {}),
    ...(expected ? {} : { stack: frames.slice(0, 12).map((frame) => frame.trim()) }),
    ...(error.cause !== undefined && depth < 3 ? { cause: describeError(error.cause, depth + 1) } : {}),
  };
}
