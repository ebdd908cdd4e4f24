/**
 * Real components that some suites need. Absent ones are named and skipped; with CI=true an absent component is a failure,
 * because a skipped suite would let a broken adapter through.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, it } from '@jest/globals';
import { onPath, repositoryRoot } from './paths.ts';

export { onPath, repositoryRoot };

/** Folder of public CT and test data (data/ beside this checkout's shared folder); HEMOCAST_TEST_DATA overrides. */
export const testDataDir = process.env.HEMOCAST_TEST_DATA ?? resolve(repositoryRoot, '../shared/data');

/** The newest PostgreSQL server binaries of Debian (they are not on PATH). */
export function postgresqlBin(): string | undefined {
  return ['18', '17', '16', '15', '14']
    .map((v) => `/usr/lib/postgresql/${v}/bin`)
    .find((dir) => existsSync(join(dir, 'postgres')));
}

/** A Vulkan driver that computes on the CPU, of Debian's chromium: stands in for a GPU. */
export const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json';

const components = {
  'test data': () => existsSync(join(testDataDir, 'ge_hispeed_head_tilt')),
  Orthanc: () => onPath('Orthanc') !== undefined,
  PostgreSQL: () => postgresqlBin() !== undefined,
  Chromium: () => onPath('chromium') !== undefined,
  dcmtk: () => onPath('dcmdump') !== undefined,
  SwiftShader: () => existsSync(SWIFTSHADER) && existsSync('/lib/x86_64-linux-gnu/libvulkan.so.1'),
  'mount namespaces': () => spawnSync('unshare', ['--mount', 'true']).status === 0,
  dicom3tools: () => onPath('dciodvfy') !== undefined,
} as const;

export type Component = keyof typeof components;

export function isPresent(component: Component): boolean {
  return components[component]();
}

/** `it` that needs a component more than its suite; as `describeWith`. */
export function itWith(component: Component, name: string, test: () => Promise<void>, timeoutMs: number): void {
  if (isPresent(component)) {
    it(name, test, timeoutMs);
  } else if (process.env.CI === 'true') {
    throw new Error(`CI needs ${component}, which is not installed here (test "${name}").`);
  } else {
    it.skip(`${name} [skipped: no ${component}]`, test);
  }
}

/** `describe` that needs a component: skipped and named where it is absent, a failure when CI=true. */
export function describeWith(component: Component, name: string, suite: () => void): void {
  if (isPresent(component)) {
    describe(name, suite);
  } else if (process.env.CI === 'true') {
    throw new Error(`CI needs ${component}, which is not installed here (suite "${name}").`);
  } else {
    describe.skip(`${name} [skipped: no ${component}]`, suite);
  }
}
