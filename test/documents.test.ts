/** Documents that lead somewhere: links that hold, and codes that the service really gives. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { repositoryRoot } from './support/components.ts';

const read = (path: string): string => readFileSync(join(repositoryRoot, path), 'utf8');
const below = (folder: string, ending: string): string[] =>
  readdirSync(join(repositoryRoot, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending) && !name.includes('node_modules') && !name.includes('.venv'))
    .map((name) => join(folder, name));

const DOCUMENTS = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...below('docs', '.md')];

/** As GitHub makes them of headings. */
const anchorsOf = (text: string): string[] =>
  [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );

describe('A document', () => {
  it.each(DOCUMENTS)('%s links to nothing that is not there', (document) => {
    const links = [...read(document).matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1]);
    const broken = links
      .filter((link) => !/^https?:/.test(link))
      .filter((link) => {
        const [path, anchor] = link.split('#');
        const target = path === '' ? document : relative('.', join(dirname(document), path));
        if (!existsSync(join(repositoryRoot, target))) return true;
        return anchor !== undefined && !anchorsOf(read(target)).includes(anchor);
      });
    expect(broken).toEqual([]);
  });
});

describe('docs/integrate.md', () => {
  it('begins with settings that the README lists', () => {
    const [, block] = /```sh\n(# Where browsers[^`]*)```/.exec(read('docs/integrate.md'))!;
    const names = [...block.matchAll(/^([A-Z_]+)=/gm)].map((match) => match[1]);
    expect(names.length).toBeGreaterThan(8);
    const listed = [...read('README.md').matchAll(/^\| (`[A-Z_`, ]+) \|/gm)].map((match) => match[1]).join();
    expect(names.filter((name) => !listed.includes(`\`${name}\``))).toEqual([]);
  });

  it('explains no code that the service does not give', () => {
    const text = read('docs/integrate.md');
    const rows = text.slice(text.indexOf('## 10.')).matchAll(/^\| (`.*?) \|/gm);
    const codes = [...rows].flatMap(([, cell]) => [...cell.matchAll(/`([a-z-]+)`/g)].map((match) => match[1]));
    expect(codes.length).toBeGreaterThan(30);
    const source = below('api', '.ts').map(read).join('\n');
    // Codes of an answer's status begin with the system that gave it (egress/status.ts).
    const known = (code: string): boolean =>
      source.includes(`'${code}'`) || source.includes(`\`\${system}${code.replace(/^(ehr|pacs)/, '')}\``);
    expect(codes.filter((code) => !known(code))).toEqual([]);
  });
});
