/** The image route through the real service: what the viewer puts on the left. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parseDicom } from 'dicom-parser';
import { decodeInstance } from '../../api/dicom/decode.ts';
import { repositoryRoot } from '../support/components.ts';
import { ServiceProcess } from '../support/service-process.ts';

interface Geometry {
  readonly patient: string;
  readonly slices: number;
  readonly rows: number;
  readonly columns: number;
  readonly sopInstanceUids: readonly string[];
  readonly gantryTiltDeg: number;
  readonly hyperdenseMl: readonly number[];
}

const TOKEN = 'a-token-for-tests-a-token-for-tests-x';

describe('The initial CT for the viewer', () => {
  let service: ServiceProcess;
  beforeAll(async () => void (service = await ServiceProcess.start({ API_TOKEN: TOKEN })));
  afterAll(() => service.stopAndForget());

  const geometryOf = async (id: string): Promise<Geometry> =>
    (await (await service.fetch(`/v1/imaging-studies/${id}/geometry`)).json()) as Geometry;

  it('has exactly the slices of the generated follow-up CT, in its order', async () => {
    const geometry = await geometryOf('lindqvist-maja-ct');
    const found = await service.fhir('Media?subject=Patient/lindqvist-maja');
    const media = found.entry.map(
      (entry: { resource: { frames?: number; content: { url: string } } }) => entry.resource,
    );
    const followUp = media.find(({ frames }: { frames?: number }) => frames !== undefined);
    const response = await fetch(`${service.url}/sandbox/fhir/${followUp.content.url}`, {
      headers: { accept: 'application/dicom' },
    });
    const dicom = parseDicom(new Uint8Array(await response.arrayBuffer()));
    const sources = dicom.elements.x00082112.items!.map((item) => item.dataSet!.string('x00081155'));
    expect(sources).toEqual(geometry.sopInstanceUids);
    expect([followUp.frames, followUp.height, followUp.width]).toEqual([
      geometry.slices,
      geometry.rows,
      geometry.columns,
    ]);
  });

  it('carries the Hounsfield units of the images in the archive, voxel by voxel', async () => {
    const geometry = await geometryOf('lindqvist-maja-ct');
    const voxels = await (await service.fetch('/v1/imaging-studies/lindqvist-maja-ct/initial-ct')).arrayBuffer();
    const hu = new Int16Array(voxels);
    const size = geometry.rows * geometry.columns;
    expect(hu).toHaveLength(geometry.slices * size);

    const folder = join(repositoryRoot, 'api/sandbox/patients/lindqvist-maja/ct');
    const files = readdirSync(folder).map((name) => readFileSync(join(folder, name)));
    const frames = await Promise.all(files.map((file) => decodeInstance(file)));
    expect(frames).toHaveLength(geometry.slices);
    for (const { header, storedValues } of frames) {
      const slice = geometry.sopInstanceUids.indexOf(header.sopInstanceUid);
      const { rescaleSlope = NaN, rescaleIntercept = NaN } = header;
      const expected = Int16Array.from(storedValues, (value) => value * rescaleSlope + rescaleIntercept);
      expect(Buffer.from(hu.slice(slice * size, slice * size + size).buffer).equals(Buffer.from(expected.buffer))).toBe(
        true,
      );
    }
  });

  it('is sent compressed to whoever accepts it, and is the same without', async () => {
    const path = '/v1/imaging-studies/lindqvist-maja-ct/initial-ct';
    const zipped = await service.fetch(path, { headers: { 'accept-encoding': 'gzip' } });
    expect(zipped.headers.get('content-encoding')).toBe('gzip');
    const plain = await service.fetch(path, { headers: { 'accept-encoding': 'identity' } });
    expect(plain.headers.get('content-encoding')).toBeNull();
    expect(Buffer.from(await plain.arrayBuffer()).equals(Buffer.from(await zipped.arrayBuffer()))).toBe(true);
  });

  it('says in which slices the hyperdense volume lies', async () => {
    const { hyperdenseMl } = await geometryOf('lindqvist-maja-ct');
    const measured = (await service.fhir('Observation?subject=Patient/lindqvist-maja&code=hyperdense-volume')).entry[0];
    const sum = hyperdenseMl.reduce((total, ml) => total + ml, 0);
    expect(sum).toBeCloseTo(measured.resource.valueQuantity.value, 0);
  });

  it('states the gantry tilt of a tilted stack', async () => {
    expect((await geometryOf('silva-bento-ct')).gantryTiltDeg).toBeCloseTo(15, 0);
  });

  it('is closed to calls without the token, and knows only studies of the chart', async () => {
    const path = '/v1/imaging-studies/lindqvist-maja-ct/initial-ct';
    expect((await fetch(`${service.url}${path}`)).status).toBe(401);
    expect((await service.fetch('/v1/imaging-studies/nobody/initial-ct')).status).toBe(404);
    expect((await service.fetch('/v1/imaging-studies/a%2Fb/initial-ct')).status).toBe(404);
  });
});
