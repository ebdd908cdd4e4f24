/** The viewer's keys. Pure. */
import type { PresetName, ViewAction } from './view-state.ts';

const PRESET_KEYS: Readonly<Record<string, PresetName>> = { 1: 'Brain', 2: 'Stroke', 3: 'Subdural', 4: 'Bone' };

/** What of a KeyboardEvent decides. */
export interface Key {
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
}

/** The action of a key, or undefined for keys that are not the viewer's. */
export function keyAction(event: Key): ViewAction | undefined {
  if (event.ctrlKey || event.metaKey || event.altKey) return undefined;
  if (event.key in PRESET_KEYS) return { kind: 'preset', name: PRESET_KEYS[event.key] };
  switch (event.key) {
    case 'ArrowUp':
      return { kind: 'scroll', by: 1 }; // upward in the head
    case 'ArrowDown':
      return { kind: 'scroll', by: -1 };
    case 'PageUp':
      return { kind: 'scroll', by: 5 };
    case 'PageDown':
      return { kind: 'scroll', by: -5 };
    case 'Home':
      return { kind: 'slice', to: 0 };
    case 'End':
      return { kind: 'slice', to: Infinity };
    case '+':
    case '=':
      return { kind: 'zoom', factor: 1.25 };
    case '-':
      return { kind: 'zoom', factor: 0.8 };
    case 'd':
      return { kind: 'difference' };
    case 'a':
      return { kind: 'attention' };
    case 'r':
      return { kind: 'reset' };
    default:
      return undefined;
  }
}
