/** DICOMweb servers to test against: the sandbox's own and a real Orthanc, each empty, on loopback, on a free port. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import express from 'express';
import { createDicomweb } from '../../api/sandbox/dicomweb/dicomweb.ts';
import type { Dicomweb, DicomwebOptions } from '../../api/sandbox/dicomweb/dicomweb.ts';
import { onPath } from './components.ts';

export interface DicomwebServer {
  /** DICOMweb root. */
  readonly root: string;
  close(): Promise<void>;
}

export interface SandboxDicomweb extends DicomwebServer {
  readonly dicomweb: Dicomweb;
  readonly dataDir: string;
}

/** Starts the sandbox's DICOMweb; with `dataDir` on what an earlier one left there (which is then kept at close). */
export async function startSandboxDicomweb(
  options: Partial<DicomwebOptions> = {},
  path = '/sandbox/dicomweb',
): Promise<SandboxDicomweb> {
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'hemocast-dicomweb-'));
  const dicomweb = createDicomweb({ onStudyChanged: async () => undefined, ...options, dataDir });
  const server = createServer(express().use(path, dicomweb.router));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    root: `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`,
    dicomweb,
    dataDir,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await dicomweb.close();
      if (options.dataDir === undefined) rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** Starts Debian's Orthanc with its DICOMweb plugin; nothing but loopback may reach it. */
export async function startOrthanc(): Promise<DicomwebServer> {
  const folder = mkdtempSync(join(tmpdir(), 'hemocast-orthanc-'));
  const port = await freePort();
  const plugin = ['/usr/share/orthanc/plugins', '/usr/lib/orthanc/plugins']
    .map((directory) => join(directory, 'libOrthancDicomWeb.so'))
    .find((file) => existsSync(file));
  if (plugin === undefined) throw new Error('Orthanc is here, its DICOMweb plugin is not: install orthanc-dicomweb.');
  const configuration = {
    Name: 'hemocast test',
    StorageDirectory: folder,
    IndexDirectory: folder,
    HttpPort: port,
    RemoteAccessAllowed: false,
    AuthenticationEnabled: false,
    DicomServerEnabled: false,
    Plugins: [plugin],
    DicomWeb: { Enable: true, Root: '/dicom-web/' },
  };
  writeFileSync(join(folder, 'orthanc.json'), JSON.stringify(configuration));
  const orthanc = spawn(onPath('Orthanc') as string, [join(folder, 'orthanc.json')], { stdio: 'ignore' });
  const exited = once(orthanc, 'exit');
  const root = `http://127.0.0.1:${port}/dicom-web`;
  const close = async (): Promise<void> => {
    if (orthanc.exitCode === null) orthanc.kill('SIGTERM');
    await exited;
    rmSync(folder, { recursive: true, force: true });
  };
  for (let attempt = 0; attempt < 100; attempt += 1) {
    if (orthanc.exitCode !== null) break;
    const answer = await fetch(`${root}/studies`).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer?.ok) return { root, close };
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await close();
  throw new Error('Orthanc did not start within 10 s.');
}

async function freePort(): Promise<number> {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
