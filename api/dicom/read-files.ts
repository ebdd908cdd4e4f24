/** Finds the DICOM objects in what a user points at: a file, a folder (searched recursively) or a zip archive. */
import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { unzipSync } from 'fflate';
import { InvalidRequestError } from '../errors.ts';
import { looksLikeDicom } from './part10.ts';
import { PARSE_LIMITS } from './safe-parse.ts';

export interface DicomFile {
  /** Path below the folder or inside the archive. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface DicomFiles {
  readonly objects: readonly DicomFile[];
  /** Files that are not DICOM images or objects: DICOMDIR, notes, pictures. */
  readonly ignored: number;
}

export interface ReadFilesLimits {
  readonly maxFiles: number;
  /** Bytes of one file, inflated. */
  readonly maxFileBytes: number;
  /** Bytes of all files together, inflated. */
  readonly maxTotalBytes: number;
}

export const READ_FILES_LIMITS: ReadFilesLimits = {
  maxFiles: 5_000,
  maxFileBytes: PARSE_LIMITS.maxBytes,
  maxTotalBytes: 1024 ** 3,
};

/**
 * @param input path of a folder, a DICOM file or a .zip
 * @returns objects sorted by name
 * @throws InvalidRequestError `input-not-found`, `input-too-large`, `zip-malformed`
 */
export function readDicomFiles(input: string, limits: ReadFilesLimits = READ_FILES_LIMITS): DicomFiles {
  const status = statSync(input, { throwIfNoEntry: false });
  if (status === undefined) {
    throw new InvalidRequestError('input-not-found', 'The input does not exist; give a folder, a DICOM file or a zip.');
  }
  if (status.isDirectory()) return readFolder(input, limits);
  return isZip(head(input)) ? readZip(input, status.size, limits) : readFolder(input, limits, [input]);
}

function readFolder(
  folder: string,
  limits: ReadFilesLimits,
  paths: readonly string[] = filesBelow(folder),
): DicomFiles {
  const budget = new Budget(limits);
  const objects: DicomFile[] = [];
  for (const path of paths) {
    if (!isDicomObject(path, head(path))) continue;
    budget.take(statSync(path).size);
    objects.push({ name: relative(folder, path) || path, bytes: plainBytes(readFileSync(path)) });
  }
  return { objects, ignored: paths.length - objects.length };
}

/** Regular files only: links could lead out of the folder or in circles (`recursive` of readdir follows them). */
function filesBelow(folder: string): string[] {
  const files: string[] = [];
  const folders = [folder];
  for (let next = folders.pop(); next !== undefined; next = folders.pop()) {
    for (const entry of readdirSync(next, { withFileTypes: true })) {
      if (entry.isDirectory()) folders.push(join(next, entry.name));
      else if (entry.isFile()) files.push(join(next, entry.name));
    }
  }
  return files.sort();
}

function readZip(path: string, size: number, limits: ReadFilesLimits): DicomFiles {
  if (size > limits.maxTotalBytes) throw tooLarge(limits);
  const budget = new Budget(limits);
  let files = 0;
  let entries: Readonly<Record<string, Uint8Array>>;
  try {
    // fflate inflates into memory of exactly the announced size, so that the announcement is a ceiling.
    entries = unzipSync(plainBytes(readFileSync(path)), {
      filter: ({ name, originalSize }) => {
        if (name.endsWith('/')) return false;
        files += 1;
        budget.take(originalSize);
        return true;
      },
    });
  } catch (error) {
    if (error instanceof InvalidRequestError) throw error;
    throw new InvalidRequestError('zip-malformed', 'The zip archive cannot be read; pack it again without encryption.');
  }
  const objects = Object.entries(entries)
    .filter(([name, bytes]) => isDicomObject(name, bytes))
    .map(([name, bytes]) => ({ name, bytes }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return { objects, ignored: files - objects.length };
}

/** A DICOMDIR is DICOM too, but only lists what lies beside it (PS3.10 section 8.6). */
function isDicomObject(name: string, beginning: Uint8Array): boolean {
  return !/(^|[/\\])DICOMDIR$/i.test(name) && looksLikeDicom(beginning);
}

function isZip(beginning: Uint8Array): boolean {
  return beginning[0] === 0x50 && beginning[1] === 0x4b && (beginning[2] === 0x03 || beginning[2] === 0x05);
}

/** The first bytes of a file: enough to tell what it is. */
function head(path: string): Uint8Array {
  const buffer = new Uint8Array(256);
  const file = openSync(path, 'r');
  try {
    return buffer.subarray(0, readSync(file, buffer, 0, buffer.length, 0));
  } finally {
    closeSync(file);
  }
}

function plainBytes(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

class Budget {
  readonly #limits: ReadFilesLimits;
  #files = 0;
  #bytes = 0;

  constructor(limits: ReadFilesLimits) {
    this.#limits = limits;
  }

  take(bytes: number): void {
    this.#files += 1;
    this.#bytes += bytes;
    const { maxFiles, maxFileBytes, maxTotalBytes } = this.#limits;
    if (this.#files > maxFiles || bytes > maxFileBytes || this.#bytes > maxTotalBytes) throw tooLarge(this.#limits);
  }
}

function tooLarge({ maxFiles, maxFileBytes, maxTotalBytes }: ReadFilesLimits): InvalidRequestError {
  return new InvalidRequestError(
    'input-too-large',
    `At most ${maxFiles} files of at most ${maxFileBytes} bytes, ${maxTotalBytes} bytes together, are read; give one study.`,
    { maxFiles, maxFileBytes, maxTotalBytes },
  );
}
