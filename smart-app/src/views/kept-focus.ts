/** Focus vanishes with the element that had it. It then goes to the heading of what took its place. */
import { useLayoutEffect, useRef } from 'react';
import type { FocusEvent, HTMLAttributes } from 'react';

/** For the element in which focus is kept, drawn by the component that calls. Nobody else's focus is taken. */
export function useKeptFocus(): Pick<HTMLAttributes<HTMLElement>, 'onFocus' | 'onBlur'> {
  const last = useRef<{
    readonly element: Element;
    readonly panel: string | null | undefined;
    /** The viewer keeps its own. */
    readonly viewer: Element | null;
  }>(undefined);
  useLayoutEffect(() => {
    if (last.current === undefined || last.current.element.isConnected) return;
    if (document.activeElement !== document.body || !document.hasFocus()) return;
    const { panel, viewer } = last.current;
    if (viewer?.isConnected === true) return;
    const ids = [...(panel === 'work-heading' ? [panel] : []), 'standing-heading', 'risk-heading', 'work-heading'];
    const heading = ids.map((id) => document.getElementById(id)).find((element) => element !== null);
    heading?.focus(); // else what takes its place is still to come
  });
  return {
    onFocus: ({ target }: FocusEvent<Element>) => {
      last.current = {
        element: target,
        panel: target.closest('section')?.getAttribute('aria-labelledby'),
        viewer: target.closest('.viewer-tools'),
      };
    },
    // React tells of no blur by an element that it removes; and a window that is left keeps its focus.
    onBlur: ({ target }: FocusEvent<Element>) => {
      if (document.activeElement !== target) last.current = undefined;
    },
  };
}
