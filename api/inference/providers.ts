/** Which ONNX Runtime execution provider may run the network on this machine, and why another one may not. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';

/** Fastest first: the order in which `auto` tries them. */
export const PROVIDERS = ['cuda', 'webgpu', 'cpu'] as const;
export type Provider = (typeof PROVIDERS)[number];

export interface ProviderChoice {
  readonly provider: 'auto' | Provider;
  /** WebGPU on a Vulkan driver that computes on the CPU (SwiftShader, lavapipe): for tests. */
  readonly softwareAdapter?: boolean;
}

/** A provider that was not taken, with the reason in words for an administrator. */
export interface PassedOver {
  readonly provider: Provider;
  readonly reason: string;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** What a process needs to see of the environment to run a provider; null with a reason where it cannot. */
export type Prospect =
  | { readonly env: Environment; /** As reported. */ readonly executionProvider: string; readonly reason: null }
  | { readonly env: null; readonly executionProvider: null; readonly reason: string };

/** Variables that drivers and their loaders read; nothing else of the service's environment goes to the network's process. */
const PASSED_ON =
  /^(PATH|HOME|LANG|TZ|TMPDIR|LD_LIBRARY_PATH|XDG_\w+|(CUDA|CUDNN|NVIDIA|VK|DISABLE_LAYER|MESA|AMD|INTEL)_\w+)$/;

export function candidates({ provider }: ProviderChoice): readonly Provider[] {
  return provider === 'auto' ? PROVIDERS : [provider];
}

/** Cheap checks before a process is started; a driver that is installed without a device is found out by starting it. */
export function assessProvider(provider: Provider, choice: ProviderChoice, environment: Environment): Prospect {
  // Ten bits of mantissa instead of 23 would not reproduce the golden vector: NVIDIA's libraries are told to keep to float32.
  const exact = { NVIDIA_TF32_OVERRIDE: '0' };
  const passedOn = Object.entries(environment).filter(([key]) => PASSED_ON.test(key));
  const env = { ...exact, ...Object.fromEntries(passedOn) };
  const not = (reason: string): Prospect => ({ env: null, executionProvider: null, reason });
  switch (provider) {
    case 'cpu':
      return { env, executionProvider: 'cpu', reason: null };
    case 'cuda':
      return existsSync(join(runtimeDirectory(), 'libonnxruntime_providers_cuda.so'))
        ? { env, executionProvider: 'cuda', reason: null }
        : not('This installation has no CUDA libraries of ONNX Runtime (docs/deploy.md says how to add them).');
    case 'webgpu': {
      const software = choice.softwareAdapter === true;
      const drivers = vulkanDrivers(environment).filter((driver) => driver.software === software);
      if (drivers.length === 0) {
        return not(
          software
            ? 'No Vulkan software adapter was found; name its manifest in VK_ICD_FILENAMES.'
            : 'No Vulkan driver of a GPU is installed; software adapters are not used.',
        );
      }
      const files = drivers.map(({ manifest }) => manifest).join(':');
      // Only these are offered to the loader: what is reported is what can have run.
      const offered = { ...env, VK_DRIVER_FILES: files, VK_ICD_FILENAMES: files };
      return { env: offered, executionProvider: software ? 'webgpu (software adapter)' : 'webgpu', reason: null };
    }
  }
}

/** Where onnxruntime-node keeps the libraries of this platform. */
function runtimeDirectory(): string {
  const entry = createRequire(import.meta.url).resolve('onnxruntime-node');
  return join(dirname(entry), '../bin/napi-v6', process.platform, process.arch);
}

interface VulkanDriver {
  readonly manifest: string;
  readonly software: boolean;
}

/** Mesa's lavapipe (lvp, llvmpipe) and Google's SwiftShader. */
const SOFTWARE = /lvp|llvmpipe|lavapipe|swrast|swiftshader/i;

/** The drivers that the Vulkan loader would find (LoaderDriverInterface.md, "Driver Discovery" on Linux). */
export function vulkanDrivers(environment: Environment): readonly VulkanDriver[] {
  const named = environment.VK_DRIVER_FILES ?? environment.VK_ICD_FILENAMES;
  const home = environment.HOME ?? '';
  const folders = [
    environment.XDG_CONFIG_HOME ?? join(home, '.config'),
    ...(environment.XDG_CONFIG_DIRS ?? '/etc/xdg').split(':'),
    '/etc',
    environment.XDG_DATA_HOME ?? join(home, '.local/share'),
    ...(environment.XDG_DATA_DIRS ?? '/usr/local/share:/usr/share').split(':'),
  ];
  const paths = named?.split(':') ?? folders.map((folder) => join(folder, 'vulkan/icd.d'));
  return paths.flatMap(listManifests).map((manifest) => ({
    manifest,
    software: SOFTWARE.test(`${basename(manifest)} ${libraryOf(manifest)}`),
  }));
}

function listManifests(path: string): string[] {
  if (path.endsWith('.json')) return existsSync(path) ? [path] : [];
  if (!existsSync(path)) return [];
  return readdirSync(path)
    .filter((name) => name.endsWith('.json'))
    .map((name) => join(path, name));
}

/** A manifest that cannot be read is one the loader cannot use either. */
function libraryOf(manifest: string): string {
  try {
    const content = JSON.parse(readFileSync(manifest, 'utf8')) as { ICD?: { library_path?: string } };
    return content.ICD?.library_path ?? '';
  } catch {
    return '';
  }
}
