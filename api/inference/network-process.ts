/**
 * The network in a process of its own: a run of ONNX Runtime cannot be cancelled, and a thread that is ended inside one takes its
 * process with it. Only the image on the model grid and the outputs pass between the two (about 3 MB a run).
 */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { ConfigurationError } from '../errors.ts';
import { RefusalError } from '../prediction/refusals.ts';
import type { FromNetwork, ToNetwork } from './network-protocol.ts';
import type { ModelOutput } from './onnx-model.ts';
import { assessProvider, candidates } from './providers.ts';
import type { Environment, PassedOver, Provider, ProviderChoice } from './providers.ts';

/** Longest time to load the network and to prove it, ms: a driver may hang, too. */
const START_MS = 120_000;

export class NetworkProcess {
  readonly executionProvider: string;
  readonly #child: ChildProcess;
  #pending: { resolve(output: ModelOutput): void; reject(error: Error): void } | undefined;

  private constructor(child: ChildProcess, executionProvider: string) {
    this.#child = child;
    this.executionProvider = executionProvider;
    child.on('message', (message: FromNetwork) => this.#settle(message));
    child.once('exit', () => this.#pending?.reject(new Error('The process of the network ended.')));
  }

  /**
   * Starts the network on the first provider that reproduces the golden vector.
   * Throws ConfigurationError that says of each candidate why not. `ending` kills it on its way.
   */
  static async start(
    bundleDirectory: string,
    choice: ProviderChoice,
    environment: Environment = process.env,
    ending?: AbortSignal,
  ): Promise<{ readonly network: NetworkProcess; readonly passedOver: readonly PassedOver[] }> {
    const passedOver: PassedOver[] = [];
    for (const provider of candidates(choice)) {
      if (ending?.aborted) break;
      const { env, executionProvider, reason } = assessProvider(provider, choice, environment);
      if (env === null) {
        passedOver.push({ provider, reason });
        continue;
      }
      try {
        const child = await startOn(provider, bundleDirectory, env, ending);
        return { network: new NetworkProcess(child, executionProvider), passedOver };
      } catch (error) {
        passedOver.push({ provider, reason: (error as Error).message });
      }
    }
    const reasons = passedOver.map(({ provider, reason }) => `${provider}: ${reason}`).join(' ');
    throw new ConfigurationError(`The network cannot run with HEMOCAST_PROVIDER=${choice.provider}. ${reasons}`);
  }

  /** One run at a time. Throws RefusalError, and Error where the run failed or the process ended. */
  run(image: Float32Array): Promise<ModelOutput> {
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject };
      this.#child.send({ image } satisfies ToNetwork);
    });
  }

  onEnd(listener: () => void): void {
    this.#child.once('exit', listener);
  }

  /** Ends it at once, in whatever it does. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #settle(message: FromNetwork): void {
    const pending = this.#pending;
    this.#pending = undefined;
    switch (message.kind) {
      case 'output':
        return pending?.resolve(message.output);
      case 'refused':
        return pending?.reject(new RefusalError(message.code, message.message, message.details));
      case 'failed':
        return pending?.reject(new Error(message.message));
    }
  }
}

/** Resolves with a process whose network is proven. */
async function startOn(
  provider: Provider,
  bundleDirectory: string,
  env: Environment,
  ending?: AbortSignal,
): Promise<ChildProcess> {
  const child = fork(new URL('./network-main.ts', import.meta.url), [bundleDirectory, provider], {
    serialization: 'advanced',
    execArgv: [],
    env: env as NodeJS.ProcessEnv,
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'], // what matters comes as messages
  });
  const kill = (): void => void child.kill('SIGKILL');
  let timer: NodeJS.Timeout | undefined;
  ending?.addEventListener('abort', kill, { once: true });
  try {
    await new Promise<void>((resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`It was not ready within ${START_MS / 1000} s.`)), START_MS);
      child.once('error', reject);
      child.once('exit', (code, signal) => reject(new Error(`Its process ended (${signal ?? `code ${code}`}).`)));
      child.once('message', (message: FromNetwork) =>
        message.kind === 'unusable' ? reject(new Error(message.message)) : resolve(),
      );
    });
    return child;
  } catch (error) {
    kill();
    throw error;
  } finally {
    clearTimeout(timer);
    ending?.removeEventListener('abort', kill);
    child.removeAllListeners();
  }
}
