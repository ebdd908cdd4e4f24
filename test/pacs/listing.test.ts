import type { RequestListener } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { SERIES, STUDY, dicomJson, json, pacsWith, uids } from '../support/scripted-pacs.ts';

const signal = new AbortController().signal;
const request = { studyInstanceUid: STUDY, seriesInstanceUid: SERIES, sopInstanceUids: uids, addresses: [] };

describe('the address of a study', () => {
  const metadata = { [`GET /pacs/studies/${STUDY}/metadata`]: json([dicomJson(STUDY, uids[0])]) };

  it.each(['', '/', '/studies', `/studies/${STUDY}`, `/studies/${STUDY}/`, `/studies/${STUDY}/series/${SERIES}`])(
    'may be the root of the PACS or a URL of the study: root%s',
    async (suffix) => {
      const { pacs, server } = await pacsWith(metadata);
      const listed = await pacs.listInstances(STUDY, [`${server.origin}/pacs${suffix}`], signal);
      expect(listed).toMatchObject([{ sopInstanceUid: uids[0], modality: 'CT' }]);
      expect(server.requests[0].headers.authorization).toBe('Bearer pacs-token');
    },
  );

  it('is the configured root when the EHR names none, and the allow-listed one among several', async () => {
    const { pacs, server } = await pacsWith(metadata);
    expect(await pacs.listInstances(STUDY, [], signal)).toHaveLength(1);
    expect(
      await pacs.listInstances(STUDY, ['https://elsewhere.example/wado', `${server.origin}/pacs`], signal),
    ).toHaveLength(1);
  });

  it('is not dialled when it is not allow-listed, whatever it looks like', async () => {
    const { pacs, server } = await pacsWith(metadata);
    const hostile = [
      'https://elsewhere.example/dicom-web',
      `${server.origin}/other`,
      `${server.origin}/pacs.evil.example`,
      `${server.origin}/pacs/../admin`,
      `${server.origin}/pacs?x=/studies/${STUDY}`,
      `${server.origin.replace('http://', 'http://user:secret@')}/pacs`,
      `${server.origin}.evil.example/pacs`,
      'file:///etc/passwd',
      'nonsense',
    ];
    for (const address of hostile) {
      await expect(pacs.listInstances(STUDY, [address], signal)).rejects.toMatchObject({
        code: 'endpoint-not-allowed',
      });
      const retrieved = pacs.retrieveFrames({ ...request, addresses: [address] }, signal);
      await expect(retrieved).rejects.toMatchObject({ code: 'endpoint-not-allowed' });
    }
    expect(server.requests).toEqual([]);
  });

  it('is refused when it is the URL of another study', async () => {
    const { pacs, server } = await pacsWith(metadata);
    const listing = pacs.listInstances(STUDY, [`${server.origin}/pacs/studies/1.2.4`], signal);
    await expect(listing).rejects.toMatchObject({ code: 'endpoint-names-another-study' });
    expect(server.requests).toEqual([]);
  });

  it('is never built from something that is not a UID', async () => {
    const { pacs, server } = await pacsWith(metadata);
    for (const uid of ['../../admin', '1.2.3/metadata', '', '1..2', `1.${'2'.repeat(80)}`]) {
      await expect(pacs.listInstances(uid, [], signal)).rejects.toMatchObject({ code: 'uid-invalid' });
    }
    expect(server.requests).toEqual([]);
  });
});

describe('the listing of a study', () => {
  it('is empty when the PACS holds nothing of it yet', async () => {
    expect(await (await pacsWith({})).pacs.listInstances(STUDY, [], signal)).toEqual([]);
    const { pacs } = await pacsWith({ [`GET /pacs/studies/${STUDY}/instances`]: json([]) });
    expect(await pacs.listInstances(STUDY, [], signal)).toEqual([]);
  });

  it.each([400, 404, 406, 500, 501])(
    'comes from QIDO-RS, in pages, when metadata is answered with %d',
    async (status) => {
      const all = Array.from({ length: 7 }, (_, index) => dicomJson(STUDY, `${SERIES}.${index}`));
      const { pacs, calls } = await pacsWith({
        [`GET /pacs/studies/${STUDY}/metadata`]: json({}, status),
        [`GET /pacs/studies/${STUDY}/instances`]: (incoming, response) => {
          const offset = Number(new URL(incoming.url ?? '', 'http://x').searchParams.get('offset'));
          json(all.slice(offset, offset + 3))(incoming, response);
        },
      });
      const listed = await pacs.listInstances(STUDY, [], signal);
      expect(listed.map((header) => header.sopInstanceUid)).toEqual(all.map((_, index) => `${SERIES}.${index}`));
      expect(calls().at(1)).toContain('includefield=all');
    },
  );

  it('ends with a server that ignores paging, and names each instance once', async () => {
    const twice = [dicomJson(STUDY, uids[0]), dicomJson(STUDY, uids[1]), dicomJson(STUDY, uids[0])];
    const { pacs, calls } = await pacsWith({ [`GET /pacs/studies/${STUDY}/instances`]: json(twice) });
    expect(await pacs.listInstances(STUDY, [], signal)).toHaveLength(2);
    expect(calls()).toHaveLength(3);
  });

  const faults: readonly (readonly [string, RequestListener, string])[] = [
    ['the credential is refused', json({}, 401), 'pacs-unauthorized'],
    ['the PACS is overloaded', json({}, 503), 'pacs-unavailable'],
    ['there are too many calls', json({}, 429), 'pacs-throttled'],
    ['it holds an instance of another study', json([dicomJson('1.2.4', '1.2.4.1.1')]), 'pacs-answered-another-study'],
    ['an instance has no UID', json([{ '00080060': { vr: 'CS', Value: ['CT'] } }]), 'dicom-malformed'],
  ];
  it.each(faults)('fails by name when %s', async (_what, listener, code) => {
    const { pacs } = await pacsWith({ [`GET /pacs/studies/${STUDY}/metadata`]: listener });
    await expect(pacs.listInstances(STUDY, [], signal)).rejects.toMatchObject({ code });
  });

  it.each(['<html>log in</html>', '{"not":"a list"}', '[{]'])(
    'fails by name when both ways answer %s',
    async (text) => {
      const type = text.startsWith('<') ? 'text/html' : 'application/dicom+json';
      const listener: RequestListener = (_request, response) =>
        response.writeHead(200, { 'content-type': type }).end(text);
      const { pacs } = await pacsWith({
        [`GET /pacs/studies/${STUDY}/metadata`]: listener,
        [`GET /pacs/studies/${STUDY}/instances`]: listener,
      });
      await expect(pacs.listInstances(STUDY, [], signal)).rejects.toMatchObject({ code: 'pacs-answer-not-json' });
    },
  );
});

describe('the health of the PACS', () => {
  it('is good when a search is answered', async () => {
    const { pacs, calls } = await pacsWith({ 'GET /pacs/studies': json([]) });
    expect(await pacs.health(signal)).toEqual({ ok: true });
    expect(calls()).toEqual(['GET /pacs/studies?limit=1']);
  });

  it('is bad, with the reason in words and without the credential, when it is not', async () => {
    const refusing = await pacsWith({ 'GET /pacs/studies': json({}, 401) });
    const health = await refusing.pacs.health(signal);
    expect(health).toMatchObject({ ok: false, reason: expect.stringContaining('credential') });
    expect(JSON.stringify(health)).not.toContain('pacs-token');
    const { pacs, server } = await pacsWith({});
    await server.close();
    expect(await pacs.health(signal)).toMatchObject({
      ok: false,
      reason: expect.stringContaining('cannot be reached'),
    });
  });
});
