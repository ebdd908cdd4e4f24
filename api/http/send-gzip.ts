import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import type { Request, Response } from 'express';

/** Answers with bytes that are kept compressed: as they are where the client accepts gzip, else unpacked on the way. */
export async function sendGzip(request: Request, response: Response, gzip: Uint8Array): Promise<void> {
  response.set({ 'Content-Type': 'application/octet-stream', Vary: 'Accept-Encoding' });
  if (request.acceptsEncodings('gzip') === 'gzip') {
    response.set({ 'Content-Encoding': 'gzip', 'Content-Length': String(gzip.byteLength) });
    response.end(gzip);
  } else {
    await pipeline(Readable.from([gzip]), createGunzip(), response);
  }
}
