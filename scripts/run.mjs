/**
 * What `npm start`, `npm test` and `npm run predict` do: install what is missing, then run on a Node that the service
 * supports. Plain JavaScript, because a fresh clone has neither the dependencies nor (perhaps) a new enough Node.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, lstatSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { appIsStale } from './smart-app.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const [task, ...args] = process.argv.slice(2);
const quiet = ['--disable-warning=ExperimentalWarning'];
/** MiB; half of what Node lets them grow to. What it is worth: docs/performance.md. */
const semiSpaces = '--max-semi-space-size=32';

installDependencies();
const node = findNode();
const binaries = [dirname(node), join(root, 'node_modules/.bin')];
const env = { ...process.env, PATH: [...binaries, process.env.PATH].join(':') };

switch (task) {
  case 'start':
    buildSmartApp();
    exit(await run(node, [...quiet, semiSpaces, join(root, 'api/main.ts'), ...args]));
    break;
  case 'predict':
    exit(await run(node, [...quiet, join(root, 'api/cli.ts'), 'predict', ...args], process.env.INIT_CWD));
    break;
  case 'hemocast':
    exit(await run(node, [...quiet, join(root, 'api/cli.ts'), ...args], process.env.INIT_CWD));
    break;
  case 'test':
    buildSmartApp();
    exit(await run(node, [join(root, 'scripts/test.mjs'), ...args]));
    break;
  default:
    console.error(`run.mjs: "${task}" is not one of start, predict, hemocast, test`);
    exit(2);
}

/** `npm ci` when node_modules is absent or older than the lockfile. */
function installDependencies() {
  const installed = join(root, 'node_modules/.package-lock.json');
  const lockfile = join(root, 'package-lock.json');
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lockfile).mtimeMs) return;
  if (lstatSync(join(root, 'node_modules'), { throwIfNoEntry: false })?.isSymbolicLink()) {
    console.error(
      'hemocast: node_modules is a symbolic link; npm ci would empty the folder it leads to. Remove the link.',
    );
    exit(1);
  }
  console.error('hemocast: installing dependencies (npm ci) ...');
  // onnxruntime-node would otherwise fetch CUDA libraries from outside the npm registry.
  const environment = { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' };
  const npm = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    env: environment,
    stdio: ['ignore', 2, 2],
  });
  if (npm.status !== 0) exit(npm.status ?? 1);
}

/** `npm run build` when the app's sources are newer than what was built from them. */
function buildSmartApp() {
  if (!appIsStale()) return;
  console.error('hemocast: building the app (vite build) ...');
  const vite = join(root, 'node_modules/vite/bin/vite.js');
  const options = ['build', 'smart-app', '--logLevel', 'error'];
  const build = spawnSync(node, [vite, ...options], {
    cwd: root,
    env: { ...env, NODE_ENV: 'production' },
    stdio: ['ignore', 2, 2],
  });
  if (build.status !== 0) exit(build.status ?? 1);
}

/** The Node of node_modules on linux-x64, else the running one if it is new enough. */
function findNode() {
  const bundled = join(root, 'node_modules/.bin/node');
  if (existsSync(bundled)) return bundled;
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > 22 || (major === 22 && minor >= 18)) return process.execPath;
  const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  console.error(
    `hemocast needs Node ${engines.node}; this is ${process.versions.node}. Install a newer Node and try again.`,
  );
  return exit(1);
}

/** Runs a child with this terminal, hands it the signals that this process gets, and returns its exit code. */
function run(command, commandArgs, cwd = root) {
  return new Promise((resolveCode) => {
    const child = spawn(command, commandArgs, { cwd, env, stdio: 'inherit' });
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
    child.on('error', (error) => {
      console.error(`hemocast: ${error.message}`);
      resolveCode(1);
    });
    child.on('exit', (code) => resolveCode(code ?? 130));
  });
}

function exit(code) {
  process.exit(code);
}
