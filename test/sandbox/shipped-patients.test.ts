/** The simulated patients that travel with the repository. */
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parseInstance } from '../../api/dicom/parse.ts';
import { listDicomFiles, readSimulatedPatients } from '../../api/sandbox/simulated-patients.ts';
import { repositoryRoot } from '../support/components.ts';

const folder = join(repositoryRoot, 'api/sandbox/patients');
const JPEG_LOSSLESS_SV1 = '1.2.840.10008.1.2.4.70';

describe('The simulated patients in the repository', () => {
  it('are at least six, with bleeding and without', async () => {
    const patients = await readSimulatedPatients(folder);
    expect(patients.length).toBeGreaterThanOrEqual(6);
    const entries = JSON.parse(readFileSync(join(folder, 'patients.json'), 'utf8')) as { truth: { label: unknown } }[];
    expect(new Set(entries.map(({ truth }) => Boolean(truth.label)))).toEqual(new Set([true, false]));
  });

  it('are compressed without loss and take at most 15 MB', async () => {
    const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const bytes = files.reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
    expect(bytes).toBeLessThanOrEqual(15_000_000);
    for (const { slug, numberOfInstances } of await readSimulatedPatients(folder)) {
      const paths = await listDicomFiles(folder, slug);
      expect(paths).toHaveLength(numberOfInstances);
      expect(parseInstance(readFileSync(paths[0])).header.transferSyntaxUid).toBe(JPEG_LOSSLESS_SV1);
    }
  });

  it('come with the command and the seed that made them', () => {
    const readme = readFileSync(join(folder, 'README.md'), 'utf8');
    expect(readme).toMatch(/sandbox-patients .*--seed \d+/);
  });
});
