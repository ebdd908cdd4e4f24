/**
 * A plain Node process that runs a bundle's network on one DICOM folder or with a faulty input, and prints what came out as
 * JSON: ONNX Runtime does not accept the typed arrays of a test's own realm.
 *
 * Arguments: bundle directory; "case <folder>" or "not-a-number".
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeInstance } from '../../api/dicom/decode.ts';
import { assembleVolume } from '../../api/imaging/assemble-volume.ts';
import { findHeadCenter } from '../../api/imaging/head-grid.ts';
import { resampleToGrid } from '../../api/imaging/resample.ts';
import { loadBundle } from '../../api/inference/bundle.ts';
import { OnnxModel } from '../../api/inference/onnx-model.ts';
import { RefusalError } from '../../api/prediction/refusals.ts';

const [directory, what, folder] = process.argv.slice(2);
const bundle = loadBundle(directory);
const model = await OnnxModel.open(bundle, 'cpu');

if (what === 'not-a-number') {
  const image = bundle.startCheck.image.slice();
  image.fill(Number.NaN, image.length / 2, image.length / 2 + 1000);
  try {
    await model.run(image);
    print({ refused: null });
  } catch (error) {
    print({ refused: error instanceof RefusalError ? error.code : String(error) });
  }
} else {
  const files = readdirSync(folder).filter((name) => name.endsWith('.dcm'));
  const frames = await Promise.all(files.map((name) => decodeInstance(readFileSync(join(folder, name)))));
  const { volume } = assembleVolume(frames);
  const centerMm = findHeadCenter(volume);
  const { shape, spacingMm, padHu } = bundle.input;
  const image = resampleToGrid(volume, centerMm, shape, spacingMm, padHu).hu;
  const { logit, probability, oodScore, followUpHu, attention } = await model.run(image);
  const volumes = { image: [...image], followUp: [...followUpHu], attention: [...attention] };
  print({ centerMm, logit, probability, oodScore, ...volumes });
}

function print(result: object): void {
  process.stdout.write(JSON.stringify(result));
}
