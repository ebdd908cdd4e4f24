/** Messages between the reading worker and the process that runs the network. */
import type { RefusalCode, RefusalDetails } from '../prediction/refusals.ts';
import type { ModelOutput } from './onnx-model.ts';

export interface ToNetwork {
  readonly image: Float32Array;
}

export type FromNetwork =
  | { readonly kind: 'ready' }
  | { readonly kind: 'unusable'; readonly message: string }
  | { readonly kind: 'output'; readonly output: ModelOutput }
  | {
      readonly kind: 'refused';
      readonly code: RefusalCode;
      readonly message: string;
      readonly details: RefusalDetails;
    }
  | { readonly kind: 'failed'; readonly message: string };
