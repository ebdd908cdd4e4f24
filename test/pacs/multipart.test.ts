import { describe, expect, it } from '@jest/globals';
import { parseContentType, readParts, writeDicomPart } from '../../api/pacs/multipart.ts';
import type { MultipartLimits } from '../../api/pacs/multipart.ts';

const limits: MultipartLimits = { maxPartBytes: 1000, maxParts: 5 };

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function read(text: string | Buffer, boundary = 'b', size = 7): Promise<string[]> {
  const bodies: string[] = [];
  const bytes = typeof text === 'string' ? Buffer.from(text, 'latin1') : text;
  for await (const part of readParts(inPieces(bytes, size), boundary, limits)) {
    bodies.push(Buffer.from(part.body).toString('latin1'));
  }
  return bodies;
}

const part = (body: string, boundary = 'b'): string =>
  `--${boundary}\r\nContent-Type: application/dicom\r\n\r\n${body}\r\n`;

describe('a multipart answer', () => {
  it('gives the same parts however the network cuts it, byte by byte or at once', async () => {
    const bodies = ['first', '', 'with \r\n line breaks \r\n-- and dashes\r\n--', '\r\n--a', '\0\u00ff'.repeat(100)];
    const text = `preamble\r\n${bodies.map((body) => part(body)).join('')}--b--\r\nepilogue`;
    for (let size = 1; size <= text.length; size += 1) expect(await read(text, 'b', size)).toEqual(bodies);
  });

  it('gives each part as soon as its delimiter has come, before the next one', async () => {
    const seen: string[] = [];
    async function* slowly(): AsyncGenerator<Uint8Array> {
      yield Buffer.from(part('one') + '--b\r\n');
      seen.push('after one');
      yield Buffer.from('\r\ntwo\r\n--b--');
    }
    for await (const { body } of readParts(slowly(), 'b', limits)) seen.push(Buffer.from(body).toString());
    expect(seen).toEqual(['one', 'after one', 'two']);
  });

  it('names the headers of each part in lower case, and may have none', async () => {
    const text = '--b\r\nCONTENT-type:  application/dicom \r\nX-A: 1\r\n\r\none\r\n--b  \r\n\r\ntwo\r\n--b--';
    const headers: object[] = [];
    for await (const { headers: map } of readParts(inPieces(Buffer.from(text), 3), 'b', limits)) {
      headers.push(Object.fromEntries(map));
    }
    expect(headers).toEqual([{ 'content-type': 'application/dicom', 'x-a': '1' }, {}]);
  });

  it('may hold a part of just the limit', async () => {
    expect(await read(`${part('x'.repeat(1000))}--b--`)).toEqual(['x'.repeat(1000)]);
  });

  it('may be empty', async () => {
    expect(await read('--b--\r\n')).toEqual([]);
  });

  it('keeps bytes that merely look like the boundary', async () => {
    const bodies = ['x\r\n--bb\r\ny', 'x\r\n--b y', '\r\n-\r\n--', 'x\r\n--b-y', 'x\r\n--b \r y'];
    for (const size of [1, 2, 3, 1000]) {
      expect(await read(`${bodies.map((body) => part(body)).join('')}--b--`, 'b', size)).toEqual(bodies);
    }
  });

  it('may have any boundary that RFC 2046 allows, quoted or not', async () => {
    for (const boundary of ["a'()+_,-./:=?z", 'x'.repeat(70), 'with space', '-', '--', '.+?']) {
      expect(await read(`${part('one', boundary)}--${boundary}--`, boundary)).toEqual(['one']);
    }
  });

  const refused: Record<string, [text: string, boundary?: string]> = {
    'an empty boundary': ['----\r\n', ''],
    'a boundary of 71 characters': [part('x'), 'x'.repeat(71)],
    'a boundary with a line break': [part('x'), 'b\r\nX: y'],
    'a boundary ending in a space': [part('x'), 'b '],
    'a body cut off in a part': [part('one') + '--b\r\n\r\ntw'],
    'a body cut off before the closing delimiter': [part('one')],
    'a body cut off within the closing delimiter': [part('one') + '--b-'],
    'another boundary than announced': [part('one', 'c') + '--c--'],
    'no multipart at all': ['{"message":"error"}'],
    nothing: [''],
    'a part beyond its limit': [part('x'.repeat(20_000)) + '--b--'],
    'a part just beyond its limit': [part('x'.repeat(1001)) + '--b--'],
    'a part without end': ['--b\r\n\r\n' + 'x'.repeat(50_000)],
    'a preamble without end': ['x'.repeat(200_000)],
    'headers without end': ['--b\r\n' + 'X-A: 1\r\n'.repeat(10_000)],
    'a header that is none': ['--b\r\nnonsense\r\n\r\none\r\n--b--'],
    'a folded header': ['--b\r\nX-A: 1\r\n 2\r\n\r\none\r\n--b--'],
    'more parts than its limit': [part('x').repeat(6) + '--b--'],
  };
  it.each(Object.keys(refused))('is refused: %s', async (name) => {
    const [text, boundary] = refused[name];
    await expect(read(text, boundary, 100)).rejects.toMatchObject({ code: 'multipart-malformed', status: 502 });
  });

  it('does not hold more than a part, whatever is sent', async () => {
    let sent = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('--b\r\n\r\n');
      for (;;) {
        sent += 1000;
        yield Buffer.alloc(1000, 'x');
      }
    }
    const consume = async (): Promise<void> => {
      await readParts(endless(), 'b', limits).next();
    };
    await expect(consume()).rejects.toMatchObject({ code: 'multipart-malformed' });
    expect(sent).toBeLessThan(100_000);
  });

  it('with an epilogue without end is left', async () => {
    let left = false;
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        yield Buffer.from(`${part('one')}--b--`);
        for (;;) yield Buffer.alloc(1000, 'x');
      } finally {
        left = true;
      }
    }
    const bodies: Uint8Array[] = [];
    for await (const { body } of readParts(endless(), 'b', limits)) bodies.push(body);
    expect(bodies).toHaveLength(1);
    expect(left).toBe(true);
  });
});

describe('a multipart request', () => {
  it('is read back as written', async () => {
    const object = Buffer.from('DICM\r\n--b\0', 'latin1');
    expect(await read(Buffer.from(writeDicomPart(object, 'unlikely')), 'unlikely')).toEqual([
      object.toString('latin1'),
    ]);
  });
});

describe('a content type', () => {
  it('is taken apart, quoted values unquoted', () => {
    const type = parseContentType('Multipart/Related; type="application/dicom"; BOUNDARY="a\\"b; c"; start=x;');
    expect(type?.mediaType).toBe('multipart/related');
    expect(Object.fromEntries(type!.parameters)).toEqual({ type: 'application/dicom', boundary: 'a"b; c', start: 'x' });
  });

  it.each([null, '', 'nonsense', 'a/b c', 'a/b; x="unclosed', 'a/b; =1'])('is not one: %s', (value) => {
    expect(parseContentType(value)).toBeUndefined();
  });
});
