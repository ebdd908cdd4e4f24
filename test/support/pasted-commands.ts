/** The shell commands of a document, as a reader pastes them: every line that is indented by four spaces outside of lists. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { repositoryRoot } from './components.ts';

const run = promisify(execFile);
/** Where `npm start` listens, as documents print it. */
const PRINTED_URL = 'http://127.0.0.1:8080';
const MARK = '=== end of a command ===';

export function printedCommands(document: string, command = /\bcurl\b/): string[] {
  const text = readFileSync(join(repositoryRoot, document), 'utf8');
  return [...text.matchAll(/^ {4}(\S.*)$/gm)].map((match) => match[1]).filter((line) => command.test(line));
}

/**
 * Pastes the commands one after the other into one shell in the repository, against a service elsewhere. Returns what each of
 * them prints. Throws where one fails.
 */
export async function paste(commands: readonly string[], serviceUrl: string): Promise<string[]> {
  const script = commands.map((line) => `${line.replaceAll(PRINTED_URL, serviceUrl)}\necho; echo '${MARK}'`);
  const { stdout } = await run('bash', ['-e', '-o', 'pipefail', '-c', script.join('\n')], { cwd: repositoryRoot });
  return stdout
    .split(`${MARK}\n`)
    .slice(0, -1)
    .map((text) => text.trim());
}
