import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { DicomJson, DicomwebOptions, StoredStudy } from '../../api/sandbox/dicomweb/dicomweb.ts';
import { startSandboxDicomweb } from '../support/dicomweb-servers.ts';
import type { SandboxDicomweb } from '../support/dicomweb-servers.ts';
import { IMPLICIT_LITTLE_ENDIAN, ctElements, ctSeries, writePart10 } from '../support/part10.ts';
import { stow } from '../support/stow.ts';

const STUDY = '1.2.3';
const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function start(options: Partial<DicomwebOptions> = {}): Promise<SandboxDicomweb> {
  const server = await startSandboxDicomweb(options);
  open.push(() => server.close());
  return server;
}

async function getJson(url: string): Promise<DicomJson[]> {
  const answer = await fetch(url, { headers: { accept: 'application/dicom+json' } });
  expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/dicom+json; charset=utf-8']);
  return (await answer.json()) as DicomJson[];
}

const first = (attributes: DicomJson, tag: string): unknown => attributes[tag]?.Value?.[0];

describe('STOW-RS', () => {
  it('keeps instances and answers where each can be retrieved', async () => {
    const { root } = await start();
    const answer = await stow(root, ctSeries(STUDY, 2));
    expect(answer.status).toBe(200);
    const body = (await answer.json()) as DicomJson;
    expect(first(body, '00081190')).toBe(`${root}/studies/${STUDY}`);
    expect(body['00081198']).toBeUndefined();
    expect(body['00081199'].Value).toEqual(
      [1, 2].map((n) => ({
        '00081150': { vr: 'UI', Value: ['1.2.840.10008.5.1.4.1.1.2'] },
        '00081155': { vr: 'UI', Value: [`${STUDY}.1.${n}`] },
        '00081190': { vr: 'UR', Value: [`${root}/studies/${STUDY}/series/${STUDY}.1/instances/${STUDY}.1.${n}`] },
      })),
    );
  });

  it('tells of the changed study with all its instances, before the client gets its answer', async () => {
    const told: StoredStudy[] = [];
    const { root } = await start({ onStudyChanged: async (study) => void told.push(study) });
    const [one, two] = ctSeries(STUDY, 2);
    await stow(root, [one]);
    await stow(root, [two, ...ctSeries('1.2.5', 1)]);
    expect(told.map(({ studyInstanceUid, instances }) => [studyInstanceUid, instances.length])).toEqual([
      [STUDY, 1],
      [STUDY, 2],
      ['1.2.5', 1],
    ]);
    expect(first(told[1].instances[1], '00100010')).toEqual({ Alphabetic: 'Müller^Anna' });
  });

  it('answers 500 without a word about why when the listener fails, and tells again when the study is sent again', async () => {
    let failures = 1;
    const { root } = await start({
      onStudyChanged: async () => {
        if (failures-- > 0) throw new Error('canary of the inside');
      },
    });
    const failed = await stow(root, ctSeries(STUDY, 1));
    expect([failed.status, (await failed.text()).includes('canary')]).toEqual([500, false]);
    expect((await stow(root, ctSeries(STUDY, 1))).status).toBe(200);
  });

  it('keeps one instance once, however often it is sent', async () => {
    const { root, dicomweb } = await start();
    for (let time = 0; time < 3; time += 1) expect((await stow(root, ctSeries(STUDY, 2))).status).toBe(200);
    await Promise.all(ctSeries(STUDY, 2).map((object) => dicomweb.store(object)));
    expect(dicomweb.study(STUDY)?.instances).toHaveLength(2);
  });

  const rejected: readonly (readonly [string, Buffer, number])[] = [
    ['another patient in the study', writePart10(ctElements(uids(9), { '00100020': ['LO', 'P-0002'] })), 0xa900],
    [
      'the same patient number of another issuer',
      writePart10(ctElements(uids(9), { '00100021': ['LO', 'OTHER'] })),
      0xa900,
    ],
    ['no patient number', writePart10(ctElements(uids(9), { '00100020': undefined })), 0xa900],
    ['other bytes under a known UID', writePart10(ctElements(uids(1), { '00281052': ['DS', '0'] })), 0x0111],
    ['no DICOM', Buffer.from('GIF89a'), 0xc000],
    ['a truncated object', ctSeries(STUDY, 9)[8].subarray(0, 300), 0xc000],
    ['no SOP Instance UID', writePart10(ctElements(uids(9), { '00080018': undefined })), 0xc000],
    ['a UID that is a path', writePart10(ctElements(uids(9), { '0020000D': ['UI', '../../1'] })), 0xc000],
    ['another study than the URL names', writePart10(ctElements({ ...uids(9), study: '1.2.4' })), 0xa900],
  ];
  it.each(rejected)('refuses %s with its failure reason, and keeps the rest', async (_what, object, reason) => {
    const { root, dicomweb, dataDir } = await start();
    expect((await stow(root, ctSeries(STUDY, 1))).status).toBe(200);
    const only = await postTo(`${root}/studies/${STUDY}`, [object]);
    expect(only.status).toBe(409);
    const failure = (await only.json()) as DicomJson;
    expect(first(failure['00081198'].Value?.[0] as DicomJson, '00081197')).toBe(reason);
    const mixed = await postTo(`${root}/studies/${STUDY}`, [object, ctSeries(STUDY, 2)[1]]);
    expect(mixed.status).toBe(202);
    expect(dicomweb.study(STUDY)?.instances).toHaveLength(2);
    expect(dicomweb.listStudies()).toHaveLength(1);
    expect(readdirSync(join(dataDir, 'sandbox'))).toEqual(['dicomweb']);
  });

  it.each([
    ['another media type', { 'content-type': 'application/dicom' }, 'x', 415],
    ['DICOM XML', { 'content-type': 'multipart/related; type="application/dicom+xml"; boundary=b' }, 'x', 415],
    ['no boundary', { 'content-type': 'multipart/related; type="application/dicom"' }, 'x', 415],
    ['a body without its boundary', { 'content-type': 'multipart/related; boundary=b' }, 'nonsense', 400],
    ['a body that ends early', { 'content-type': 'multipart/related; boundary=b' }, '--b\r\n\r\nDICM', 400],
    ['no part', { 'content-type': 'multipart/related; boundary=b' }, '--b--', 400],
    [
      'an answer as XML',
      { 'content-type': 'multipart/related; boundary=b', accept: 'application/dicom+xml' },
      'x',
      406,
    ],
  ])('refuses %s in words', async (_what, headers, body, status) => {
    const { root } = await start();
    const answer = await fetch(`${root}/studies`, { method: 'POST', headers: headers as Record<string, string>, body });
    expect(answer.status).toBe(status);
    expect(await answer.json()).toEqual({ status, message: expect.any(String) });
  });

  it('refuses a body beyond its limit, announced or not', async () => {
    const { root, dicomweb } = await start({ maxBodyBytes: 10_000 });
    expect((await stow(root, ctSeries(STUDY, 20))).status).toBe(413);
    const chunks = new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(5_000)),
    });
    const init: RequestInit = {
      method: 'POST',
      headers: { 'content-type': 'multipart/related; boundary=b' },
      body: chunks,
      duplex: 'half',
    };
    const status = await fetch(`${root}/studies`, init).then(
      (answer) => answer.status,
      () => 'cut off',
    );
    expect([413, 'cut off']).toContain(status);
    expect(dicomweb.listStudies()).toEqual([]);
  });
});

describe('QIDO-RS', () => {
  async function withStudies(): Promise<SandboxDicomweb> {
    const server = await start();
    const objects = [
      ...ctSeries(STUDY, 3),
      writePart10(ctElements({ study: STUDY, series: '1.2.3.2', instance: '1.2.3.2.1' }, { '00080060': ['CS', 'SR'] })),
      ...ctSeries('1.2.4', 2, {
        '00100020': ['LO', 'P-0002'],
        '00080020': ['DA', '20250115'],
        '00100010': ['PN', 'Doe^Jo'],
      }),
    ];
    expect((await stow(server.root, objects)).status).toBe(200);
    return server;
  }

  it('finds studies with their counts, modalities and where to retrieve them', async () => {
    const { root } = await withStudies();
    const studies = await getJson(`${root}/studies`);
    expect(studies).toHaveLength(2);
    expect(studies[0]).toMatchObject({
      '0020000D': { vr: 'UI', Value: [STUDY] },
      '00100020': { vr: 'LO', Value: ['P-0001'] },
      '00100010': { vr: 'PN', Value: [{ Alphabetic: 'Müller^Anna' }] },
      '00080061': { vr: 'CS', Value: ['CT', 'SR'] },
      '00201206': { vr: 'IS', Value: [2] },
      '00201208': { vr: 'IS', Value: [4] },
      '00081190': { vr: 'UR', Value: [`${root}/studies/${STUDY}`] },
    });
    expect(studies[0]).not.toHaveProperty('00180060');
  });

  const searches: readonly (readonly [string, number])[] = [
    ['/studies?PatientID=P-0001', 1],
    ['/studies?00100020=P-0002', 1],
    ['/studies?PatientID=P-000?', 2],
    ['/studies?PatientID=P*', 2],
    ['/studies?PatientID=P', 0],
    ['/studies?PatientID=nobody', 0],
    ['/studies?PatientID=', 2],
    ['/studies?PatientName=m*ller%5Eanna', 1],
    ['/studies?StudyDate=20260301', 1],
    ['/studies?StudyDate=20250101-20251231', 1],
    ['/studies?StudyDate=20250101-', 2],
    ['/studies?StudyDate=-20250115', 1],
    ['/studies?StudyInstanceUID=1.2.3,1.2.4', 2],
    ['/studies?StudyInstanceUID=1.2.3%5C1.2.9', 1],
    ['/studies?ModalitiesInStudy=SR', 1],
    ['/studies?Modality=SR', 1],
    ['/studies?limit=1', 1],
    ['/studies?limit=5&offset=1', 1],
    ['/studies?limit=0', 0],
    ['/studies?offset=99', 0],
    ['/series', 3],
    ['/series?Modality=CT', 2],
    [`/studies/${STUDY}/series`, 2],
    [`/studies/${STUDY}/series?Modality=SR`, 1],
    ['/instances', 6],
    ['/instances?StudyInstanceUID=1.2.4', 2],
    [`/studies/${STUDY}/instances`, 4],
    [`/studies/${STUDY}/instances?SOPInstanceUID=1.2.3.1.2&limit=1`, 1],
    [`/studies/${STUDY}/series/1.2.3.1/instances?InstanceNumber=2`, 1],
    ['/studies/9.9/series', 0],
    ['/studies/9.9/instances', 0],
    [`/studies?PatientID=${'*a'.repeat(2_000)}`, 0],
  ];
  it('matches by value, list, wildcard and range, within a study or series, in pages', async () => {
    const { root } = await withStudies();
    for (const [path, count] of searches) expect([path, (await getJson(root + path)).length]).toEqual([path, count]);
  });

  it('gives further attributes by keyword or tag, or all of them, but never pixels', async () => {
    const { root } = await withStudies();
    const [some] = await getJson(
      `${root}/studies/${STUDY}/instances?includefield=KVP,00180050&includefield=RescaleSlope`,
    );
    expect([first(some, '00180060'), first(some, '00180050'), first(some, '00281053')]).toEqual([120, 5, 1]);
    const [all] = await getJson(`${root}/studies/${STUDY}/instances?includefield=all`);
    expect(all['00200032']).toEqual({ vr: 'DS', Value: [-120, -120, 5] });
    expect(all['00280120']).toEqual({ vr: 'SS', Value: [-1500] });
    expect(all).not.toHaveProperty('7FE00010');
  });

  it.each(['?Patient-ID=1', '?limit=-1', '?limit=x', '?offset=1.5', '?includefield=NoSuchField', '?constructor=1'])(
    'refuses a query that it does not understand: %s',
    async (query) => {
      const { root } = await start();
      const answer = await fetch(`${root}/studies${query}`);
      expect(answer.status).toBe(400);
      expect(await answer.json()).toEqual({ status: 400, message: expect.any(String) });
    },
  );
});

describe('WADO-RS', () => {
  it('refuses what is not there, not a UID, not offered or not acceptable, each by its status', async () => {
    const { root } = await start();
    await stow(root, [...ctSeries(STUDY, 1), writePart10(ctElements(uids(2)), IMPLICIT_LITTLE_ENDIAN)]);
    const instance = `/studies/${STUDY}/series/${STUDY}.1/instances/${STUDY}.1.1`;
    const explicitOnly = 'multipart/related; type="application/dicom"';
    const cases: readonly (readonly [string, string, number])[] = [
      ['/studies/9.9', '*/*', 404],
      [`/studies/${STUDY}/series/9.9`, '*/*', 404],
      [`/studies/${STUDY}/series/${STUDY}.1/instances/9.9`, '*/*', 404],
      ['/studies/9.9/metadata', '*/*', 404],
      [`${instance}/frames/1`, '*/*', 404],
      [`${instance}/rendered`, '*/*', 404],
      ['/studies/nonsense', '*/*', 400],
      ['/studies/..%2f..%2fetc', '*/*', 400],
      ['/studies/%00', '*/*', 400],
      ['/studies/%E0%A4%A', '*/*', 400],
      [`/studies/${'1'.repeat(65)}/metadata`, '*/*', 400],
      [instance, explicitOnly, 200],
      [instance, 'application/dicom', 200],
      [instance, 'image/jpeg', 406],
      [instance, `${explicitOnly}; transfer-syntax=1.2.840.10008.1.2.4.90`, 406],
      [`/studies/${STUDY}`, explicitOnly, 406],
      [`/studies/${STUDY}`, 'application/dicom', 406],
      [`/studies/${STUDY}`, `${explicitOnly}; transfer-syntax=*`, 200],
      [`/studies/${STUDY}`, '', 200],
      [`/studies/${STUDY}/metadata`, 'application/dicom+xml', 406],
      [`/studies/${STUDY}/metadata`, 'application/json', 200],
    ];
    for (const [path, accept, status] of cases) {
      const answer = await fetch(root + path, { headers: { accept } });
      const text = await answer.text();
      expect([path, accept, answer.status]).toEqual([path, accept, status]);
      if (status !== 200) expect(JSON.parse(text)).toEqual({ status, message: expect.any(String) });
    }
  });

  it('gives the bytes that were sent', async () => {
    const { root } = await start();
    const [object] = ctSeries(STUDY, 1);
    await stow(root, [object]);
    const headers = { accept: 'application/dicom; transfer-syntax=*' };
    const answer = await fetch(`${root}/studies/${STUDY}/series/${STUDY}.1/instances/${STUDY}.1.1`, { headers });
    expect(answer.headers.get('content-type')).toBe('application/dicom; transfer-syntax=1.2.840.10008.1.2.1');
    expect(Buffer.from(await answer.arrayBuffer()).equals(object)).toBe(true);
  });
});

describe('what is kept', () => {
  it('is there after a restart, also where a header file was lost or torn, and half-written files are cleared away', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'hemocast-dicomweb-'));
    open.push(async () => rmSync(dataDir, { recursive: true, force: true }));
    const before = await startSandboxDicomweb({ dataDir });
    await stow(before.root, ctSeries(STUDY, 3));
    const metadata = before.dicomweb.study(STUDY);
    await before.close();

    const series = join(dataDir, 'sandbox', 'dicomweb', STUDY, `${STUDY}.1`);
    rmSync(join(series, `${STUDY}.1.1.json`));
    writeFileSync(join(series, `${STUDY}.1.2.json`), '{"00080018":{"vr":"UI","Va');
    writeFileSync(join(series, `${STUDY}.1.4.dcm.tmp-1`), 'half');
    const after = await start({ dataDir });
    expect(after.dicomweb.listStudies()).toEqual([metadata]);
    expect(existsSync(join(series, `${STUDY}.1.4.dcm.tmp-1`))).toBe(false);
    expect(JSON.parse(readFileSync(join(series, `${STUDY}.1.2.json`), 'utf8'))).toEqual(metadata?.instances[1]);
  });
});

describe('the header of an instance as DICOM JSON', () => {
  it('is the same from explicit and from implicit VR', async () => {
    const { dicomweb } = await start();
    const nested = { '00081140': ['SQ', [{ '00081150': ['UI', '1.2'], '00081155': ['UI', '1.2.3'] }]] } as const;
    await dicomweb.store(writePart10(ctElements(uids(1), nested)));
    await dicomweb.store(writePart10(ctElements(uids(2), nested), IMPLICIT_LITTLE_ENDIAN));
    const [explicit, implicit] = dicomweb.study(STUDY)?.instances ?? [];
    const own = ['00080018', '00083002', '00200013', '00200032'];
    const shared = (json: DicomJson): unknown => Object.entries(json).filter(([tag]) => !own.includes(tag));
    expect(shared(implicit)).toEqual(shared(explicit));
    expect(explicit['00081140']).toEqual({
      vr: 'SQ',
      Value: [{ '00081150': { vr: 'UI', Value: ['1.2'] }, '00081155': { vr: 'UI', Value: ['1.2.3'] } }],
    });
    expect(explicit['00280030']).toEqual({ vr: 'DS', Value: [0.5, 0.5] });
  });

  it('has empty attributes without a value, and names in the character set of the object', async () => {
    const { dicomweb } = await start();
    const latin1 = {
      '00080005': ['CS', 'ISO_IR 100'],
      '00100010': ['PN', new Uint8Array(Buffer.from('J\xf6rg', 'latin1'))],
    } as const;
    await dicomweb.store(writePart10(ctElements(uids(1), { ...latin1, '0008103E': ['LO', ''] })));
    const [json] = dicomweb.study(STUDY)?.instances ?? [];
    expect(json['0008103E']).toEqual({ vr: 'LO' });
    expect(json['00100010']).toEqual({ vr: 'PN', Value: [{ Alphabetic: 'Jörg' }] });
  });
});

function uids(number: number): { study: string; series: string; instance: string } {
  return { study: STUDY, series: `${STUDY}.1`, instance: `${STUDY}.1.${number}` };
}

/** STOW-RS to a study's own URL. */
async function postTo(url: string, objects: readonly Buffer[]): Promise<Response> {
  const parts = objects.flatMap((object) => [
    Buffer.from('\r\n--b\r\nContent-Type: application/dicom\r\n\r\n'),
    object,
  ]);
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'multipart/related; type="application/dicom"; boundary=b' },
    body: Buffer.concat([...parts, Buffer.from('\r\n--b--')]),
  });
}
