import type { RequestListener } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { STUDY, dicomJson, json, pacsWith, slices, uids } from '../support/scripted-pacs.ts';

const signal = new AbortController().signal;

describe('storing the generated image', () => {
  const holding = (...answers: number[]): RequestListener => {
    const rest = [...answers];
    return (incoming, response) => json(Array(rest.shift() ?? 0).fill(dicomJson(STUDY, uids[0])))(incoming, response);
  };
  const POST = `POST /pacs/studies/${STUDY}`;
  const QUERY = `GET /pacs/studies/${STUDY}/instances`;
  const failedWith = (reason: number, status: number): RequestListener =>
    json({ '00081198': { vr: 'SQ', Value: [{ '00081197': { vr: 'US', Value: [reason] } }] } }, status);

  it('sends the object once, as multipart/related application/dicom', async () => {
    const received: Buffer[] = [];
    const { pacs, server } = await pacsWith({
      [QUERY]: holding(0, 1),
      [POST]: (incoming, response) => {
        incoming.on('data', (chunk: Buffer) => received.push(chunk));
        incoming.on('end', () => json({})(incoming, response));
      },
    });
    await pacs.store(STUDY, slices[0], signal);
    await pacs.store(STUDY, slices[0], signal);
    expect(server.requests.filter((incoming) => incoming.method === 'POST')).toHaveLength(1);
    expect(Buffer.concat(received).includes(slices[0])).toBe(true);
    const type = server.requests[1].headers['content-type'];
    expect(type).toMatch(/^multipart\/related; type="application\/dicom"; boundary=/);
  });

  it.each([
    ['409', failedWith(0x0111, 409)],
    ['202 with a failure', failedWith(0x0111, 202)],
    ['200 with a failure', failedWith(0x0111, 200)],
  ])('is done when the PACS answers %s but holds the instance', async (_what, listener) => {
    const { pacs } = await pacsWith({ [QUERY]: holding(0, 1), [POST]: listener });
    await pacs.store(STUDY, slices[0], signal);
  });

  it('fails by name when the PACS did not keep it', async () => {
    const { pacs } = await pacsWith({ [QUERY]: holding(0, 0), [POST]: failedWith(0xc000, 409) });
    await expect(pacs.store(STUDY, slices[0], signal)).rejects.toMatchObject({
      code: 'pacs-store-failed',
      details: { status: 409, failureReason: 0xc000 },
    });
  });

  it('is not tried where it is not enabled', async () => {
    const { pacs, server } = await pacsWith({}, { store: false });
    await expect(pacs.store(STUDY, slices[0], signal)).rejects.toMatchObject({ code: 'pacs-store-not-enabled' });
    expect(server.requests).toEqual([]);
  });
});
