/** Wheel, mouse and touch to actions of the view. Both panes speak to the one state. Down is towards the feet, as with the keys. */
import type { ViewAction } from './view-state.ts';

type Dispatch = (action: ViewAction) => void;

/** Wheel travel for one slice, CSS pixels. One event is one slice at most: a mouse's notch is 67 to 120, as the screen is scaled; a touchpad sends small steps. */
const WHEEL_PX_PER_SLICE = 50;
const SWIPE_PX_PER_SLICE = 12;
const HU_PER_PX = 0.5;

/** Listens on one pane; returns what ends it. */
export function listenToPane(element: HTMLElement, dispatch: Dispatch): () => void {
  const pointers = new Map<number, PointerEvent>();
  let [wheel, swipe] = [0, 0];
  const ended = new AbortController();
  const on = <K extends keyof HTMLElementEventMap>(type: K, listener: (event: HTMLElementEventMap[K]) => void): void =>
    element.addEventListener(type, listener as EventListener, { signal: ended.signal, passive: false });

  on('wheel', (event) => {
    event.preventDefault();
    if (event.ctrlKey) return dispatch({ kind: 'zoom', factor: Math.exp(-event.deltaY / 200) }); // pinch on a touchpad
    const travel = event.deltaMode === 0 ? event.deltaY : event.deltaY * WHEEL_PX_PER_SLICE;
    wheel += Math.max(-WHEEL_PX_PER_SLICE, Math.min(WHEEL_PX_PER_SLICE, travel));
    const by = Math.trunc(wheel / WHEEL_PX_PER_SLICE);
    wheel -= by * WHEEL_PX_PER_SLICE;
    if (by !== 0) dispatch({ kind: 'scroll', by: -by });
  });
  on('pointerdown', (event) => {
    pointers.set(event.pointerId, event);
    if (event.isTrusted) element.setPointerCapture(event.pointerId);
    if (event.button === 1) event.preventDefault(); // no autoscroll
    swipe = 0;
  });
  on('pointermove', (event) => {
    const before = pointers.get(event.pointerId);
    if (before === undefined) return;
    const others = [...pointers.values()].filter(({ pointerId }) => pointerId !== event.pointerId);
    pointers.set(event.pointerId, event);
    const [dx, dy] = [event.clientX - before.clientX, event.clientY - before.clientY];
    if (event.pointerType === 'touch') {
      if (others.length === 1) return twoFingers(before, event, others[0], element, dispatch);
      if (others.length > 1) return;
      swipe += dy;
      const by = Math.trunc(swipe / SWIPE_PX_PER_SLICE);
      swipe -= by * SWIPE_PX_PER_SLICE;
      if (by !== 0) dispatch({ kind: 'scroll', by: -by });
    } else if (event.buttons & 4 || (event.buttons & 1 && event.shiftKey)) {
      dispatch(pan(dx, dy, element));
    } else if (event.buttons & 2) {
      dispatch({ kind: 'zoom', factor: Math.exp(-dy / 150) });
    } else if (event.buttons & 1) {
      dispatch({ kind: 'window', byWidth: dx * HU_PER_PX * 2, byCenter: -dy * HU_PER_PX });
    }
  });
  const release = (event: PointerEvent): void => void pointers.delete(event.pointerId);
  on('pointerup', release);
  on('pointercancel', release);
  on('contextmenu', (event) => event.preventDefault());
  on('dblclick', () => dispatch({ kind: 'reset' }));
  return () => ended.abort();
}

function twoFingers(
  before: PointerEvent,
  after: PointerEvent,
  other: PointerEvent,
  element: HTMLElement,
  dispatch: Dispatch,
): void {
  const apart = (event: PointerEvent): number =>
    Math.hypot(event.clientX - other.clientX, event.clientY - other.clientY);
  dispatch({ kind: 'zoom', factor: apart(after) / Math.max(1, apart(before)) });
  // Each finger carries half of the movement of their middle.
  dispatch(pan((after.clientX - before.clientX) / 2, (after.clientY - before.clientY) / 2, element));
}

function pan(dx: number, dy: number, element: HTMLElement): ViewAction {
  const width = Math.max(1, element.clientWidth);
  return { kind: 'pan', byX: dx / width, byY: dy / width };
}
