/** In the viewer's place where its CTs may be another patient's. */
import type { ReactNode } from 'react';

export function ClosedViewer({ why }: { readonly why: string }): ReactNode {
  return (
    <section className="panel" aria-labelledby="viewer-heading">
      <h2 id="viewer-heading">Initial CT and generated follow-up CT</h2>
      <p>{why}</p>
    </section>
  );
}
