import type { ReactNode } from 'react';
import { DARKER_RGB, DENSER_RGB, FULL_DIFFERENCE_HU, LEAST_DIFFERENCE_HU, paintDifference } from './difference.ts';
import type { CtPair } from './load-pair.ts';
import { sliceOf } from './panes.ts';
import type { Panes } from './panes.ts';
import type { ViewState } from './view-state.ts';

/** Draws the difference in the slice's own matrix and lays it exactly over the generated slice. */
export function paintOverlay(canvas: HTMLCanvasElement, pair: CtPair, panes: Panes, view: ViewState): void {
  if (!view.difference) return;
  const { rows, columns } = pair.geometry;
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext('2d')!;
  const image = context.createImageData(columns, rows);
  paintDifference(sliceOf(pair, 'initial', view.slice), sliceOf(pair, 'generated', view.slice), image.data);
  context.putImageData(image, 0, 0);
  const { left, top, width, height } = panes.frame('generated');
  Object.assign(canvas.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
}

export function DifferenceLegend(): ReactNode {
  const rgb = (color: readonly number[]): string => `rgb(${color.join(' ')})`;
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
