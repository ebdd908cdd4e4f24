/** The Card of CDS Hooks 2.0.1 ("Card Attributes"), as far as this service uses it. */
import { createHash } from 'node:crypto';
import type { Coding } from './value-sets.ts';

export interface CardLink {
  readonly label: string;
  readonly url: string;
  readonly type: 'smart';
  /** JSON; the app treats it as untrusted and checks the patient again. */
  readonly appContext: string;
}

export interface Card {
  readonly uuid: string;
  /** Less than 140 characters. */
  readonly summary: string;
  /** GitHub Flavored Markdown. */
  readonly detail: string;
  /** Never `critical`: a model alone stops no one. */
  readonly indicator: 'info' | 'warning';
  readonly source: { readonly label: string; readonly url: string; readonly topic: Coding };
  readonly links: readonly CardLink[];
  readonly overrideReasons?: readonly Required<Coding>[];
}

/** A UUID (version 8, RFC 9562 5.8) of what a card says in one call: the same call repeated is the same card. */
export function cardUuid(...parts: readonly string[]): string {
  const hex = createHash('sha256').update(parts.join('\n')).digest('hex');
  const variant = ((Number.parseInt(hex[16], 16) & 0x3) | 0x8).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
