import type { ReactNode } from 'react';
import { ATTENTION_RGB, paintAttention } from './attention.ts';
import type { AttentionMap } from './attention.ts';
import { DARKER_RGB, DENSER_RGB, FULL_DIFFERENCE_HU, LEAST_DIFFERENCE_HU, paintDifference } from './difference.ts';
import type { CtPair } from './load-pair.ts';
import { sliceOf } from './panes.ts';
import type { Panes, Side } from './panes.ts';
import type { ViewState } from './view-state.ts';

/** Draws the difference in the slice's own matrix and lays it exactly over the generated slice. */
export function paintDifferenceOver(canvas: HTMLCanvasElement, pair: CtPair, panes: Panes, view: ViewState): void {
  if (!view.difference) return;
  paintOver(canvas, pair, panes, 'generated', (rgba) =>
    paintDifference(sliceOf(pair, 'initial', view.slice), sliceOf(pair, 'generated', view.slice), rgba),
  );
}

/** The same for the attention, over the initial slice: that is the image that was looked at. */
export function paintAttentionOver(
  canvas: HTMLCanvasElement,
  pair: CtPair,
  panes: Panes,
  view: ViewState,
  map: AttentionMap,
): void {
  if (!view.attention) return;
  paintOver(canvas, pair, panes, 'initial', (rgba) => paintAttention(map, pair.geometry, view.slice, rgba));
}

function paintOver(
  canvas: HTMLCanvasElement,
  pair: CtPair,
  panes: Panes,
  side: Side,
  paint: (rgba: Uint8ClampedArray) => void,
): void {
  const { rows, columns } = pair.geometry;
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext('2d')!;
  const image = context.createImageData(columns, rows);
  paint(image.data);
  context.putImageData(image, 0, 0);
  const { left, top, width, height } = panes.frame(side);
  Object.assign(canvas.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
}

const rgb = (color: readonly number[]): string => `rgb(${color.join(' ')})`;

interface AttentionLegendProps {
  /** Index of the slice that holds most of the attention. */
  readonly strongest: number;
  readonly onGo: (slice: number) => void;
}

/** The attention often lies in one or two slices: the legend names the strongest and leads there. */
export function AttentionLegend({ strongest, onGo }: AttentionLegendProps): ReactNode {
  return (
    <p className="legend">
      <span>
        <span className="swatch" style={{ background: rgb(ATTENTION_RGB) }} /> Where both tasks looked (relative)
      </span>
      <span>
        Strongest in{' '}
        <button type="button" className="link" onClick={() => onGo(strongest)}>
          slice {strongest + 1}
        </button>
        . It says where, not why.
      </span>
    </p>
  );
}

export function DifferenceLegend(): ReactNode {
  return (
    <p className="legend">
      <span>Generated minus initial:</span>
      <span>
        <span className="swatch" style={{ background: rgb(DARKER_RGB) }} /> −{FULL_DIFFERENCE_HU} HU or less (darker)
      </span>
      <span>
        <span className="swatch none" /> within ±{LEAST_DIFFERENCE_HU} HU: none
      </span>
      <span>
        <span className="swatch" style={{ background: rgb(DENSER_RGB) }} /> +{FULL_DIFFERENCE_HU} HU or more (denser)
      </span>
    </p>
  );
}
