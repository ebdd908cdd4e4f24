/** One suite, two servers: what is true of a real PACS (Orthanc) must be true of the sandbox's, or demos and tests mislead. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DecodePool } from '../../api/dicom/decode-pool.ts';
import { decodeInstance } from '../../api/dicom/decode.ts';
import { headerFromDicomJson } from '../../api/dicom/dicom-json.ts';
import { parseInstance } from '../../api/dicom/parse.ts';
import { Egress } from '../../api/egress/egress.ts';
import { DicomwebPacs } from '../../api/pacs/dicomweb-pacs.ts';
import type { InstanceHeader } from '../../api/imaging/volume.ts';
import { listByMetadata, listByQuery } from '../../api/pacs/listing.ts';
import { parseContentType, readParts } from '../../api/pacs/multipart.ts';
import type { Decoder } from '../../api/pacs/series-retrieval.ts';
import { describeWith, testDataDir } from '../support/components.ts';
import { startOrthanc, startSandboxDicomweb } from '../support/dicomweb-servers.ts';
import type { DicomwebServer } from '../support/dicomweb-servers.ts';
import { IMPLICIT_LITTLE_ENDIAN, ctElements, ctSeries, writePart10 } from '../support/part10.ts';
import { readFolder, stow } from '../support/stow.ts';

const signal = new AbortController().signal;
const HEAD_STUDY_SLICES = 28;

const decodePool = new DecodePool();
afterAll(() => decodePool.close());

function connect(root: string): { pacs: DicomwebPacs; egress: Egress } {
  const egress = new Egress([{ name: 'pacs', baseUrl: root }]);
  return { pacs: new DicomwebPacs({ egress, baseUrl: root, allowed: [], decode: decodePool, store: true }), egress };
}

/** What the adapter relies on, whatever the server. */
function adapterSuite(start: () => Promise<DicomwebServer>): void {
  let server: DicomwebServer;
  let egress: Egress;
  let pacs: DicomwebPacs;
  beforeAll(async () => {
    server = await start();
    ({ pacs, egress } = connect(server.root));
  });
  afterAll(async () => {
    await egress?.close();
    await server?.close();
  });

  it('is healthy', async () => {
    expect(await pacs.health(signal)).toEqual({ ok: true });
  });

  it('holds nothing of a study that was never sent', async () => {
    expect(await pacs.listInstances('1.2.3.4.5', [], signal)).toEqual([]);
    const request = {
      studyInstanceUid: '1.2.3.4.5',
      seriesInstanceUid: '1.2.3',
      sopInstanceUids: ['1.2'],
      addresses: [],
    };
    await expect(pacs.retrieveFrames(request, signal)).rejects.toMatchObject({ code: 'instances-missing' });
  });

  it('hands over explicit and implicit VR instances of one series alike, in the order asked for', async () => {
    const [first] = ctSeries('1.2.77', 1);
    const implicit = ctElements({ study: '1.2.77', series: '1.2.77.1', instance: '1.2.77.1.2' });
    expect((await stow(server.root, [first, writePart10(implicit, IMPLICIT_LITTLE_ENDIAN)])).ok).toBe(true);
    const sopInstanceUids = ['1.2.77.1.2', '1.2.77.1.1'];
    const request = { studyInstanceUid: '1.2.77', seriesInstanceUid: '1.2.77.1', sopInstanceUids, addresses: [] };
    const frames = await pacs.retrieveFrames(request, signal);
    expect(frames.map(({ header }) => header.sopInstanceUid)).toEqual(sopInstanceUids);
    expect(frames.map(({ storedValues }) => storedValues[0])).toEqual([-126, -127]);
  });

  it('lists the same headers by metadata and by search', async () => {
    expect((await stow(server.root, ctSeries('1.2.79', 2))).ok).toBe(true);
    const studyUrl = `${server.root}/studies/1.2.79`;
    const byUid = (a: InstanceHeader, b: InstanceHeader): number => a.sopInstanceUid.localeCompare(b.sopInstanceUid);
    // Orthanc does not give these two in a search; they are read from the objects themselves before pixels are used.
    const without = { transferSyntaxUid: undefined, pixelPaddingValue: undefined };
    const headers = (listed: readonly unknown[] | undefined): InstanceHeader[] =>
      (listed ?? []).map((json) => ({ ...headerFromDicomJson(json), ...without })).sort(byUid);
    const byMetadata = headers(await listByMetadata(egress, studyUrl, signal));
    expect(byMetadata).toHaveLength(2);
    expect(byMetadata[0]).toMatchObject({ imagePositionPatient: [-120, -120, 5], rescaleIntercept: -24, kvp: 120 });
    expect(headers(await listByQuery(egress, studyUrl, signal))).toEqual(byMetadata);
  });

  it('stores an object once, however often it is asked to, and hands it back', async () => {
    const [object] = ctSeries('1.2.78', 1);
    for (let time = 0; time < 3; time += 1) await pacs.store('1.2.78', object, signal);
    const listed = await pacs.listInstances('1.2.78', [`${server.root}/studies/1.2.78`], signal);
    expect(listed.map((header) => header.sopInstanceUid)).toEqual(['1.2.78.1.1']);
  });

  describeWith('test data', 'a series in mixed transfer syntaxes', () => {
    it('comes whole and as stored: compressed instances are neither left out nor transcoded', async () => {
      const objects = new Map<string, { header: InstanceHeader; bytes: Buffer }>();
      for (const bytes of readFolder(join(testDataDir, 'cornerstone_ctimage_16ts'))) {
        const { header } = parseInstance(bytes);
        if (header.modality === 'CT' && !objects.has(header.sopInstanceUid)) {
          objects.set(header.sopInstanceUid, { header, bytes });
        }
      }
      const all = [...objects.values()];
      const { studyInstanceUid, seriesInstanceUid } = all[0].header;
      const series = all.filter(({ header }) => header.seriesInstanceUid === seriesInstanceUid);
      const syntaxes = series.map(({ header }) => header.transferSyntaxUid);
      expect(new Set(syntaxes).size).toBeGreaterThanOrEqual(5);
      const stored = await stow(
        server.root,
        series.map(({ bytes }) => bytes),
      );
      expect(stored.status).toBe(200);

      const received: Buffer[] = [];
      const keep: Decoder = {
        decode: async (bytes) => {
          received.push(Buffer.from(bytes));
          return { header: parseInstance(bytes).header, storedValues: new Int16Array() };
        },
      };
      const wanted = series.map(({ header }) => header.sopInstanceUid);
      const reader = new DicomwebPacs({ egress, baseUrl: server.root, allowed: [], decode: keep, store: false });
      const request = { studyInstanceUid, seriesInstanceUid, sopInstanceUids: wanted, addresses: [] };
      const frames = await reader.retrieveFrames(request, signal);
      expect(frames.map(({ header }) => header.transferSyntaxUid)).toEqual(syntaxes);
      expect(received.map(hash).sort()).toEqual(series.map(({ bytes }) => hash(bytes)).sort());
    });
  });

  describeWith('test data', 'a real head CT', () => {
    const files = (): Buffer[] => readFolder(join(testDataDir, 'ge_hispeed_head_tilt'));

    it('comes back as it was sent: every instance listed, every header and every stored value equal to the files', async () => {
      const sent = files();
      expect(sent).toHaveLength(HEAD_STUDY_SLICES);
      const wanted = await Promise.all(sent.map((bytes) => decodeInstance(bytes)));
      const { studyInstanceUid, seriesInstanceUid } = wanted[0].header;
      expect((await stow(server.root, sent)).status).toBe(200);

      const listed = await pacs.listInstances(studyInstanceUid, [server.root], signal);
      expect(listed).toHaveLength(HEAD_STUDY_SLICES);
      const geometry = ({
        sopInstanceUid,
        imagePositionPatient,
        pixelSpacingMm,
        rescaleIntercept,
      }: (typeof listed)[0]): unknown[] => [sopInstanceUid, imagePositionPatient, pixelSpacingMm, rescaleIntercept];
      const byUid = (a: unknown[], b: unknown[]): number => String(a[0]).localeCompare(String(b[0]));
      expect(listed.map(geometry).sort(byUid)).toEqual(wanted.map(({ header }) => geometry(header)).sort(byUid));

      const progress: number[] = [];
      const frames = await pacs.retrieveFrames(
        {
          studyInstanceUid,
          seriesInstanceUid,
          sopInstanceUids: wanted.map(({ header }) => header.sopInstanceUid),
          addresses: [`${server.root}/studies/${studyInstanceUid}`],
        },
        signal,
        (fraction) => progress.push(fraction),
      );
      expect(frames.map(({ header }) => header)).toEqual(wanted.map(({ header }) => header));
      for (const [index, { storedValues }] of frames.entries()) {
        expect(Buffer.compare(bytesOf(storedValues), bytesOf(wanted[index].storedValues))).toBe(0);
      }
      expect(progress).toHaveLength(HEAD_STUDY_SLICES);
      expect(progress.at(-1)).toBe(1);
    });
  });
}

describe('the adapter and the sandbox’s DICOMweb', () => adapterSuite(startSandboxDicomweb));
describeWith('Orthanc', 'the adapter and Orthanc', () => adapterSuite(startOrthanc));

describeWith('Orthanc', 'the sandbox’s DICOMweb beside Orthanc', () => {
  let servers: DicomwebServer[] = [];
  const replies: object[] = [];
  const OTHER_PATIENT = {
    '00100020': ['LO', 'P-0002'],
    '00100010': ['PN', 'Doe^Jo'],
    '00080020': ['DA', '20250115'],
  } as const;
  const objects = [
    ...ctSeries('1.2.3', 3),
    writePart10(ctElements({ study: '1.2.3', series: '1.2.3.2', instance: '1.2.3.2.1' }, { '00080060': ['CS', 'MR'] })),
    ...ctSeries('1.2.4', 2, OTHER_PATIENT),
  ];
  beforeAll(async () => {
    servers = [await startSandboxDicomweb(), await startOrthanc()];
    for (const { root } of servers) {
      const first = await stow(root, objects);
      const again = await stow(root, objects.slice(0, 1));
      replies.push([await storeEssentials(first), await storeEssentials(again)]);
    }
  });
  afterAll(async () => {
    for (const server of servers) await server.close();
  });

  it('answers a store, and the same store again, alike', () => {
    expect(replies[0]).toEqual(replies[1]);
  });

  const JSON_TYPE = 'application/dicom+json';
  const WHOLE = 'multipart/related; type="application/dicom"; transfer-syntax=*';
  const requests: readonly (readonly [path: string, accept: string])[] = [
    ['/studies', JSON_TYPE],
    ['/studies?PatientID=P-0001', JSON_TYPE],
    ['/studies?PatientID=P-000*', JSON_TYPE],
    ['/studies?PatientID=nobody', JSON_TYPE],
    ['/studies?StudyDate=20250101-20251231', JSON_TYPE],
    ['/studies?StudyDate=20250115', JSON_TYPE],
    ['/studies?StudyInstanceUID=1.2.4', JSON_TYPE],
    ['/studies?0020000D=1.2.4', JSON_TYPE],
    ['/studies?ModalitiesInStudy=MR', JSON_TYPE],
    ['/studies/1.2.3/series', JSON_TYPE],
    ['/studies/1.2.3/series?Modality=CT', JSON_TYPE],
    ['/series?SeriesInstanceUID=1.2.4.1', JSON_TYPE],
    ['/studies/1.2.3/instances', JSON_TYPE],
    ['/studies/1.2.3/series/1.2.3.1/instances', JSON_TYPE],
    ['/studies/1.2.3/instances?SOPInstanceUID=1.2.3.1.2', JSON_TYPE],
    ['/studies/1.2.3/instances?includefield=00200032,RescaleIntercept', JSON_TYPE],
    ['/studies/1.2.3/instances?limit=100&offset=100', JSON_TYPE],
    ['/instances?SOPInstanceUID=1.2.4.1.1', JSON_TYPE],
    ['/studies/1.2.3/metadata', JSON_TYPE],
    ['/studies/1.2.3/series/1.2.3.1/metadata', JSON_TYPE],
    ['/studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.1/metadata', JSON_TYPE],
    ['/studies/1.2.3', WHOLE],
    ['/studies/1.2.3/series/1.2.3.1', WHOLE],
    ['/studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.1', WHOLE],
    ['/studies/9.9', WHOLE],
    ['/studies/9.9/metadata', JSON_TYPE],
    ['/studies/1.2.3/series/9.9', WHOLE],
    ['/studies/1.2.3/series/1.2.3.1/instances/9.9', WHOLE],
    ['/studies/1.2.3/series/1.2.4.1', WHOLE],
  ];
  it.each(requests)('answers GET %s (%s) alike', async (path, accept) => {
    const [sandbox, orthanc] = await Promise.all(servers.map(({ root }) => essentials(root + path, accept)));
    expect(sandbox).toEqual(orthanc);
  });
});

/** Tags whose values clients rely on; Orthanc gives numbers for IS and DS, as the sandbox does. */
const COMPARED = [
  '00080018',
  '00080020',
  '00080060',
  '00100010',
  '00100020',
  '0020000D',
  '0020000E',
  '00200013',
  '00200032',
  '00280010',
  '00281052',
];

async function essentials(url: string, accept: string): Promise<object> {
  const answer = await fetch(url, { headers: { accept } });
  const type = parseContentType(answer.headers.get('content-type'));
  if (!answer.ok) {
    await answer.body?.cancel();
    return { status: answer.status };
  }
  if (type?.mediaType === 'multipart/related') {
    const hashes: string[] = [];
    const parts = readParts(answer.body as AsyncIterable<Uint8Array>, type.parameters.get('boundary') ?? '');
    for await (const { body } of parts) hashes.push(hash(body));
    return { status: answer.status, type: type.mediaType, objects: hashes.sort() };
  }
  const list = (await answer.json()) as Record<string, { vr: string; Value?: unknown[] }>[];
  const rows = list.map((json) =>
    COMPARED.flatMap((tag) => (tag in json ? [[tag, json[tag].vr, json[tag].Value]] : [])),
  );
  return { status: answer.status, type: type?.mediaType, rows: rows.map((row) => JSON.stringify(row)).sort() };
}

async function storeEssentials(answer: Response): Promise<object> {
  const body = (await answer.json()) as Record<string, { Value?: Record<string, { Value?: unknown[] }>[] }>;
  const uids = (tag: string): unknown[] => (body[tag]?.Value ?? []).map((item) => item['00081155']?.Value?.[0]).sort();
  return { status: answer.status, kept: uids('00081199'), failed: uids('00081198') };
}

function hash(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function bytesOf(values: ArrayBufferView): Buffer {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength);
}
