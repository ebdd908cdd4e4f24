/**
 * The whole test suite: the checks of the tree, the TypeScript tests, the Python tests. On Debian as root it first installs
 * the real components the suites test against; elsewhere a suite whose component is absent is skipped and named.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const training = join(root, 'models/training');
const ci = process.env.CI === 'true';
const summary = [];
const skipped = [];
const totals = { passed: 0, failed: 0, skipped: 0 };

installComponents();
const python = preparePython();

for (const [name, script] of [
  ['generated types', 'generate:check'],
  ['types', 'typecheck'],
  ['lint', 'lint'],
  ['format', 'format:check'],
]) {
  check(name, spawnSync('npm', ['run', '--silent', script], { cwd: root, stdio: 'inherit' }).status === 0);
}
runJest();
runPytest();

console.log('\nSummary');
for (const line of summary) console.log(`  ${line}`);
if (skipped.length > 0) console.log(`  skipped: ${skipped.join('; ')}`);
if (ci && totals.skipped > 0) check('nothing skipped in CI', false);
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exit(totals.failed === 0 ? 0 : 1);

function check(name, ok) {
  summary.push(`${ok ? 'ok    ' : 'FAILED'} ${name}`);
  totals[ok ? 'passed' : 'failed'] += 1;
}

/** Debian packages of the real components, one apt-get call for all that are missing. */
function installComponents() {
  if (!existsSync('/etc/debian_version') || process.getuid?.() !== 0) return;
  const packages = readFileSync(join(root, 'scripts/debian-packages.txt'), 'utf8')
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '');
  const installed = spawnSync('dpkg-query', ['-W', '-f', '${db:Status-Abbrev} ${Package}\n', ...packages], {
    encoding: 'utf8',
  });
  const present = new Set(
    installed.stdout
      .split('\n')
      .filter((l) => l.startsWith('ii'))
      .map((l) => l.split(/\s+/)[1]),
  );
  const missing = packages.filter((name) => !present.has(name));
  if (missing.length === 0) return;
  console.log(`Installing ${missing.join(' ')} ...`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  spawnSync('apt-get', ['update', '-qq'], { stdio: ['ignore', 'ignore', 'inherit'], env });
  const options = ['-y', '-qq', '--no-install-recommends', '-o', 'Dpkg::Use-Pty=0'];
  const apt = spawnSync('apt-get', ['install', ...options, ...missing], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env,
  });
  if (apt.status !== 0) console.error('apt-get could not install every component.');
  // Debian starts these at once on all interfaces or a fixed port; the tests start their own on loopback.
  for (const service of ['orthanc', 'postgresql']) spawnSync('service', [service, 'stop'], { stdio: 'ignore' });
}

/** A virtual environment over Debian's PyTorch, with ONNX Runtime, SimpleITK, MONAI and pytest-xdist from PyPI; returns undefined where PyTorch is absent. */
function preparePython() {
  const system = '/usr/bin/python3';
  if (spawnSync(system, ['-c', 'import torch, pytest, nibabel, pydicom']).status !== 0) return undefined;
  const venv = join(training, '.venv');
  const interpreter = join(venv, 'bin/python3');
  // MONAI is looked for only: importing it takes seconds.
  const there = 'import onnxruntime, SimpleITK, torch, xdist, importlib.util as u; assert u.find_spec("monai")';
  if (spawnSync(interpreter, ['-c', there]).status === 0) return interpreter;
  console.log('Preparing the Python environment of models/training ...');
  spawnSync(system, ['-m', 'venv', '--clear', '--system-site-packages', venv], { stdio: 'inherit' });
  const requirements = join(training, 'requirements-test.txt');
  spawnSync(interpreter, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirements], {
    stdio: 'inherit',
  });
  return existsSync(interpreter) ? interpreter : undefined;
}

function runJest() {
  const report = join(mkdtempSync(join(tmpdir(), 'hemocast-test-')), 'jest.json');
  const args = ['run', '--silent', 'jest', '--', '--json', `--outputFile=${report}`, ...process.argv.slice(2)];
  const jest = spawnSync('npm', args, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
  if (!existsSync(report)) return check('TypeScript tests', false);
  const result = JSON.parse(readFileSync(report, 'utf8'));
  count(
    'TypeScript tests',
    result.numPassedTests,
    result.numFailedTests + result.numRuntimeErrorTestSuites,
    result.numPendingTests,
  );
  for (const suite of result.testResults) {
    for (const test of suite.assertionResults) {
      const component = test.ancestorTitles.join(' ').match(/\[skipped: no (.+?)\]/)?.[1];
      if (test.status === 'pending') note(component ? `TypeScript suites that need ${component}` : test.fullName);
    }
  }
  if (jest.status !== 0 && totals.failed === 0) check('Jest ended with an error', false);
}

function runPytest() {
  if (python === undefined) {
    if (ci) return check('Python tests: PyTorch and pytest of Debian are absent', false);
    totals.skipped += 1;
    return note('Python tests (python3-torch, python3-pytest, python3-nibabel or python3-pydicom is absent)');
  }
  // Files side by side, the tests of one file in order: they share what is dear to make.
  const args = ['-m', 'pytest', '-q', '-rs', '--no-header', '-n', '2', '--dist', 'loadfile'];
  const pytest = spawnSync(python, args, {
    cwd: training,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, OMP_NUM_THREADS: '1' },
  });
  process.stdout.write(pytest.stdout);
  const number = (word) => Number(pytest.stdout.match(new RegExp(`(\\d+) ${word}`))?.[1] ?? 0);
  count('Python tests', number('passed'), number('failed') + number('error'), number('skipped'));
  for (const [, reason] of pytest.stdout.matchAll(/^SKIPPED \[\d+\] (.+)$/gm)) note(`Python: ${reason}`);
  if (pytest.status !== 0 && number('failed') + number('error') === 0) check('pytest ended with an error', false);
}

function count(name, passed, failed, pending) {
  summary.push(`${failed === 0 ? 'ok    ' : 'FAILED'} ${name}: ${passed} passed, ${failed} failed, ${pending} skipped`);
  totals.passed += passed;
  totals.failed += failed;
  totals.skipped += pending;
}

function note(what) {
  if (!skipped.includes(what)) skipped.push(what);
}
