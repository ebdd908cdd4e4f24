/** On what the network runs: the fastest provider that proves itself, never a software adapter by accident, and always said. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { loadBundle } from '../../api/inference/bundle.ts';
import { NetworkProcess } from '../../api/inference/network-process.ts';
import { assessProvider, vulkanDrivers } from '../../api/inference/providers.ts';
import { describeWith, SWIFTSHADER } from '../support/components.ts';

const small = join(import.meta.dirname, 'bundles/small');
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'hemocast-vulkan-'));
  mkdirSync(join(folder, 'vulkan/icd.d'), { recursive: true });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const manifest = (name: string, library: string): string => {
  const path = join(folder, 'vulkan/icd.d', name);
  writeFileSync(path, JSON.stringify({ file_format_version: '1.0.0', ICD: { library_path: library } }));
  return path;
};
/** An environment in which the loader looks nowhere but there. */
const only = (more: Record<string, string> = {}): Record<string, string> => ({
  PATH: process.env.PATH ?? '',
  HOME: join(folder, 'nobody'),
  XDG_DATA_DIRS: folder,
  ...more,
});

describe('The choice of a provider', () => {
  it('knows a GPU’s Vulkan driver from software that stands in for one', () => {
    const gpu = manifest('nvidia_icd.json', 'libGLX_nvidia.so.0');
    const software = [
      manifest('lvp_icd.x86_64.json', '/usr/lib/x86_64-linux-gnu/libvulkan_lvp.so'),
      manifest('vk_swiftshader_icd.json', './libvk_swiftshader.so'),
      manifest('renamed.json', '/opt/libvk_swiftshader.so'),
    ];
    const drivers = vulkanDrivers(only());
    expect(drivers.filter((driver) => !driver.software).map((driver) => driver.manifest)).toEqual([gpu]);
    expect(
      drivers
        .filter((driver) => driver.software)
        .map((driver) => driver.manifest)
        .sort(),
    ).toEqual(software.sort());

    const { env } = assessProvider('webgpu', { provider: 'auto' }, only());
    expect(env).toMatchObject({ VK_DRIVER_FILES: gpu, VK_ICD_FILENAMES: gpu });
    const named = only({ VK_ICD_FILENAMES: software.join(':') });
    expect(assessProvider('webgpu', { provider: 'webgpu' }, named)).toMatchObject({
      env: null,
      reason: expect.stringMatching(/No Vulkan driver of a GPU/),
    });
  });

  it('gives the process of the network no credential of the service', () => {
    const secrets = { API_TOKEN: 'canary', EHR_TOKEN: 'canary', PACS_TOKEN: 'canary', DATABASE_URL: 'canary' };
    const { env } = assessProvider('cpu', { provider: 'auto' }, only({ ...secrets, CUDA_VISIBLE_DEVICES: '0' }));
    expect(JSON.stringify(env)).not.toContain('canary');
    expect(env).toMatchObject({ CUDA_VISIBLE_DEVICES: '0' });
  });

  it('tells NVIDIA’s libraries to compute in float32, unless the operator says otherwise', () => {
    const tf32 = (set: Record<string, string>) => assessProvider('cpu', { provider: 'auto' }, only(set)).env;
    expect(tf32({})).toMatchObject({ NVIDIA_TF32_OVERRIDE: '0' });
    expect(tf32({ NVIDIA_TF32_OVERRIDE: '1' })).toMatchObject({ NVIDIA_TF32_OVERRIDE: '1' });
  });

  it('falls to the CPU where there is no GPU, and says of each other one why', async () => {
    rmSync(join(folder, 'vulkan/icd.d/nvidia_icd.json'), { force: true });
    const { network, passedOver } = await NetworkProcess.start(small, { provider: 'auto' }, only());
    network.kill();
    expect(network.executionProvider).toBe('cpu');
    expect(passedOver).toEqual([
      { provider: 'cuda', reason: expect.stringMatching(/no CUDA libraries/) },
      { provider: 'webgpu', reason: expect.stringMatching(/No Vulkan driver of a GPU is installed/) },
    ]);
  }, 30_000);

  it('falls to the CPU where a GPU’s driver is installed and no GPU is there', async () => {
    manifest('radeon_icd.json', join(folder, 'libvulkan_radeon.so'));
    const { network, passedOver } = await NetworkProcess.start(small, { provider: 'auto' }, only());
    network.kill();
    expect(network.executionProvider).toBe('cpu');
    expect(passedOver[1]).toEqual({ provider: 'webgpu', reason: expect.stringMatching(/adapter/) });
  }, 30_000);

  it.each([
    ['cuda', /HEMOCAST_PROVIDER=cuda.*no CUDA libraries/],
    ['webgpu', /HEMOCAST_PROVIDER=webgpu.*adapter/],
  ] as const)(
    'refuses to start on %s where that was named and does not work',
    async (provider, message) => {
      await expect(NetworkProcess.start(small, { provider }, only())).rejects.toMatchObject({
        name: 'ConfigurationError',
        message: expect.stringMatching(message),
      });
    },
    30_000,
  );
});

describeWith('SwiftShader', 'The network on WebGPU', () => {
  it('is the shipped one, proven with its golden vector', async () => {
    const environment = only({ VK_ICD_FILENAMES: SWIFTSHADER });
    const shipped = join(import.meta.dirname, '../../models/hemocast-tiny');
    const { network } = await NetworkProcess.start(shipped, { provider: 'webgpu', softwareAdapter: true }, environment);
    network.kill();
    expect(network.executionProvider).toBe('webgpu (software adapter)');
  }, 180_000);

  it('is passed over for the CPU where it computes something else than the golden vector', async () => {
    const bundle = join(import.meta.dirname, 'bundles/other-on-webgpu');
    const environment = only({ VK_ICD_FILENAMES: SWIFTSHADER });
    const { network, passedOver } = await NetworkProcess.start(
      bundle,
      { provider: 'auto', softwareAdapter: true },
      environment,
    );
    network.kill();
    expect(network.executionProvider).toBe('cpu');
    expect(passedOver[1]).toEqual({
      provider: 'webgpu',
      reason: expect.stringMatching(/does not reproduce its golden vector on "webgpu" \(.*off by/),
    });
  }, 60_000);

  it('reproduces its golden vector and what the CPU says, on a software adapter that was asked for', async () => {
    const image = loadBundle(small).startCheck.image.map((hu, at) => hu + 7 * Math.sin(at / 40));
    const onWebgpu = await NetworkProcess.start(
      small,
      { provider: 'webgpu', softwareAdapter: true },
      only({ VK_ICD_FILENAMES: SWIFTSHADER }),
    );
    const onCpu = await NetworkProcess.start(small, { provider: 'cpu' }, only());
    try {
      expect(onWebgpu.network.executionProvider).toBe('webgpu (software adapter)');
      const [gpu, cpu] = [await onWebgpu.network.run(image), await onCpu.network.run(image)];
      expect(gpu.logit).toBeCloseTo(cpu.logit, 4);
      const apart = (name: 'followUpHu' | 'attention'): number =>
        gpu[name].reduce((most, value, at) => Math.max(most, Math.abs(value - cpu[name][at])), 0);
      expect(apart('followUpHu')).toBeLessThan(1e-3); // HU
      expect(apart('attention')).toBeLessThan(1e-6);
      expect(gpu.followUpHu.some((hu, at) => Math.abs(hu - image[at]) > 1)).toBe(true);
    } finally {
      onWebgpu.network.kill();
      onCpu.network.kill();
    }
  }, 60_000);
});
