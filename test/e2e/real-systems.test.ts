/** A hospital's own systems in place of the sandbox's: Orthanc as PACS, PostgreSQL under the queue, and who may call then. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parseInstance } from '../../api/dicom/parse.ts';
import { describeWith, repositoryRoot, testDataDir } from '../support/components.ts';
import { startPostgresql } from '../support/databases.ts';
import type { PostgresqlServer } from '../support/databases.ts';
import { startOrthanc } from '../support/dicomweb-servers.ts';
import type { DicomwebServer } from '../support/dicomweb-servers.ts';
import { ServiceProcess } from '../support/service-process.ts';
import { readFolder, stow } from '../support/stow.ts';

const run = promisify(execFile);
const node = ['--disable-warning=ExperimentalWarning'];
const token = 'a-token-of-at-least-thirty-two-characters';

describeWith('Orthanc', 'A real PACS beside the sandbox EHR', () => {
  let orthanc: DicomwebServer;
  let service: ServiceProcess;
  beforeAll(async () => {
    orthanc = await startOrthanc();
    service = await ServiceProcess.start({
      PACS_DICOMWEB_URL: orthanc.root,
      API_TOKEN: token,
      STORE_GENERATED_IMAGE: 'true',
      CHART_WATCH_MS: '300',
    });
  }, 120_000);
  afterAll(async () => {
    await service.stopAndForget();
    await orthanc.close();
  });

  it('a study of the PACS is registered in the sandbox EHR and assessed from there', async () => {
    const objects = readFolder(join(testDataDir, 'ge_hispeed_head_tilt'));
    expect((await stow(orthanc.root, objects)).status).toBe(200);
    const { studyInstanceUid } = parseInstance(objects[0]).header;
    const cli = join(repositoryRoot, 'api/cli.ts');
    const { stdout } = await run(process.execPath, [
      ...node,
      cli,
      'register-study',
      studyInstanceUid,
      '--url',
      service.url,
    ]);
    const study = stdout.trim();
    expect(study).toMatch(/^ImagingStudy\//);
    const { status, body } = await service.assess(study);
    expect(status).toBe(202);
    const assessment = await service.finished(body.id);
    expect(assessment.status).toBe('completed');
    const stored = await fetch(`${orthanc.root}/studies/${studyInstanceUid}/series`, {
      headers: { accept: 'application/dicom+json' },
    });
    const descriptions = ((await stored.json()) as Record<string, { Value?: string[] }>[]).map(
      (series) => series['0008103E']?.Value?.[0],
    );
    expect(descriptions.filter((text) => text?.startsWith('AI-GENERATED NOT ACQUIRED'))).toHaveLength(1);
    // Our own series in the study is not another content: asking again finds the same assessment.
    expect((await service.assess(study)).body.id).toBe(assessment.id);

    // Rejected by the radiographer: one slice that was read is gone, and nobody tells the chart.
    const rest = orthanc.root.replace('/dicom-web', '');
    const query = { Level: 'Instance', Query: { SOPInstanceUID: assessment.basis!.sopInstanceUids[3] } };
    const found = await fetch(`${rest}/tools/find`, { method: 'POST', body: JSON.stringify(query) });
    const [instance] = (await found.json()) as string[];
    expect((await fetch(`${rest}/instances/${instance}`, { method: 'DELETE' })).ok).toBe(true);
    const { withdrawal } = await service.withdrawn(assessment.id);
    expect(withdrawal).toMatchObject({ code: 'images-corrected' });
  }, 120_000);

  it('a study that the PACS does not hold cannot be registered', async () => {
    const response = await fetch(`${service.url}/sandbox/register-study`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ studyInstanceUid: '1.2.3.4' }),
    });
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ code: 'study-not-in-pacs' });
  });

  it('callers without the token are turned away, all alike', async () => {
    const bodies = await Promise.all(
      [undefined, 'Bearer wrong', `Basic ${token}`].map(async (authorization) => {
        const response = await fetch(`${service.url}/v1/assessments`, {
          headers: authorization ? { authorization } : {},
        });
        expect(response.status).toBe(401);
        return response.text();
      }),
    );
    expect(new Set(bodies).size).toBe(1);
  });
});

describeWith('PostgreSQL', 'The queue on PostgreSQL', () => {
  let postgresql: PostgresqlServer;
  beforeAll(async () => {
    postgresql = await startPostgresql();
  }, 60_000);
  afterAll(() => postgresql.stop());

  it('assesses with the same code', async () => {
    const service = await ServiceProcess.start({ DATABASE_URL: postgresql.databaseUrl });
    try {
      const { body } = await service.assess('ImagingStudy/okafor-james-ct');
      expect((await service.finished(body.id)).status).toBe('completed');
      expect(readdirSync(service.dataDir)).not.toContain('queue');
    } finally {
      await service.stopAndForget();
    }
  }, 120_000);
});

describe('A service that cannot vouch for its surroundings does not start', () => {
  const start = async (env: Record<string, string>): Promise<{ code: number; text: string }> => {
    const child = spawn(process.execPath, [...node, join(repositoryRoot, 'api/main.ts')], {
      env: { PATH: process.env.PATH, PORT: '0', DATA_DIR: '/nonexistent', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let text = '';
    child.stdout.on('data', (chunk) => (text += chunk));
    child.stderr.on('data', (chunk) => (text += chunk));
    const [code] = (await once(child, 'exit')) as [number];
    return { code, text };
  };

  it('without authentication for its callers beside a hospital’s EHR', async () => {
    const { code, text } = await start({ EHR_FHIR_URL: 'https://ehr.example/fhir' });
    expect(code).toBe(1);
    expect(text).toContain('API_TOKEN');
  });

  it('with several mistakes in the configuration: it names them all at once', async () => {
    const { code, text } = await start({
      PORT: 'eighty',
      EHR_FHIR_URL: 'http://ehr.example',
      HEMOCAST_PROVIDER: 'tpu',
    });
    expect(code).toBe(1);
    for (const key of ['PORT', 'EHR_FHIR_URL', 'HEMOCAST_PROVIDER']) expect(text).toContain(`${key}:`);
  });

  it('where the sandbox would not lie on loopback', async () => {
    const { hostname } = await firstForeignAddress();
    const { code, text } = await start({ HOST: hostname });
    expect(code).toBe(1);
    expect(text).toMatch(/loopback|Cannot listen/);
  });

  it('with a bundle that is not there', async () => {
    const { code, text } = await start({
      MODEL_BUNDLE: '/nonexistent',
      DATA_DIR: join('/tmp', `hemocast-${process.pid}`),
    });
    expect(code).toBe(1);
    expect(text).toContain('set MODEL_BUNDLE');
  });

  const firstForeignAddress = async (): Promise<{ hostname: string }> => {
    const { networkInterfaces } = await import('node:os');
    const address = Object.values(networkInterfaces())
      .flat()
      .find((entry) => entry !== undefined && !entry.internal && entry.family === 'IPv4')?.address;
    return { hostname: address ?? '192.0.2.1' };
  };
});

it('the printed version of the package and of the interface are the same', () => {
  const { version } = JSON.parse(readFileSync(join(repositoryRoot, 'package.json'), 'utf8')) as { version: string };
  expect(readFileSync(join(repositoryRoot, 'openapi.yaml'), 'utf8')).toContain(`version: ${version}`);
});
