/** Contents of Binary resources as files named by their SHA-256, so that a retried write stores nothing twice. */
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, type ReadStream } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder } from './journal.ts';

/** Reference to stored bytes: hexadecimal SHA-256 and length in bytes. */
export interface Blob {
  readonly sha256: string;
  readonly size: number;
}

/** More bytes came than are accepted. */
export class BlobTooLargeError extends Error {
  constructor(maxBytes: number) {
    super(`The content is larger than the ${maxBytes} bytes that are accepted.`);
    this.name = 'BlobTooLargeError';
  }
}

export class BlobStore {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async open(): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
  }

  /**
   * Stores a stream of bytes; it is on disk when the promise resolves. Throws BlobTooLargeError past `maxBytes`, or the
   * stream's own error; nothing is kept then.
   */
  async write(content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, maxBytes: number): Promise<Blob> {
    const temporary = join(this.#folder, `${randomUUID()}.tmp`);
    const hash = createHash('sha256');
    let size = 0;
    const file = await open(temporary, 'wx', 0o600);
    try {
      for await (const chunk of content) {
        size += chunk.length;
        if (size > maxBytes) throw new BlobTooLargeError(maxBytes);
        hash.update(chunk);
        await file.writeFile(chunk);
      }
      await file.sync();
      await file.close();
      const sha256 = hash.digest('hex');
      await rename(temporary, this.#path(sha256));
      await syncFolder(this.#folder);
      return { sha256, size };
    } catch (error) {
      await file.close().catch(() => undefined);
      await rm(temporary, { force: true });
      throw error;
    }
  }

  async read(blob: Blob): Promise<Buffer> {
    return readFile(this.#path(blob.sha256));
  }

  stream(blob: Blob): ReadStream {
    return createReadStream(this.#path(blob.sha256));
  }

  /** Deletes whatever is not in use: left by a crash, a rolled back transaction or a compaction. Call before serving. */
  async sweep(inUse: ReadonlySet<string>): Promise<void> {
    for (const name of await readdir(this.#folder)) {
      if (!inUse.has(name)) await rm(join(this.#folder, name), { force: true });
    }
  }

  #path(sha256: string): string {
    return join(this.#folder, sha256);
  }
}
