import type { RequestListener } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { CancelledError } from '../../api/errors.ts';
import type { Decoder } from '../../api/pacs/series-retrieval.ts';
import { RefusalError } from '../../api/prediction/refusals.ts';
import { ctElements, ctSeries, writePart10 } from '../support/part10.ts';
import { pixelDecoder } from '../support/pixel-decoder.ts';
import { SERIES, STUDY, json, multipart, pacsWith, slices, uids } from '../support/scripted-pacs.ts';

const signal = new AbortController().signal;
const SERIES_PATH = `/pacs/studies/${STUDY}/series/${SERIES}`;
const request = { studyInstanceUid: STUDY, seriesInstanceUid: SERIES, sopInstanceUids: uids, addresses: [] };

describe('the instances of a series', () => {
  it('come in the order asked for, whole, in any transfer syntax, with progress', async () => {
    const { pacs, server } = await pacsWith({ [`GET ${SERIES_PATH}`]: multipart([...slices].reverse()) });
    const progress: number[] = [];
    const frames = await pacs.retrieveFrames(request, signal, (fraction) => progress.push(fraction));
    expect(frames.map((frame) => frame.header.sopInstanceUid)).toEqual(uids);
    expect(frames.map((frame) => frame.storedValues[0])).toEqual([-127, -126, -125, -124, -123]);
    expect(progress).toEqual([0.2, 0.4, 0.6, 0.8, 1]);
    expect(server.requests).toHaveLength(1);
    expect(server.requests[0].headers.accept).toBe('multipart/related; type="application/dicom"; transfer-syntax=*');
  });

  it('are each decoded as soon as they have arrived, while the rest is still to come', async () => {
    let release: () => void = () => undefined;
    const decoded = new Promise<void>((resolve) => (release = resolve));
    const decode: Decoder = {
      decode: (bytes, decodeSignal) => {
        release();
        return pixelDecoder.decode(bytes, decodeSignal);
      },
    };
    const { pacs } = await pacsWith(
      {
        [`GET ${SERIES_PATH}`]: async (_request, response) => {
          response.writeHead(200, { 'content-type': 'multipart/related; type="application/dicom"; boundary=b' });
          const head = '\r\n--b\r\nContent-Type: application/dicom\r\n\r\n';
          response.write(Buffer.concat([Buffer.from(head), slices[0], Buffer.from(head)]));
          await decoded; // would wait for ever if decoding waited for the whole answer
          response.write(slices[1]);
          response.end('\r\n--b--');
        },
      },
      { decode },
    );
    const frames = await pacs.retrieveFrames({ ...request, sopInstanceUids: uids.slice(0, 2) }, signal);
    expect(frames).toHaveLength(2);
  });

  it('that the PACS left out silently are asked for one by one', async () => {
    const { pacs, calls } = await pacsWith({
      [`GET ${SERIES_PATH}`]: multipart([slices[0], slices[3]]),
      [`GET ${SERIES_PATH}/instances/${uids[1]}`]: multipart([slices[1]]),
      [`GET ${SERIES_PATH}/instances/${uids[2]}`]: (_request, response) =>
        response.writeHead(200, { 'content-type': 'application/dicom' }).end(slices[2]),
      [`GET ${SERIES_PATH}/instances/${uids[4]}`]: multipart([slices[4]]),
    });
    const frames = await pacs.retrieveFrames(request, signal);
    expect(frames.map((frame) => frame.header.sopInstanceUid)).toEqual(uids);
    expect(calls()).toHaveLength(4);
  });

  const broken: Readonly<Record<string, RequestListener>> = {
    'is cut off': multipart(slices.slice(0, 2), true),
    'is refused (406)': json({}, 406),
    'fails (500)': json({}, 500),
    'is HTML': (_request, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
    'is not what it says it is': (_request, response) =>
      response.writeHead(200, { 'content-type': 'multipart/related; boundary=b' }).end('nonsense'),
  };
  it.each(Object.keys(broken))('are asked for one by one when the answer for the whole series %s', async (name) => {
    const singly = uids.map((uid, index) => [`GET ${SERIES_PATH}/instances/${uid}`, multipart([slices[index]])]);
    const { pacs } = await pacsWith({ [`GET ${SERIES_PATH}`]: broken[name], ...Object.fromEntries(singly) });
    expect(await pacs.retrieveFrames(request, signal)).toHaveLength(5);
  });

  it('that stay missing make the retrieval fail for now', async () => {
    const { pacs } = await pacsWith({ [`GET ${SERIES_PATH}`]: multipart(slices.slice(0, 3)) });
    await expect(pacs.retrieveFrames(request, signal)).rejects.toMatchObject({
      code: 'instances-missing',
      transient: true,
      details: { missing: 2, asked: 5, firstMissing: uids[3] },
    });
  });

  it('that nobody asked for, or that come twice, are left aside undecoded', async () => {
    const decoded: string[] = [];
    const decode: Decoder = {
      decode: async (bytes, decodeSignal) => {
        const frame = await pixelDecoder.decode(bytes, decodeSignal);
        decoded.push(frame.header.sopInstanceUid);
        return frame;
      },
    };
    const { pacs } = await pacsWith({ [`GET ${SERIES_PATH}`]: multipart([...slices, ...slices]) }, { decode });
    const some = { ...request, sopInstanceUids: [uids[2], uids[0]] };
    const frames = await pacs.retrieveFrames(some, signal);
    expect(frames.map((frame) => frame.header.sopInstanceUid)).toEqual(some.sopInstanceUids);
    expect(decoded.sort()).toEqual([uids[0], uids[2]]);
  });

  it('of another study among them make the retrieval fail for good', async () => {
    const foreign = ctSeries('1.2.4', 1);
    const { pacs } = await pacsWith({ [`GET ${SERIES_PATH}`]: multipart([...slices, ...foreign]) });
    await expect(pacs.retrieveFrames(request, signal)).rejects.toMatchObject({
      code: 'pacs-answered-another-study',
      transient: false,
    });
  });

  it('whose data set contradicts the UID on the wrapper are not taken for the one asked for', async () => {
    const swapped = (study: string, series: string): Uint8Array =>
      writePart10(ctElements({ study, series, instance: uids[0] }));
    for (const [study, series, code] of [
      ['1.2.4', SERIES, 'pacs-answered-another-study'],
      [STUDY, '1.2.3.9', 'pacs-series-differs'],
    ]) {
      const { pacs } = await pacsWith({ [`GET ${SERIES_PATH}`]: multipart([swapped(study, series)]) });
      await expect(pacs.retrieveFrames(request, signal)).rejects.toMatchObject({ code });
    }
  });

  it('that cannot be decoded are refused, and the rest of the answer is not waited for', async () => {
    const decode: Decoder = {
      decode: () => Promise.reject(new RefusalError('transfer-syntax-unsupported', 'Send it uncompressed.')),
    };
    const standingStill: RequestListener = (_request, response) => {
      response.writeHead(200, { 'content-type': 'multipart/related; type="application/dicom"; boundary=b' });
      response.write(Buffer.concat([Buffer.from('--b\r\n\r\n'), slices[0], Buffer.from('\r\n--b\r\n\r\n')]));
    };
    const { pacs } = await pacsWith({ [`GET ${SERIES_PATH}`]: standingStill }, { decode });
    await expect(pacs.retrieveFrames(request, signal)).rejects.toMatchObject({ code: 'transfer-syntax-unsupported' });
  }, 10_000);

  it('are given up when the caller cancels', async () => {
    const controller = new AbortController();
    const { pacs } = await pacsWith({
      [`GET ${SERIES_PATH}`]: (_request, response) => {
        response.writeHead(200, { 'content-type': 'multipart/related; boundary=b' });
        response.write('--b\r\n');
        controller.abort(new CancelledError());
      },
    });
    await expect(pacs.retrieveFrames(request, controller.signal)).rejects.toBeInstanceOf(CancelledError);
  });
});
