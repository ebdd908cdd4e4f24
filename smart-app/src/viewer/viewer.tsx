/** Initial CT left, generated follow-up CT right, never the reverse and never one without the other. */
import { useEffect, useLayoutEffect, useReducer, useRef, useState } from 'react';
import type { KeyboardEvent, ReactNode } from 'react';
import { dateTimeText } from '../chart/fhir-text.ts';
import type { GeneratedImage } from '../chart/provenance.ts';
import type { Session } from '../session/launched.ts';
import { mostAttendedSlice } from './attention.ts';
import type { AttentionMap } from './attention.ts';
import { loadAttention } from './load-attention.ts';
import { AttentionLegend, DifferenceLegend, paintAttentionOver, paintDifferenceOver } from './overlay.tsx';
import { listenToPane } from './gestures.ts';
import { keyAction } from './keys.ts';
import { loadPair } from './load-pair.ts';
import type { CtPair } from './load-pair.ts';
import { Panes } from './panes.ts';
import type { Readout, Side } from './panes.ts';
import { rulerFor } from './ruler.ts';
import type { Ruler } from './ruler.ts';
import { PRESETS, initialView, openingSlice, presetOf, reduceView } from './view-state.ts';
import type { PresetName, ViewAction } from './view-state.ts';

interface Props {
  readonly session: Session;
  readonly studyReference: string;
  /** "RiskAssessment/<id>" */
  readonly forecastReference: string;
  /** Of the initial CT's study, dateTime. */
  readonly startedAt: string | undefined;
  readonly image: GeneratedImage;
}

export default function Viewer({ session, studyReference, image, ...rest }: Props): ReactNode {
  const [pair, setPair] = useState<CtPair>();
  const [attempt, setAttempt] = useState(1);
  const [percent, setPercent] = useState(0);
  const [failure, setFailure] = useState<{ attempt: number; words: string }>();
  useEffect(() => {
    let gone = false;
    setPercent(0);
    const onProgress = (share: number): void => void (gone || setPercent(Math.floor(100 * share)));
    loadPair(session, studyReference, image, onProgress).then(
      (loaded) => void (gone || setPair(loaded)),
      (error: unknown) => {
        const words = error instanceof Error ? error.message : 'The images cannot be shown.';
        if (!gone) setFailure({ attempt, words });
      },
    );
    return () => void (gone = true);
  }, [attempt]); // another image is another viewer, by its key
  if (pair !== undefined) {
    return <PairView pair={pair} session={session} takesFocus={attempt > 1} {...rest} />;
  }
  // The share is for the eye: read out, each step of it would interrupt.
  const loading = (
    <span>
      Loading both CTs … <span aria-hidden="true">{percent} %</span>
    </span>
  );
  // The button stays while it is tried: it has the focus.
  if (failure !== undefined) {
    const isTrying = failure.attempt !== attempt;
    return (
      <div className="viewer-note">
        <div>
          <p role="status">{isTrying ? loading : failure.words}</p>
          <button type="button" aria-disabled={isTrying} onClick={() => isTrying || setAttempt(attempt + 1)}>
            Try again
          </button>
        </div>
      </div>
    );
  }
  return (
    <p className="viewer-note" role="status">
      {loading}
    </p>
  );
}

type PairProps = Pick<Props, 'session' | 'forecastReference' | 'startedAt'> & {
  readonly pair: CtPair;
  /** Whether it comes in the place of a button that may have had the focus. */
  readonly takesFocus: boolean;
};

function PairView({ pair, session, takesFocus, forecastReference, startedAt }: PairProps): ReactNode {
  const studyAt = dateTimeText(startedAt);
  const { slices, hyperdenseMl } = pair.geometry;
  const opening = openingSlice(slices, hyperdenseMl);
  const [view, dispatch] = useReducer(
    (state: ReturnType<typeof initialView>, action: ViewAction) => reduceView(state, action, slices, opening),
    initialView(opening),
  );
  /** Where the pointer is over a pane: what lies under it changes with all that is drawn. */
  const pointer = useRef<{ side: Side; clientX: number; clientY: number }>(undefined);
  const [readout, setReadout] = useState<Readout & { side: Side }>();
  const [help, setHelp] = useState(false);
  const elements = { initial: useRef<HTMLDivElement>(null), generated: useRef<HTMLDivElement>(null) };
  const difference = useRef<HTMLCanvasElement>(null);
  const attention = useRef<HTMLCanvasElement>(null);
  const [attentionMap, setAttentionMap] = useState<AttentionMap | string>();
  const [ruler, setRuler] = useState<Ruler>();
  const [panes, setPanes] = useState<Panes>();
  const root = useRef<HTMLDivElement>(null);
  const hadFocus = useRef(false);
  const latest = useRef(view);
  latest.current = view;

  useEffect(() => {
    const [initial, generated] = [elements.initial.current!, elements.generated.current!];
    let opened: Panes | undefined;
    let gone = false;
    void Panes.open(pair, { initial, generated }).then((ready) => {
      opened = ready;
      if (gone) ready.close();
      else setPanes(ready);
    });
    const ends = [listenToPane(initial, dispatch), listenToPane(generated, dispatch)];
    return () => {
      gone = true;
      opened?.close();
      ends.forEach((end) => end());
    };
  }, [pair]);

  useLayoutEffect(() => {
    if (takesFocus && document.activeElement === document.body) root.current!.focus({ preventScroll: true });
  }, [takesFocus]);

  // A button that goes with what it belonged to leaves the keys to the viewer.
  useLayoutEffect(() => {
    if (hadFocus.current && document.activeElement === document.body) root.current!.focus({ preventScroll: true });
  });

  const readPointer = (): void => {
    const at = pointer.current;
    const found = at && panes?.readout(at.side, at.clientX, at.clientY);
    setReadout(found && { ...found, side: at.side });
  };

  // Once both CTs are drawn: the button is seen only where there is something to show.
  useEffect(() => {
    if (panes === undefined) return;
    let gone = false;
    loadAttention(session, pair.geometry, forecastReference).then(
      (map) => void (gone || setAttentionMap(map)),
      (error: unknown) =>
        void (gone || setAttentionMap(error instanceof Error ? error.message : 'The attention cannot be shown.')),
    );
    return () => void (gone = true);
  }, [panes]);

  useEffect(() => {
    if (panes === undefined) return;
    let gone = false;
    const draw = async (): Promise<void> => {
      await panes.show(latest.current);
      if (gone || elements.initial.current === null) return; // taken off the screen meanwhile
      paintDifferenceOver(difference.current!, pair, panes, latest.current);
      if (typeof attentionMap === 'object') {
        paintAttentionOver(attention.current!, pair, panes, latest.current, attentionMap);
      }
      const mm = pair.geometry.columns * pair.geometry.columnSpacingMm;
      setRuler(rulerFor(panes.frame('initial').width / mm, elements.initial.current.clientWidth));
      readPointer();
    };
    const drawUnlessGone = (): void =>
      void draw().catch((error: unknown) => {
        if (!gone && elements.initial.current !== null) throw error; // what was closed meanwhile cannot be drawn
      });
    drawUnlessGone();
    const resized = new ResizeObserver(drawUnlessGone);
    resized.observe(elements.initial.current!);
    return () => {
      gone = true;
      resized.disconnect();
    };
  }, [panes, view, pair, attentionMap]);

  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === '?') return setHelp(!help);
    const action = keyAction(event);
    if (action === undefined) return;
    event.preventDefault();
    dispatch(action);
  };
  const preset = presetOf(view);
  const pane = (side: Side, overlay: ReactNode, strip: ReactNode): ReactNode => (
    <figure className={`pane ${side}`}>
      <figcaption>
        {side === 'initial' ? (
          <>
            <strong>Initial CT</strong> <span>acquired{studyAt && `, study of ${studyAt}`}</span>
          </>
        ) : (
          <>
            <strong>AI-generated follow-up CT</strong> <span>within 72 h; not acquired, research use only</span>
          </>
        )}
      </figcaption>
      <div className="frame">
        <div className="image">
          <div
            className="viewport"
            ref={elements[side]}
            data-side={side}
            onPointerMove={({ clientX, clientY }) => {
              pointer.current = { side, clientX, clientY };
              readPointer();
            }}
            onPointerLeave={() => {
              pointer.current = undefined;
              readPointer();
            }}
          />
          {overlay}
          <span className="mark right-of-patient" aria-hidden="true">
            R
          </span>
          <span className="mark left-of-patient" aria-hidden="true">
            L
          </span>
          <span className="readout" aria-hidden="true">
            {readout?.side === side && `${readout.hu} ${side === 'initial' ? 'HU' : 'HU, estimated'}`}
          </span>
        </div>
        <div className="strip" aria-hidden="true">
          {strip}
        </div>
      </div>
    </figure>
  );

  return (
    <div
      className="viewer-tools"
      ref={root}
      onFocus={() => (hadFocus.current = true)}
      onBlur={({ relatedTarget }) => (hadFocus.current = root.current!.contains(relatedTarget))}
      role="group"
      aria-label="Initial CT and AI-generated follow-up CT, side by side. The right side of the patient is on the left."
      tabIndex={0}
      onKeyDown={onKeyDown}
      data-slice={view.slice}
      data-window={`${view.width}/${view.center}`}
      data-zoom={view.zoom.toFixed(2)}
      data-ready={panes !== undefined}
    >
      <div className="panes">
        {pane(
          'initial',
          <canvas className="overlay" ref={attention} hidden={!view.attention} aria-hidden="true" />,
          <>
            <span className="ruler" style={{ width: ruler?.width }} /> <span>{ruler?.label}</span>
          </>,
        )}
        {pane(
          'generated',
          <canvas className="overlay" ref={difference} hidden={!view.difference} aria-hidden="true" />,
          <>
            <span>AI-generated</span> <span>(not acquired)</span>
          </>,
        )}
      </div>
      <div className="slice-line">
        <label htmlFor="slice">Slice</label>
        <input
          id="slice"
          type="range"
          min={1}
          max={slices}
          value={view.slice + 1}
          aria-valuetext={`${view.slice + 1} of ${slices}, from below`}
          onChange={(event) => dispatch({ kind: 'slice', to: Number(event.target.value) - 1 })}
        />
        <span className="slice-text" aria-hidden="true">
          {view.slice + 1}/{slices}
        </span>
        <span className="window-text">
          W {view.width} C {view.center} HU
        </span>
      </div>
      <div className="buttons">
        {(Object.keys(PRESETS) as PresetName[]).map((name) => (
          <button
            key={name}
            type="button"
            aria-pressed={preset === name}
            onClick={() => dispatch({ kind: 'preset', name })}
          >
            {name}{' '}
            <small>
              {PRESETS[name].width}/{PRESETS[name].center}
            </small>
          </button>
        ))}
        <button type="button" aria-pressed={view.difference} onClick={() => dispatch({ kind: 'difference' })}>
          Difference
        </button>
        <button
          type="button"
          style={{ visibility: typeof attentionMap === 'object' ? 'visible' : 'hidden' }}
          aria-pressed={view.attention}
          onClick={() => dispatch({ kind: 'attention' })}
        >
          Attention
        </button>
        <button type="button" aria-label="Zoom out" onClick={() => dispatch({ kind: 'zoom', factor: 0.8 })}>
          −
        </button>
        <button type="button" aria-label="Zoom in" onClick={() => dispatch({ kind: 'zoom', factor: 1.25 })}>
          +
        </button>
        <button type="button" onClick={() => dispatch({ kind: 'reset' })}>
          Reset
        </button>
        <button type="button" aria-expanded={help} aria-controls="viewer-help" onClick={() => setHelp(!help)}>
          Keys
        </button>
      </div>
      {view.difference && <DifferenceLegend />}
      {view.attention && (
        <div role="status">
          {typeof attentionMap === 'object' ? (
            <AttentionLegend
              strongest={mostAttendedSlice(attentionMap, pair.geometry)}
              onGo={(slice) => dispatch({ kind: 'slice', to: slice })}
            />
          ) : (
            <p className="legend">{attentionMap ?? 'Loading the attention map …'}</p>
          )}
        </div>
      )}
      <div id="viewer-help" hidden={!help}>
        <p>
          Mouse: wheel scrolls, left drag sets the window, right drag zooms, middle or Shift drag moves, double click
          resets. Touch: swipe scrolls, pinch zooms, two fingers move. Down, by wheel, swipe or key, is towards the
          feet.
        </p>
        <p>
          Keys: <kbd>↑</kbd> <kbd>↓</kbd> slice, <kbd>Page Up</kbd> <kbd>Page Down</kbd> five slices, <kbd>1</kbd>–
          <kbd>4</kbd> window, <kbd>d</kbd> difference, <kbd>a</kbd> attention, <kbd>+</kbd> <kbd>−</kbd> zoom,{' '}
          <kbd>r</kbd> reset, <kbd>?</kbd> this help.
        </p>
      </div>
    </div>
  );
}
