/** STOW-RS of DICOM files, as a scanner's gateway does it (PS3.18 10.5). */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Bodies of every file of a folder (not recursive), text files left out. */
export function readFolder(folder: string): Buffer[] {
  return readdirSync(folder)
    .filter((name) => !/\.(txt|md|json)$/i.test(name))
    .sort()
    .map((name) => readFileSync(join(folder, name)));
}

export async function stow(
  dicomwebRoot: string,
  objects: readonly Buffer[],
  headers: Record<string, string> = {},
): Promise<Response> {
  const boundary = 'hemocast-stow';
  const parts = objects.flatMap((bytes) => [
    Buffer.from(`--${boundary}\r\nContent-Type: application/dicom\r\n\r\n`),
    bytes,
    Buffer.from('\r\n'),
  ]);
  return fetch(`${dicomwebRoot}/studies`, {
    method: 'POST',
    headers: {
      'content-type': `multipart/related; type="application/dicom"; boundary=${boundary}`,
      accept: 'application/dicom+json',
      ...headers,
    },
    body: Buffer.concat([...parts, Buffer.from(`--${boundary}--\r\n`)]),
  });
}
