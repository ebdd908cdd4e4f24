/** The one file that knows ONNX Runtime. `session.run` blocks its thread and cannot be ended: only network-main.ts runs it. */
import { availableParallelism } from 'node:os';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { ConfigurationError } from '../errors.ts';
import { RefusalError } from '../prediction/refusals.ts';
import type { Bundle, Samples } from './bundle.ts';
import type { Provider } from './providers.ts';

export interface ModelOutput {
  readonly logit: number;
  /** Calibrated, at the prevalence of the calibration cohort, 0..1. */
  readonly probability: number;
  /** HU on the model grid, `[slice][row][column]`. */
  readonly followUpHu: Float32Array;
  /** Relative, sums to 1; shape of the bundle's metadata. */
  readonly attention: Float32Array;
  readonly oodScore: number;
}

export class OnnxModel {
  readonly executionProvider: string;
  readonly #session: InferenceSession;
  readonly #bundle: Bundle;

  private constructor(session: InferenceSession, bundle: Bundle, executionProvider: string) {
    this.#session = session;
    this.#bundle = bundle;
    this.executionProvider = executionProvider;
  }

  /** Loads the network on the provider and proves it with the bundle's golden vector. Throws ConfigurationError. */
  static async open(bundle: Bundle, provider: Provider): Promise<OnnxModel> {
    const session = await InferenceSession.create(bundle.modelFile, {
      executionProviders: [provider],
      // One core stays with the event loop.
      intraOpNumThreads: Math.max(1, Math.min(8, availableParallelism() - 1)),
      interOpNumThreads: 1,
      logSeverityLevel: 3,
    });
    const model = new OnnxModel(session, bundle, provider);
    await model.#prove();
    return model;
  }

  /**
   * Runs the network once. `image`: HU on the model grid. Throws RefusalError('model-output-invalid') for values that are not
   * finite or out of range.
   */
  async run(image: Float32Array): Promise<ModelOutput> {
    const { shape } = this.#bundle.input;
    const results = await this.#session.run({ image: new Tensor('float32', image, [1, ...shape]) });
    const read = (name: string): Float32Array => results[name].data as Float32Array;
    const output: ModelOutput = {
      logit: read('logit')[0],
      probability: read('probability')[0],
      followUpHu: read('follow_up'),
      attention: read('attention'),
      oodScore: read('ood_score')[0],
    };
    this.#assertValid(output);
    return output;
  }

  #assertValid(output: ModelOutput): void {
    const [low, high] = this.#bundle.followUpRangeHu;
    const refuse = (quantity: string): never => {
      throw new RefusalError(
        'model-output-invalid',
        `The network returned a value of ${quantity} that cannot be right; no number is given.`,
        { quantity },
      );
    };
    if (!Number.isFinite(output.logit)) refuse('logit');
    if (!(output.probability >= 0 && output.probability <= 1)) refuse('probability');
    if (!Number.isFinite(output.oodScore)) refuse('ood_score');
    if (!output.followUpHu.every((hu) => hu >= low && hu <= high)) refuse('follow_up');
    if (!output.attention.every((weight) => weight >= 0 && weight <= 1)) refuse('attention');
  }

  async #prove(): Promise<void> {
    const { startCheck } = this.#bundle;
    const output = await this.run(startCheck.image);
    const size = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1);
    for (const [name, values, shape] of [
      ['follow_up', output.followUpHu, this.#bundle.input.shape],
      ['attention', output.attention, this.#bundle.attentionShape],
    ] as const) {
      if (values.length === size(shape)) continue;
      throw new ConfigurationError(
        `The network's ${name} has ${values.length} values; configs/metadata.json says ${shape.join(' x ')}.`,
      );
    }
    const { tolerance } = startCheck;
    const off: Record<keyof typeof tolerance, number> = {
      logit: Math.abs(output.logit - startCheck.logit),
      probability: Math.abs(output.probability - startCheck.probability),
      oodScore: Math.abs(output.oodScore - startCheck.oodScore),
      followUpHu: worst(output.followUpHu, startCheck.followUpSamples),
      attention: worst(output.attention, startCheck.attentionSamples),
    };
    const wrong = (Object.keys(tolerance) as (keyof typeof tolerance)[]).filter(
      (name) => !(off[name] <= tolerance[name]),
    );
    if (wrong.length > 0) {
      const most = wrong.map((name) => `${name} off by ${off[name]}`).join(', ');
      throw new ConfigurationError(
        `The network does not reproduce its golden vector on "${this.executionProvider}" (${most}).`,
      );
    }
  }
}

/** Largest difference to the samples; NaN where one lies beyond the values. */
function worst(values: Float32Array, samples: Samples): number {
  return Math.max(...samples.map(([index, value]) => Math.abs(values[index] - value)));
}
