/** Holds the import table of docs/architecture.md: always downward, the doors side by side, one way out. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { repositoryRoot } from './support/components.ts';

/** Room -> rooms it may import. Files directly in api/ are named by their file. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  'errors.ts': [],
  'priority.ts': [],
  'fhir-form.ts': [],
  imaging: ['errors.ts', 'prediction'], // refusals and flags are the vocabulary of every check
  prediction: ['imaging', 'errors.ts'],
  assessment: ['prediction', 'imaging', 'errors.ts'],
  dicom: ['imaging', 'prediction', 'errors.ts', 'assessment', 'priority.ts'],
  egress: ['errors.ts'],
  authorization: ['egress', 'errors.ts', 'config.ts'],
  ehr: ['assessment', 'prediction', 'imaging', 'egress', 'errors.ts', 'fhir-form.ts'],
  pacs: ['assessment', 'prediction', 'imaging', 'dicom', 'egress', 'errors.ts'],
  inference: ['assessment', 'prediction', 'imaging', 'dicom', 'errors.ts', 'priority.ts'],
  cds: ['assessment', 'prediction', 'errors.ts', 'fhir-form.ts'],
  jobs: ['assessment', 'prediction', 'errors.ts', 'log.ts'],
  http: ['assessment', 'prediction', 'errors.ts', 'log.ts', 'config.ts', 'generated', 'authorization', 'cds'],
  sandbox: [],
  'config.ts': ['errors.ts'],
  'log.ts': ['config.ts', 'errors.ts'],
};
/** The files that know every room. */
const COMPOSERS = [
  'main.ts',
  'cli.ts',
  'service.ts',
  'predict-files.ts',
  'register-study.ts',
  'compose-cds.ts',
  'compose-door.ts',
  'compose-ehr-access.ts',
  'compose-sandbox.ts',
  'compose-systems.ts',
  'compose-trust.ts',
  'compose-work.ts',
];

const api = join(repositoryRoot, 'api');
const files = readdirSync(api, { recursive: true, encoding: 'utf8' }).filter((file) => /(?<!\.d)\.ts$/.test(file));
const roomOf = (file: string): string => file.split('/')[0];

const importsOf = (file: string): string[] =>
  [...readFileSync(join(api, file), 'utf8').matchAll(/(?:from|import|new URL)\s*\(?\s*'([^']+)'/g)].map(
    (match) => match[1],
  );

describe('The house', () => {
  it('has only rooms that the table knows', () => {
    const unknown = files.map(roomOf).filter((room) => !(room in ALLOWED) && !COMPOSERS.includes(room));
    expect([...new Set(unknown)]).toEqual([]);
  });

  it('imports only downward', () => {
    const upward = files
      .filter((file) => !COMPOSERS.includes(file))
      .flatMap((file) =>
        importsOf(file)
          .filter((path) => path.startsWith('.'))
          .map((path) => roomOf(relative(api, resolve(api, dirname(file), path))))
          .filter((room) => room !== roomOf(file) && !ALLOWED[roomOf(file)].includes(room))
          .map((room) => `${file} -> ${room}`),
      );
    expect(upward).toEqual([]);
  });

  it('reaches the network from the egress room and the front doors only', () => {
    const networkers = files.filter((file) =>
      importsOf(file).some((path) => /^(node:)?(https?|net|tls|dgram|http2|undici)$/.test(path)),
    );
    const outside = networkers.filter(
      (file) => !['egress', 'compose-door.ts', 'service.ts', 'main.ts'].includes(roomOf(file)),
    );
    expect(outside).toEqual([]);
  });

  it('lends the app its types and its calendar, nothing else', () => {
    const app = join(repositoryRoot, 'smart-app', 'src');
    const borrowed = readdirSync(app, { recursive: true, encoding: 'utf8' })
      .filter((file) => /\.tsx?$/.test(file))
      .flatMap((file) => [...readFileSync(join(app, file), 'utf8').matchAll(/from '(?:\.\.\/)+api\/([^']+)'/g)])
      .map((match) => match[1]);
    expect(new Set(borrowed)).toEqual(new Set(['generated/openapi.d.ts', 'prediction/calendar.ts']));
  });

  it('knows ONNX Runtime in one file', () => {
    expect(files.filter((file) => importsOf(file).includes('onnxruntime-node'))).toEqual(['inference/onnx-model.ts']);
  });
});
