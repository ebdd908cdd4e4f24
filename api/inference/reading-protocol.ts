/** Messages between the service's thread and the reading worker. */
import type { SeriesInput, SeriesReading } from '../assessment/ports.ts';
import type { RefusalCode, RefusalDetails } from '../prediction/refusals.ts';
import type { PassedOver, ProviderChoice } from './providers.ts';

export interface ReadingWorkerData {
  readonly bundleDirectory: string;
  readonly choice: ProviderChoice;
}

export type ToWorker =
  | { readonly kind: 'read'; readonly id: number; readonly input: SeriesInput }
  /** End the network at once, then the thread. */
  | { readonly kind: 'end' };

export type FromWorker =
  | { readonly kind: 'ready'; readonly executionProvider: string; readonly passedOver: readonly PassedOver[] }
  | { readonly kind: 'unusable'; readonly message: string }
  | { readonly kind: 'stage'; readonly id: number; readonly stage: string; readonly fraction: number }
  | { readonly kind: 'reading'; readonly id: number; readonly reading: SeriesReading }
  | {
      readonly kind: 'refused';
      readonly id: number;
      readonly code: RefusalCode;
      readonly message: string;
      readonly details: RefusalDetails;
    }
  | { readonly kind: 'failed'; readonly id: number; readonly message: string };
