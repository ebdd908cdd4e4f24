import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { RiskAssessment } from '@medplum/fhirtypes';
import { resourceId } from '../../api/ehr/ids.ts';
import { MemoryLedger } from '../../api/ehr/write-by-create.ts';
import { openBench } from './support/ehr.ts';
import type { EhrBench } from './support/ehr.ts';
import { MODEL, READING, aReport } from './support/report.ts';

/** One of each: what a chart holds after one assessment. */
const ONE_OF_EACH = {
  RiskAssessment: 1,
  Observation: 5,
  Media: 2,
  Binary: 2,
  Provenance: 1,
  Device: 1,
  DocumentReference: 1,
};

let bench: EhrBench;
beforeEach(async () => {
  bench = await openBench();
});
afterEach(() => bench.close());

function theForecast(): RiskAssessment {
  const [forecast, ...others] = bench.server.all('RiskAssessment');
  expect(others).toEqual([]);
  return forecast;
}

describe.each([
  ['lets the writer choose ids (PUT)', true],
  ['chooses ids itself (POST, If-None-Exist)', false],
])('writing back to an EHR that %s', (_, updateCreate) => {
  beforeEach(() => {
    bench.server.updateCreate = updateCreate;
  });

  it('files one of each, referring to each other, and returns where they are', async () => {
    const written = await bench.ehr.writeBack(aReport(), bench.signal);
    expect(bench.server.counts()).toEqual(ONE_OF_EACH);
    expect(written.degraded).toBeUndefined();
    for (const reference of [
      written.riskAssessment,
      written.provenance,
      written.device,
      ...written.media,
      ...written.observations,
    ]) {
      expect([...bench.server.resources.keys()]).toContain(reference);
    }
    const forecast = theForecast();
    expect(forecast.performer?.reference).toBe(written.device);
    expect(forecast.basis?.map(({ reference }) => reference)).toEqual([
      'ImagingStudy/sim-01-ct',
      ...written.observations,
    ]);
    const [provenance] = bench.server.all('Provenance');
    expect(provenance.target.map(({ reference }) => reference)).toEqual([
      written.riskAssessment,
      ...written.observations,
      ...written.media,
      ...bench.server.all('Media').map(({ content }) => content.url),
    ]);
    expect(JSON.stringify([...bench.server.resources.values()])).not.toContain('urn:uuid:');
  });

  it('stores the pictures as raw bytes that only readers of this patient may see', async () => {
    await bench.ehr.writeBack(aReport(), bench.signal);
    const stored = bench.server.all('Media').map(({ content }) => ({
      url: content.url,
      ...bench.server.binaries.get(String(content.url).replace('Binary/', '')),
    }));
    expect(stored).toEqual([
      {
        url: expect.stringMatching(/^Binary\/[A-Za-z0-9\-.]{1,64}$/),
        contentType: 'application/dicom',
        bytes: Buffer.from(READING.images.followUpDicom),
        announcedBytes: String(READING.images.followUpDicom.byteLength),
        securityContext: 'Patient/sim-01',
      },
      {
        url: expect.stringMatching(/^Binary\//),
        contentType: 'image/png',
        bytes: Buffer.from(READING.images.comparisonPng),
        announcedBytes: String(READING.images.comparisonPng.byteLength),
        securityContext: 'Patient/sim-01',
      },
    ]);
  });

  it('writes nothing new when it is repeated, by the same process or the next', async () => {
    const first = await bench.ehr.writeBack(aReport(), bench.signal);
    const writes = bench.server.writes.length;
    expect(await bench.ehr.writeBack(aReport(), bench.signal)).toEqual(first);
    expect(await bench.restarted().writeBack(aReport(), bench.signal)).toEqual(first);
    expect(bench.server.writes).toHaveLength(writes);
  });

  it('never touches a forecast that a clinician has marked as entered in error', async () => {
    const { riskAssessment } = await bench.ehr.writeBack(aReport(), bench.signal);
    bench.server.put({ ...theForecast(), id: riskAssessment.split('/')[1], status: 'entered-in-error' });
    expect(await bench.restarted().writeBack(aReport(), bench.signal)).toMatchObject({ riskAssessment });
    expect(theForecast().status).toBe('entered-in-error');
  });

  it('files a revision beside the forecast it supersedes, which it names', async () => {
    const first = await bench.ehr.writeBack(aReport(), bench.signal);
    const before = structuredClone(bench.server.resources.get(first.riskAssessment));
    const report = aReport({ report: { revision: 2, supersedes: first.riskAssessment } });
    const second = await bench.ehr.writeBack(report, bench.signal);
    expect(bench.server.counts()).toMatchObject({
      RiskAssessment: 2,
      Observation: 10,
      Device: 1,
      DocumentReference: 1,
    });
    expect(bench.server.resources.get(first.riskAssessment)).toEqual(before);
    const provenance = bench.server.resources.get(second.provenance);
    expect(provenance).toMatchObject({
      entity: expect.arrayContaining([{ role: 'revision', what: { reference: first.riskAssessment } }]),
    });
  });

  it('shares device and model card between patients, and files the rest apart', async () => {
    await bench.ehr.writeBack(aReport(), bench.signal);
    await bench.ehr.writeBack(
      aReport({ report: { contentKey: 'other' }, study: { patientReference: 'Patient/b' } }),
      bench.signal,
    );
    expect(bench.server.counts()).toMatchObject({ RiskAssessment: 2, Media: 4, Device: 1, DocumentReference: 1 });
  });

  it('does not claim success when the chart holds another number for the same content', async () => {
    await bench.ehr.writeBack(aReport(), bench.signal);
    await expect(
      bench.ehr.writeBack(aReport({ prediction: { probability: 0.2 } }), bench.signal),
    ).rejects.toMatchObject({
      code: 'ehr-holds-another-result',
    });
    expect(theForecast().prediction?.[0].probabilityDecimal).toBe(71.4);
  });

  it.each([
    ['the bytes of the first picture were stored', /^Binary/],
    ['the transaction was kept', /^$/],
    ['the device was filed', /^Device/],
  ])('files exactly one of each when the connection dies after %s and the work is done again', async (_when, path) => {
    let cut = false;
    bench.server.fault = (request) => {
      if (cut || request.method === 'GET' || !path.test(request.path)) return undefined;
      cut = true;
      return 'work-then-cut';
    };
    const ledger = new MemoryLedger();
    const interrupted = bench.restarted({ ledger });
    await expect(interrupted.writeBack(aReport(), bench.signal)).rejects.toMatchObject({ transient: true });
    expect(cut).toBe(true);
    await bench.restarted({ ledger }).writeBack(aReport(), bench.signal);
    const { Binary, ...others } = bench.server.counts();
    const wanted: Partial<typeof ONE_OF_EACH> = { ...ONE_OF_EACH };
    delete wanted.Binary;
    expect(others).toEqual(wanted);
    // A server that chooses ids leaves the bytes whose id never arrived behind, and nothing refers to them.
    expect(Binary).toBe(!updateCreate && path.test('Binary') ? 3 : 2);
    expect(new Set(bench.server.all('Media').map(({ content }) => content.url)).size).toBe(2);
  });

  it('stores no bytes twice when the EHR was overloaded after it had taken them', async () => {
    const ledger = new MemoryLedger();
    bench.server.fault = ({ method, path }) => (method === 'POST' && path === '' ? { status: 503 } : undefined);
    await expect(bench.restarted({ ledger }).writeBack(aReport(), bench.signal)).rejects.toMatchObject({
      transient: true,
    });
    bench.server.fault = () => undefined;
    await bench.restarted({ ledger }).writeBack(aReport(), bench.signal);
    expect(bench.server.counts()).toEqual(ONE_OF_EACH);
  });

  it('files no second measurement when another writer filed the same one in between', async () => {
    const first = await bench.ehr.writeBack(aReport(), bench.signal);
    const measurement = bench.server.resources.get(first.observations[0]);
    const others = [...bench.server.resources.keys()].filter((key) => !/^(Device|DocumentReference)/.test(key));
    for (const key of others) bench.server.resources.delete(key);
    bench.server.fault = ({ method, path }) => {
      if (method === 'POST' && path === '' && measurement !== undefined) bench.server.put(measurement);
      return undefined;
    };
    const second = await bench.restarted().writeBack(aReport(), bench.signal);
    expect(second.observations[0]).toBe(first.observations[0]);
    expect(bench.server.counts()).toMatchObject({ RiskAssessment: 1, Observation: 5 });
  });

  it('files nothing that refers to bytes which were not stored', async () => {
    bench.server.fault = ({ method, path }) =>
      method !== 'GET' && path.startsWith('Binary') ? { status: 507 } : undefined;
    await expect(bench.ehr.writeBack(aReport(), bench.signal)).rejects.toMatchObject({ code: 'ehr-unavailable' });
    expect(bench.server.counts()).toEqual({ Binary: 0, Device: 1, DocumentReference: 1 });
  });

  it('notices an EHR that keeps another number than it was given', async () => {
    const put = bench.server.put.bind(bench.server);
    bench.server.put = (...resources) =>
      put(
        ...resources.map((resource) =>
          resource.resourceType === 'RiskAssessment'
            ? { ...resource, prediction: [{ ...resource.prediction?.[0], probabilityDecimal: 0.714 }] }
            : resource,
        ),
      );
    await expect(bench.ehr.writeBack(aReport(), bench.signal)).rejects.toMatchObject({
      code: 'ehr-read-back-differs',
      details: { element: 'prediction.probabilityDecimal' },
    });
  });

  it('notices bytes that come back changed', async () => {
    bench.server.fault = ({ method, path }) =>
      method === 'GET' && path.startsWith('Binary/') ? { status: 200, body: 'other', type: 'image/png' } : undefined;
    await expect(bench.ehr.writeBack(aReport(), bench.signal)).rejects.toMatchObject({
      code: 'ehr-read-back-differs',
      details: { resourceType: 'Binary' },
    });
  });

  it('files nothing that refers to bytes the chart does not show', async () => {
    bench.server.fault = ({ method, path }) =>
      method === 'GET' && path.startsWith('Binary/') ? { status: 404 } : undefined;
    await expect(bench.ehr.writeBack(aReport(), bench.signal)).rejects.toMatchObject({ code: 'ehr-read-back-missing' });
    expect(bench.server.all('Media')).toEqual([]);
    bench.server.fault = () => undefined;
    await bench.ehr.writeBack(aReport(), bench.signal);
    expect(bench.server.all('Media')).toHaveLength(2);
  });

  it('reads bytes back also from a server that answers with the JSON form of Binary', async () => {
    bench.server.fault = ({ method, path }) => {
      const kept = bench.server.binaries.get(path.replace('Binary/', ''));
      if (method !== 'GET' || kept === undefined) return undefined;
      return {
        status: 200,
        body: { resourceType: 'Binary', contentType: kept.contentType, data: kept.bytes.toString('base64') },
      };
    };
    await bench.ehr.writeBack(aReport(), bench.signal);
    expect(bench.server.counts()).toEqual(ONE_OF_EACH);
  });

  it('tells a chart without RiskAssessment and Media in simpler resources, and says so', async () => {
    bench.server.types = ['Observation', 'DocumentReference', 'Device', 'Provenance', 'Binary'];
    const written = await bench.ehr.writeBack(aReport(), bench.signal);
    expect(written.degraded).toEqual(['RiskAssessment', 'Media']);
    expect(written.riskAssessment).toMatch(/^Observation\//);
    expect(written.media).toEqual([expect.stringMatching(/^DocumentReference\//)]);
    expect(bench.server.counts()).toEqual({
      Observation: 6,
      DocumentReference: 2,
      Device: 1,
      Provenance: 1,
      Binary: 1,
    });
    expect(JSON.stringify(bench.server.resources.get(written.riskAssessment))).toContain('derived-outputs-degraded');
    expect(await bench.restarted().writeBack(aReport(), bench.signal)).toEqual(written);
  });

  it.each(['Observation', 'Binary', 'Device', 'DocumentReference', 'Provenance'])(
    'refuses, by name and before anything is written, a chart without %s',
    async (lacking) => {
      bench.server.types = bench.server.types.filter((type) => type !== lacking);
      await expect(bench.ehr.writeBack(aReport(), bench.signal)).rejects.toMatchObject({
        code: 'ehr-lacks-resource',
        details: { lacking: [lacking] },
      });
      expect(bench.server.writes).toEqual([]);
    },
  );

  it('refuses, before anything is written, a chart without transactions', async () => {
    bench.server.transactions = false;
    await expect(bench.ehr.writeBack(aReport(), bench.signal)).rejects.toMatchObject({ code: 'ehr-lacks-transaction' });
    expect(bench.server.writes).toEqual([]);
  });
});

describe('ids of what is written', () => {
  it('are the longest FHIR allows, differ by content, revision and part, and never change', () => {
    const report = { contentKey: 'k', revision: 1 };
    const ids = [
      resourceId(report, 'risk-assessment'),
      resourceId(report, 'provenance'),
      resourceId({ ...report, revision: 2 }, 'risk-assessment'),
      resourceId({ ...report, contentKey: 'l' }, 'risk-assessment'),
    ];
    expect(new Set(ids).size).toBe(4);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{64}$/);
    // printf 'hemocast\nk\n1\nrisk-assessment' | sha256sum
    expect(ids[0]).toBe('18a9b3adb4da50b0267e0b84e0bcfde5de9a985ae2b236c7580ae80ef761100b');
  });
});

describe('what someone deleted', () => {
  it('is not quietly written again', async () => {
    const { riskAssessment } = await bench.ehr.writeBack(aReport(), bench.signal);
    bench.server.resources.delete(riskAssessment);
    bench.server.deleted.add(riskAssessment);
    await expect(bench.ehr.writeBack(aReport(), bench.signal)).rejects.toMatchObject({ code: 'ehr-resource-deleted' });
    expect(bench.server.all('RiskAssessment')).toEqual([]);
  });

  it('comes back where it is the device, which is nobody’s record', async () => {
    const { device } = await bench.ehr.writeBack(aReport(), bench.signal);
    bench.server.resources.delete(device);
    await bench.ehr.writeBack(aReport({ report: { contentKey: 'next' } }), bench.signal);
    expect(bench.server.all('Device').map(({ identifier }) => identifier?.[1].value)).toEqual([MODEL.sha256]);
  });
});
