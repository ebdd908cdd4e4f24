import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { DecodePool, type DecodePoolOptions } from '../../api/dicom/decode-pool.ts';
import type { TransientError } from '../../api/errors.ts';
import type { Elements } from '../support/part10.ts';
import { ctObject, encapsulatedObject, refusalOf } from './objects.ts';

describe('The decode pool', () => {
  let pool: DecodePool;
  const start = (options?: DecodePoolOptions): DecodePool => (pool = new DecodePool(options));
  afterEach(() => pool.close());

  /** A valid image that takes many times 150 ms: 4096 x 4096 samples of 5 + 10 bits each, as JPEG Lossless. */
  const slow = (): Uint8Array => {
    const frame = [0xff, 0xc3, 0, 11, 16, 0x10, 0x00, 0x10, 0x00, 1, 1, 0x11, 0];
    const table = [0xff, 0xc4, 0, 20, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10];
    const scan = [0xff, 0xda, 0, 8, 1, 1, 0, 1, 0, 0];
    const image = Buffer.concat([
      Buffer.from([0xff, 0xd8, ...frame, ...table, ...scan]),
      Buffer.alloc((4096 * 4096 * 15) / 8),
      Buffer.from([0xff, 0xd9]),
    ]);
    const size: Elements = { '00280010': ['US', [4096]], '00280011': ['US', [4096]] };
    return encapsulatedObject([image], '1.2.840.10008.1.2.4.70', size);
  };

  it('decodes more images than it has workers, each to its own frame', async () => {
    start({ workers: 2 });
    const objects = Array.from({ length: 9 }, (_, i) => ctObject({ '00200013': ['IS', String(i)] }));
    const frames = await Promise.all(objects.map((object) => pool.decode(object)));
    expect(frames.map(({ header }) => header.instanceNumber)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(frames.every(({ storedValues }) => storedValues.length === 256)).toBe(true);
  });

  it('leaves the bytes with the caller', async () => {
    const object = ctObject();
    const before = object.slice();
    await start().decode(object);
    expect(Buffer.compare(object, before)).toBe(0);
  });

  it('hands over the refusal with its code and words', async () => {
    const object = ctObject({}, '1.2.840.10008.1.2.4.51');
    const refusal = await refusalOf(() => start().decode(object));
    expect(refusal.code).toBe('transfer-syntax-unsupported');
    expect(refusal.message).toContain('1.2.840.10008.1.2.4.51');
  });

  it('refuses an object over its byte ceiling', async () => {
    expect((await refusalOf(() => start({ maxBytes: 500 }).decode(ctObject()))).message).toContain('at most 500');
  });

  it('ends a decode that takes too long and goes on with a new worker', async () => {
    start({ workers: 1, timeoutMs: 150 });
    const tooLong = pool.decode(slow()).catch((error: TransientError) => error.code);
    const next = pool.decode(ctObject());
    expect(await tooLong).toBe('decode-timeout');
    expect((await next).storedValues).toHaveLength(256);
  });

  it('stops waiting when the caller does, and still serves the next', async () => {
    start({ workers: 1 });
    const controller = new AbortController();
    const running = pool.decode(ctObject(), controller.signal);
    const queued = pool.decode(ctObject(), controller.signal);
    controller.abort();
    await expect(running).rejects.toMatchObject({ code: 'cancelled' });
    await expect(queued).rejects.toMatchObject({ code: 'cancelled' });
    await expect(pool.decode(ctObject(), controller.signal)).rejects.toMatchObject({ code: 'cancelled' });
    expect((await pool.decode(ctObject())).storedValues).toHaveLength(256);
  });

  it('rejects what is waiting when it is closed', async () => {
    start({ workers: 1 });
    const outcomes = [pool.decode(ctObject()), pool.decode(ctObject())].map((job) => job.catch((error) => error.code));
    await pool.close();
    expect(await Promise.all(outcomes)).toEqual(['cancelled', 'cancelled']);
    await expect(pool.decode(ctObject())).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('prints nothing, whatever it is given', async () => {
    const writes = [jest.spyOn(process.stdout, 'write'), jest.spyOn(process.stderr, 'write')];
    start();
    await refusalOf(() => pool.decode(new Uint8Array([1, 2, 3])));
    await pool.decode(ctObject());
    expect(writes.map((write) => write.mock.calls.length)).toEqual([0, 0]);
    writes.forEach((write) => write.mockRestore());
  });
});
