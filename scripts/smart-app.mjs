import { readdirSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = resolve(dirname(fileURLToPath(import.meta.url)), '../smart-app');

/** Whether a source of the SMART app, or a dependency, is newer than what was built. */
export function appIsStale() {
  const built = changedAt(join(folder, 'dist/index.html'));
  const sources = readdirSync(folder, { recursive: true }).map(String);
  const own = sources.filter((name) => !name.startsWith('dist')).map((name) => join(folder, name));
  return [...own, join(folder, '../package-lock.json')].some((path) => changedAt(path) > built);
}

/** 0 for what does not exist. */
function changedAt(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
