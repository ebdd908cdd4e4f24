/**
 * NuGet (learn.microsoft.com/en-us/nuget/api/overview) on the loopback, as far as one package goes: a proxy that leads every host to
 * one TLS server with a certificate of its own.
 */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createProxy } from 'node:http';
import { createServer } from 'node:https';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { strToU8, zipSync } from 'fflate';

export interface NugetFeed {
  readonly proxyUrl: string;
  /** PEM. */
  readonly certificate: string;
  /** Host and path of everything that was asked for. */
  readonly asked: string[];
  close(): void;
}

/** Serves the version `version` of the package `name`, with `files` (path in the package: content). */
export async function serveNuget(
  folder: string,
  { name, version, files }: { name: string; version: string; files: Readonly<Record<string, string>> },
): Promise<NugetFeed> {
  const host = 'api.nuget.org';
  const [key, certificate] = makeCertificate(folder, host);
  const nupkg = zipSync(Object.fromEntries(Object.entries(files).map(([path, content]) => [path, strToU8(content)])));
  const base = `/v3-flatcontainer/${name.toLowerCase()}`;
  const answers: Readonly<Record<string, object | Buffer>> = {
    '/v3/index.json': {
      resources: [{ '@type': 'PackageBaseAddress/3.0.0', '@id': `https://${host}/v3-flatcontainer/` }],
    },
    [`${base}/index.json`]: { versions: [version] },
    [`${base}/${version}/${name.toLowerCase()}.${version}.nupkg`]: Buffer.from(nupkg),
  };

  const asked: string[] = [];
  const server = createServer({ key, cert: certificate }, ({ url = '', headers }, response) => {
    asked.push(`${headers.host}${url}`);
    const answer = answers[url];
    if (Buffer.isBuffer(answer)) return response.end(answer);
    response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer ?? {}));
  });
  const proxy = createProxy().on('connect', (_request, socket: Socket, head: Buffer) => {
    const upstream = connect((server.address() as AddressInfo).port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      upstream.write(head);
      upstream.pipe(socket).pipe(upstream);
    });
    for (const one of [socket, upstream]) one.on('error', () => (socket.destroy(), upstream.destroy()));
  });
  for (const one of [server, proxy]) await once(one.listen(0, '127.0.0.1'), 'listening');
  return {
    proxyUrl: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    certificate,
    asked,
    close: () => {
      for (const one of [server, proxy]) one.close();
      server.closeAllConnections();
    },
  };
}

function makeCertificate(folder: string, host: string): readonly [key: string, certificate: string] {
  const [key, certificate] = ['feed.key', 'feed.pem'].map((name) => join(folder, name));
  // Behind a proxy global-agent, which fetches the package, holds the certificate against "localhost".
  const names = `subjectAltName=DNS:${host},DNS:localhost`;
  const subject = ['-subj', `/CN=${host}`, '-addext', names, '-days', '1'];
  const pair = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const { status, stderr } = spawnSync(
    'openssl',
    ['req', '-x509', ...pair, ...subject, '-keyout', key, '-out', certificate],
    {
      encoding: 'utf8',
    },
  );
  if (status !== 0) throw new Error(`openssl: ${stderr}`);
  return [readFileSync(key, 'utf8'), readFileSync(certificate, 'utf8')];
}
