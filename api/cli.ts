#!/usr/bin/env node
/** `hemocast`: files in, files out without an EHR; the switch of a running service; a helping hand for a PACS beside the sandbox EHR. */
import { parseArgs } from 'node:util';
import { isLoopback, readConfig } from './config.ts';
import { HemocastError } from './errors.ts';
import { predictFiles } from './predict-files.ts';

const USAGE = `Usage:
  hemocast predict <folder, file or zip of DICOM> --out <dir>
      Reads one head CT and writes prediction.json, comparison.png and follow-up.dcm.
      Exit code 0; 2 for a refusal (its code on stderr and in prediction.json); 1 for a fault.
  hemocast pause | shadow | resume [--reason <text>] [--url <where the service is>]
      Stops cards and write-backs of a running service at once; computes without showing or writing; lets it run again.
  hemocast register-study <StudyInstanceUID> [--url <where the service is>]
      Creates the sandbox EHR's ImagingStudy for a study of the configured PACS.

Without --url the service is looked for at 127.0.0.1 and the PORT of the environment, 8080 without one.

Research use only, trained on simulated data, not a medical device.
`;

/** Command -> operation mode. */
const MODES: Readonly<Record<string, string>> = { pause: 'paused', shadow: 'shadow', resume: 'running' };

/** Exit codes: 0 done, 1 fault, 2 refusal. */
async function main(args: readonly string[]): Promise<number> {
  const {
    values,
    positionals: [command, ...positionals],
  } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      out: { type: 'string' },
      url: { type: 'string' },
      reason: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) return usage(0);
  const url = values.url ?? `http://127.0.0.1:${process.env.PORT || 8080}`;
  if (Object.hasOwn(MODES, command ?? ''))
    return positionals.length > 0 ? usage(1) : setOperation(MODES[command], values.reason, url);
  if (positionals.length !== 1) return usage(1);
  switch (command) {
    case 'predict':
      if (values.out === undefined) return usage(1);
      return predictFiles({ input: positionals[0], out: values.out, config: readConfig(process.env) });
    case 'register-study':
      return registerStudy(positionals[0], url);
    default:
      return usage(1);
  }
}

async function setOperation(mode: string, reason: string | undefined, serviceUrl: string): Promise<number> {
  const { apiToken } = readConfig(process.env);
  const response = await ask(new URL('/v1/operation', serviceUrl), {
    method: 'PUT',
    headers: {
      'Content-Type': 'application/json',
      ...(apiToken === undefined ? {} : { Authorization: `Bearer ${apiToken}` }),
    },
    body: JSON.stringify({ mode, reason: reason ?? null }),
  });
  const answer = (await response.json()) as { mode?: string; detail?: string };
  if (!response.ok) {
    process.stderr.write(`${answer.detail ?? `HTTP ${response.status}`}\n`);
    return 1;
  }
  process.stdout.write(`${answer.mode}\n`);
  return 0;
}

/** Asks the running service to register the study: it alone may write to its sandbox. */
async function registerStudy(studyInstanceUid: string, serviceUrl: string): Promise<number> {
  const url = new URL('/sandbox/register-study', serviceUrl);
  if (!isLoopback(url.hostname)) {
    process.stderr.write('The sandbox is reached on loopback only.\n');
    return 1;
  }
  const response = await ask(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ studyInstanceUid }),
  });
  const answer = (await response.json()) as { imagingStudy?: string; detail?: string; title?: string };
  if (!response.ok) {
    process.stderr.write(`${answer.detail ?? answer.title ?? `HTTP ${response.status}`}\n`);
    return 1;
  }
  process.stdout.write(`${answer.imagingStudy}\n`);
  return 0;
}

async function ask(url: URL, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, { ...init, redirect: 'error' });
  } catch (error) {
    const { cause, message } = error as Error & { cause?: { code?: string; message?: string } };
    const why = cause?.code ?? cause?.message ?? message;
    throw new Error(`No service answers at ${url.origin} (${why}): start it, or name where it is with --url.`, {
      cause: error,
    });
  }
}

function usage(code: number): number {
  (code === 0 ? process.stdout : process.stderr).write(USAGE);
  return code;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`${error instanceof HemocastError ? `${error.code}: ` : ''}${message}\n`);
  process.exitCode = 1;
}
