/** A bundle that is not what it says it is never comes to serve. */
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { loadBundle } from '../../api/inference/bundle.ts';
import { OnnxScanReader } from '../../api/inference/onnx-scan-reader.ts';
import { repositoryRoot } from '../support/components.ts';

let directory: string;
beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), 'hemocast-bundle-')), 'bundle');
  cpSync(join(repositoryRoot, 'models/hemocast-tiny'), directory, { recursive: true });
});
afterEach(() => rmSync(join(directory, '..'), { recursive: true, force: true }));

type Json = Record<string, any>; // eslint-disable-line @typescript-eslint/no-explicit-any
const edit = (file: string, change: (content: Json) => void): void => {
  const path = join(directory, file);
  const content = JSON.parse(readFileSync(path, 'utf8')) as Json;
  change(content);
  writeFileSync(path, JSON.stringify(content));
};

/** Changes weights of a layer that both outputs need; `honest`: and the network's SHA-256 in the metadata. */
const tamper = ({ honest }: { honest: boolean }): void => {
  const path = join(directory, 'models/model.onnx');
  const bytes = readFileSync(path);
  const name = 'decode_4.enter.weight.half';
  const weights = bytes.lastIndexOf(name) + name.length + 64; // an initializer's name stands before its data
  for (let i = 0; i < 4096; i++) bytes[weights + i] ^= 0x11;
  writeFileSync(path, bytes);
  if (!honest) return;
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  edit('configs/metadata.json', (metadata) => (metadata.files['models/model.onnx'].sha256 = sha256));
};

const start = (): Promise<OnnxScanReader> =>
  OnnxScanReader.start({ modelBundle: directory, provider: 'cpu', readingTimeoutMs: 120_000 });

describe('A model bundle', () => {
  it('is described by its metadata, and the network by its SHA-256', () => {
    const { description } = loadBundle(directory);
    const bytes = readFileSync(join(directory, 'models/model.onnx'));
    expect(description.sha256).toBe(createHash('sha256').update(bytes).digest('hex'));
    expect(description.disclaimer).toContain('not a medical device');
    expect(description.cardMarkdown).toContain('simulated');
  });

  it('serves when it is whole', async () => {
    const reader = await start();
    expect(reader.health()).toEqual({ ok: true, reason: undefined, executionProvider: 'cpu', passedOver: [] });
    await reader.close();
  });

  it('does not serve with a network that differs from its SHA-256', async () => {
    tamper({ honest: false });
    await expect(start()).rejects.toThrow(/model\.onnx does not have the SHA-256/);
  });

  it('does not serve with a network that no longer reproduces its golden vector, whatever its SHA-256', async () => {
    tamper({ honest: true });
    await expect(start()).rejects.toThrow(/does not reproduce its golden vector on "cpu" \(logit off by/);
  });

  it.each<[string, (metadata: Json) => void, RegExp]>([
    [
      'attention of another shape',
      (m) => (m.network_data_format.outputs.attention.shape = [1, 24, 16, 16]),
      /attention has/,
    ],
    [
      'a range of HU that the network leaves',
      (m) => (m.follow_up_range_hu = [0, 10]),
      /follow_up that cannot be right/,
    ],
  ])('does not serve where its metadata promises %s', async (_, change, message) => {
    edit('configs/metadata.json', change);
    await expect(start()).rejects.toThrow(message);
  });

  it.each<[string, (check: Json) => void, RegExp]>([
    ['probability', (check) => (check.probability += 0.01), /\(probability off by 0\.01/],
    ['strangeness', (check) => (check.ood_score += 0.01), /\(oodScore off by 0\.0/],
    ['attention', (check) => (check.attention.samples.at(-1)[1] += 0.001), /\(attention off by 0\.001/],
    ['place beyond the follow-up', (check) => (check.follow_up.samples[0][0] = 1e9), /\(followUpHu off by NaN/],
  ])('does not serve where the golden vector asks for another %s', async (_, change, message) => {
    edit('golden/golden.json', (golden) => change(golden.start_check));
    await expect(start()).rejects.toThrow(message);
  });

  it.each<[string, (golden: Json) => void, RegExp]>([
    ['no logit to meet', (g) => delete g.start_check.logit, /no number start_check\.logit/],
    ['no strangeness to meet', (g) => delete g.start_check.ood_score, /no number start_check\.ood_score/],
    ['no tolerance', (g) => delete g.tolerance.logit, /no number tolerance\.logit/],
    ['no samples of the follow-up', (g) => (g.start_check.follow_up.samples = []), /no samples start_check\.follow_up/],
    ['no attention to meet', (g) => delete g.start_check.attention, /no samples start_check\.attention/],
  ])('is refused by name with %s in its golden vector', (_, change, message) => {
    edit('golden/golden.json', change);
    expect(() => loadBundle(directory)).toThrow(message);
  });

  it.each<[string, (metadata: Json) => void, RegExp]>([
    ['another way of centring', (m) => (m.network_data_format.inputs.image.centering = 'other'), /centering "other"/],
    ['other axes', (m) => (m.network_data_format.inputs.image.axes = 'RAS'), /axes "RAS"/],
    ['no label', (m) => delete m.disclaimer, /disclaimer .* does not say "research use only"/],
    ['a label that hides what it is', (m) => (m.disclaimer = 'Research use only.'), /"not a medical device"/],
    ['no prevalence', (m) => delete m.calibration.prevalence, /calibration\.prevalence/],
    ['no limit of strangeness', (m) => delete m.ood.threshold, /ood\.threshold/],
    ['a refusal before the flag', (m) => (m.ood.refuse_above = m.ood.threshold / 2), /ood\.refuse_above/],
    ['an interval of nothing', (m) => (m.calibration.interval.affine = []), /interval\.affine is not a list of pairs/],
    ['an interval without numbers', (m) => (m.calibration.interval.affine[0][1] = null), /interval\.affine/],
    ['an interval of no level', (m) => delete m.calibration.interval.level, /interval\.level/],
    ['a limit of agreement in words', (m) => (m.agreement = { low: 'little' }), /agreement\.low is not a number/],
    ['a range of HU upside down', (m) => (m.follow_up_range_hu = [3100, -1024]), /follow_up_range_hu/],
    ['no SHA-256 of the network', (m) => delete m.files['models/model.onnx'], /names no SHA-256/],
  ])('is refused by name with %s', (_, change, message) => {
    edit('configs/metadata.json', change);
    expect(() => loadBundle(directory)).toThrow(message);
  });

  it('is refused by name when a file is missing', () => {
    rmSync(join(directory, 'golden/golden.json'));
    expect(() => loadBundle(directory)).toThrow(/lacks golden\/golden\.json; set MODEL_BUNDLE/);
  });
});
