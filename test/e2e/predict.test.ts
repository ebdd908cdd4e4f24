/** `npm run predict`: files in, files out, with an exit code that a script can rely on. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { decode as decodePng } from 'fast-png';
import { zipSync } from 'fflate';
import { parseInstance } from '../../api/dicom/parse.ts';
import { describeWith, repositoryRoot, testDataDir } from '../support/components.ts';

const run = promisify(execFile);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'hemocast-predict-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Result {
  readonly code: number;
  readonly stderr: string;
  readonly out: string;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly json: any;
}

function predict(input: string): Promise<Result> {
  const out = mkdtempSync(join(folder, 'out-'));
  const args = ['--disable-warning=ExperimentalWarning', join(repositoryRoot, 'api/cli.ts'), 'predict', input];
  return new Promise((resolve) => {
    execFile(process.execPath, [...args, '--out', out], (error, _stdout, stderr) => {
      const file = join(out, 'prediction.json');
      const json: unknown = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
      resolve({ code: Number(error?.code ?? 0), stderr, out, json });
    });
  });
}

const patient = join(repositoryRoot, 'api/sandbox/patients/lindqvist-maja/ct');

describe('hemocast predict', () => {
  let result: Result;
  beforeAll(async () => {
    result = await predict(patient);
  }, 60_000);

  it('writes the prediction, flags and model of the API, and exits with 0', () => {
    expect(result.code).toBe(0);
    expect(result.json.prediction.probability).toBeGreaterThan(0);
    expect(result.json.prediction.riskBand).toMatch(/^(low|moderate|high)$/);
    expect(result.json.refusal).toBeNull();
    expect(result.json.model).toMatchObject({ name: 'hemocast-tiny', sha256: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(result.json.flags.map(({ code }: { code: string }) => code)).toContain('procedure-unknown');
    expect(result.json.disclaimer).toContain('not a medical device');
  });

  it('draws the comparison and writes the generated follow-up CT', () => {
    expect(decodePng(readFileSync(join(result.out, 'comparison.png'))).width).toBeGreaterThan(1_000);
    const { header } = parseInstance(readFileSync(join(result.out, 'follow-up.dcm')));
    expect(header.seriesDescription).toMatch(/^AI-GENERATED NOT ACQUIRED RESEARCH/);
  });

  it('shows in a terminal how far it is', async () => {
    const command = [process.execPath, join(repositoryRoot, 'api/cli.ts'), 'predict', patient, '--out', result.out];
    const { stdout } = await run('script', ['-qec', command.map((word) => `'${word}'`).join(' '), '/dev/null']);
    for (const step of ['reading files', 'decoding', 'network', '100 % done']) expect(stdout).toContain(step);
  }, 60_000);

  it('gives the same from a zip as from a folder', async () => {
    const files = Object.fromEntries(
      readdirSync(patient).map((name) => [`ct/${name}`, readFileSync(join(patient, name))]),
    );
    const zip = join(folder, 'study.zip');
    writeFileSync(zip, zipSync(files, { level: 0 }));
    const zipped = await predict(zip);
    expect(zipped.code).toBe(0);
    expect(zipped.json.prediction).toEqual(result.json.prediction);
  }, 60_000);

  it('refuses its own generated image as input', async () => {
    const again = await predict(join(result.out, 'follow-up.dcm'));
    expect(again.code).toBe(2);
    expect(['synthetic-input', 'sop-class-not-supported']).toContain(again.json.refusal.code);
  }, 60_000);

  it('refuses slices of people with different birth dates, although the patient id is one', async () => {
    const mixed = mkdtempSync(join(folder, 'mixed-'));
    readdirSync(patient).forEach((name, index) => {
      const bytes = readFileSync(join(patient, name));
      const at = bytes.indexOf(Buffer.from([0x10, 0x00, 0x30, 0x00, 0x44, 0x41])); // (0010,0030) DA
      if (index % 2 === 1) bytes.write('19500101', at + 8, 'latin1');
      writeFileSync(join(mixed, name), bytes);
    });
    const refused = await predict(mixed);
    expect(refused.code).toBe(2);
    expect(refused.json.refusal).toMatchObject({ code: 'identity-conflict', details: { attribute: 'birthDate' } });
  }, 60_000);

  it('exits with 1 for a fault, with a sentence and no stack', async () => {
    const empty = join(folder, 'empty');
    mkdirSync(empty, { recursive: true });
    const fault = await predict(empty);
    expect(fault.code).toBe(1);
    expect(fault.stderr).toContain('No DICOM object was found');
    expect(fault.stderr).not.toMatch(/^\s+at /m);
    expect((await predict(join(folder, 'nowhere'))).code).toBe(1);
  }, 60_000);
});

describeWith('test data', 'hemocast predict on what is not a head', () => {
  it('exits with 2 and names the refusal on stderr and in prediction.json', async () => {
    const { code, stderr, json, out } = await predict(join(testDataDir, 'philips_skull_phantom_5mm'));
    expect(code).toBe(2);
    expect(stderr).toContain('refused: not-a-head');
    expect(json).toMatchObject({ prediction: null, refusal: { code: 'not-a-head' } });
    expect(existsSync(join(out, 'comparison.png'))).toBe(false);
  }, 60_000);
});
