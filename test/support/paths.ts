/** Where things are on this machine. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const repositoryRoot = resolve(import.meta.dirname, '../..');

export function onPath(command: string): string | undefined {
  return (process.env.PATH ?? '')
    .split(':')
    .concat('/usr/sbin', '/usr/local/sbin')
    .map((folder) => join(folder, command))
    .find((file) => existsSync(file));
}
