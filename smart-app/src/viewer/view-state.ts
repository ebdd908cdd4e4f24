/** One state for both panes: slice, window, zoom and pan cannot come apart. Pure. */
export interface Window {
  /** HU */
  readonly center: number;
  readonly width: number;
}

export interface ViewState extends Window {
  readonly slice: number;
  /** 1 = the slice fills the pane. */
  readonly zoom: number;
  /** Shift to the right and down, in widths of the pane. */
  readonly panX: number;
  readonly panY: number;
  readonly difference: boolean;
  readonly attention: boolean;
}

export type PresetName = 'Brain' | 'Stroke' | 'Subdural' | 'Bone';

export const PRESETS: Readonly<Record<PresetName, Window>> = {
  Brain: { width: 80, center: 40 },
  Stroke: { width: 40, center: 40 },
  Subdural: { width: 200, center: 70 },
  Bone: { width: 1800, center: 400 },
};

export type ViewAction =
  | { readonly kind: 'slice'; readonly to: number }
  | { readonly kind: 'scroll'; readonly by: number }
  | { readonly kind: 'preset'; readonly name: PresetName }
  /** HU */
  | { readonly kind: 'window'; readonly byCenter: number; readonly byWidth: number }
  | { readonly kind: 'zoom'; readonly factor: number }
  /** Widths of the pane. */
  | { readonly kind: 'pan'; readonly byX: number; readonly byY: number }
  | { readonly kind: 'difference' }
  | { readonly kind: 'attention' }
  | { readonly kind: 'reset' };

const ZOOM = { min: 0.5, max: 12 } as const;
const WIDTH_HU = { min: 2, max: 4000 } as const;
const CENTER_HU = { min: -1000, max: 3000 } as const;

/** @param opening the slice to open at, 0-based */
export function initialView(opening: number): ViewState {
  return { slice: opening, ...PRESETS.Brain, zoom: 1, panX: 0, panY: 0, difference: false, attention: false };
}

export function reduceView(state: ViewState, action: ViewAction, slices: number, opening: number): ViewState {
  switch (action.kind) {
    case 'slice':
      return { ...state, slice: clamp(Math.round(action.to), 0, slices - 1) };
    case 'scroll':
      return { ...state, slice: clamp(state.slice + Math.round(action.by), 0, slices - 1) };
    case 'preset':
      return { ...state, ...PRESETS[action.name] };
    case 'window':
      return {
        ...state,
        center: Math.round(clamp(state.center + action.byCenter, CENTER_HU.min, CENTER_HU.max)),
        width: Math.round(clamp(state.width + action.byWidth, WIDTH_HU.min, WIDTH_HU.max)),
      };
    case 'zoom':
      return { ...state, zoom: clamp(state.zoom * action.factor, ZOOM.min, ZOOM.max) };
    case 'pan':
      return { ...state, panX: clamp(state.panX + action.byX, -6, 6), panY: clamp(state.panY + action.byY, -6, 6) };
    case 'difference':
      return { ...state, difference: !state.difference };
    case 'attention':
      return { ...state, attention: !state.attention };
    case 'reset':
      return initialView(opening);
  }
}

export function presetOf({ center, width }: Window): PresetName | undefined {
  return (Object.keys(PRESETS) as PresetName[]).find(
    (name) => PRESETS[name].center === center && PRESETS[name].width === width,
  );
}

/**
 * HU shown as black and as white (linear VOI LUT, PS3.3 C.11.2.1.2.1: from center - 0.5 - (width - 1) / 2 to
 * center - 0.5 + (width - 1) / 2).
 */
export function voiRange({ center, width }: Window): { lower: number; upper: number } {
  return { lower: center - 0.5 - (width - 1) / 2, upper: center - 0.5 + (width - 1) / 2 };
}

/** The slice with the most hyperdense volume; the middle one where there is none or it is not known. */
export function openingSlice(slices: number, hyperdenseMl: readonly number[] | null): number {
  const most = Math.max(0, ...(hyperdenseMl ?? []));
  return most > 0 ? hyperdenseMl!.indexOf(most) : Math.floor(slices / 2);
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
