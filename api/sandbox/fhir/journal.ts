/**
 * Append-only journal: one JSON line per transaction, on disk (fdatasync) before the write is acknowledged. A line that a crash
 * tore off at the end was never acknowledged and is dropped; damage anywhere else stops the start.
 */
import { mkdir, open, readFile, rename, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';

const newline = 0x0a;

export class Journal<Record> {
  readonly #path: string;
  #file: FileHandle;
  /** Length of the acknowledged part, bytes. */
  #length: number;
  #lines: number;

  private constructor(path: string, file: FileHandle, length: number, lines: number) {
    this.#path = path;
    this.#file = file;
    this.#length = length;
    this.#lines = lines;
  }

  /** Lines on disk, a measure of what `rewrite` may save. */
  get lines(): number {
    return this.#lines;
  }

  /**
   * Opens or creates the journal and reads every acknowledged record, oldest first. One process per file: the caller holds a
   * lock on the data folder. Throws when a line other than a torn last one cannot be read.
   */
  static async open<Record>(path: string): Promise<{ journal: Journal<Record>; records: Record[] }> {
    await mkdir(dirname(path), { recursive: true });
    const file = await open(path, 'a+', 0o600);
    try {
      const bytes = await readFile(path);
      const length = bytes.lastIndexOf(newline) + 1;
      const records = parseLines<Record>(path, bytes.subarray(0, length));
      if (length < bytes.length) await file.truncate(length);
      await syncFolder(dirname(path));
      return { journal: new Journal<Record>(path, file, length, records.length), records };
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /**
   * Makes one record durable. Calls must not overlap. On failure nothing of it remains, and the error is thrown.
   */
  async append(record: Record): Promise<void> {
    const line = Buffer.from(`${JSON.stringify(record)}\n`);
    const { size } = await this.#file.stat();
    if (size !== this.#length) {
      throw new Error('The journal was changed by another process; one process at a time may use a data folder.');
    }
    try {
      await this.#file.appendFile(line);
      await this.#file.datasync();
    } catch (error) {
      await this.#file.truncate(this.#length);
      throw error;
    }
    this.#length += line.length;
    this.#lines += 1;
  }

  /** Replaces the whole journal atomically (temporary file, rename). */
  async rewrite(records: readonly Record[]): Promise<void> {
    const temporary = `${this.#path}.compact`;
    const text = records.map((record) => `${JSON.stringify(record)}\n`).join('');
    const file = await open(temporary, 'w', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, this.#path);
    await syncFolder(dirname(this.#path));
    await this.#file.close();
    this.#file = await open(this.#path, 'a+', 0o600);
    this.#length = Buffer.byteLength(text);
    this.#lines = records.length;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

/** Makes a rename or a new file in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function parseLines<Record>(path: string, bytes: Buffer): Record[] {
  const records: Record[] = [];
  for (let start = 0; start < bytes.length;) {
    const end = bytes.indexOf(newline, start);
    try {
      records.push(JSON.parse(bytes.toString('utf8', start, end)) as Record);
    } catch {
      throw new Error(
        `${path}: line ${records.length + 1} is damaged. Restore the file from a backup, or delete the folder to start anew.`,
      );
    }
    start = end + 1;
  }
  return records;
}
