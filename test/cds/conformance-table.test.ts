/** docs/cds-conformance.md names the test of each requirement: that table does not rot. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { repositoryRoot } from '../support/components.ts';

const read = (path: string): string => readFileSync(join(repositoryRoot, path), 'utf8');

interface Row {
  readonly number: number;
  readonly binds: string;
  readonly tests: readonly { readonly file: string; readonly name: string }[];
}

/** | no. | section | requirement | binds | held by |, with tests as `file` “name”, “name” */
function readRows(text: string): Row[] {
  return [...text.matchAll(/^\| (\d+) \|.*\| ([a-z]+) \| (.*) \|$/gm)].map(([, number, binds, heldBy]) => {
    const lists = heldBy.matchAll(/`([a-z/-]+)` (“[^”]+”(?:, “[^”]+”)*)/g);
    const tests = [...lists].flatMap(([, file, names]) =>
      [...names.matchAll(/“([^”]+)”/g)].map(([, name]) => ({ file, name })),
    );
    return { number: Number(number), binds, tests };
  });
}

/** Titles of tests that run: it('…'), and it.each([…])('… %s …') with each of its texts in place of %s. */
function hasTest(source: string, name: string): boolean {
  const running = source.replaceAll(/\bit\.(?:skip|todo|failing)\b[^;]*/g, '');
  const titles = [...running.matchAll(/(?:\bit\(|\]\)\()\s*'([^'\n]+)'/g)].map(([, title]) => title);
  return titles.some((title) => {
    const [before, after] = title.split('%s');
    if (after === undefined) return title === name;
    const label = name.slice(before.length, name.length - after.length);
    return label !== '' && name === before + label + after && source.includes(`'${label}'`);
  });
}

describe('docs/cds-conformance.md', () => {
  const rows = readRows(read('docs/cds-conformance.md'));

  it('numbers its requirements without a gap, and says of each whom it binds', () => {
    expect(rows.length).toBeGreaterThan(50);
    expect(rows.map(({ number }) => number)).toEqual(rows.map((_row, index) => index + 1));
    for (const { binds } of rows) expect(['service', 'client', 'both', 'neither']).toContain(binds);
  });

  it('names a test for everything that binds a service', () => {
    const bind = ['service', 'both'];
    expect(rows.filter(({ binds, tests }) => bind.includes(binds) && tests.length === 0)).toEqual([]);
    expect(rows.filter(({ binds }) => binds === 'service').length).toBeGreaterThan(20);
  });

  it('names only tests that exist', () => {
    const named = rows.flatMap(({ tests }) => tests);
    expect(named.length).toBeGreaterThan(80);
    expect(named.filter(({ file, name }) => !hasTest(read(`test/${file}.test.ts`), name))).toEqual([]);
  });

  it('would notice a test that was renamed, skipped or lost its case', () => {
    const source = `it('a', f); it.skip('b', f); it.each([['x', 1]])('is refused: %s', f); it.skip.each([['z']])('d', f);`;
    const held = ['a', 'b', 'c', 'd', 'is refused: x', 'is refused: y'].filter((name) => hasTest(source, name));
    expect(held).toEqual(['a', 'is refused: x']);
  });
});
