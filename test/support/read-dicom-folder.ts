/** Real DICOM files of a folder as decoded frames, for tests of what comes after decoding. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeInstance } from '../../api/dicom/decode.ts';
import type { Frame } from '../../api/imaging/volume.ts';
import { testDataDir } from './components.ts';

/**
 * @param folder below the test data folder; README files and the like are passed over
 * @param names only these files
 */
export async function readDicomFolder(folder: string, names?: readonly string[]): Promise<Frame[]> {
  const directory = join(testDataDir, folder);
  const files = readdirSync(directory)
    .filter((name) => (names === undefined ? !/\.(txt|md|json)$/i.test(name) : names.includes(name)))
    .sort();
  return Promise.all(files.map(async (name) => decodeInstance(readFileSync(join(directory, name)))));
}
