/** Both CTs in one picture, of a chart that holds no generated CT to scroll through. The labels are in the pixels. */
import { useEffect, useRef, useState } from 'react';
import type { ReactNode } from 'react';
import type { Comparison } from '../chart/provenance.ts';
import type { EhrReader } from '../session/launched.ts';

export default function ComparisonPicture({ ehr, picture }: { ehr: EhrReader; picture: Comparison }): ReactNode {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [state, setState] = useState<'loading' | 'shown' | 'failed'>('loading');
  useEffect(() => {
    let gone = false;
    drawOn(canvas.current!, ehr, picture).then(
      () => gone || setState('shown'),
      () => gone || setState('failed'),
    );
    return () => void (gone = true);
  }, [ehr, picture]);
  if (state === 'failed') {
    return (
      <p className="viewer-note" role="status">
        The picture of both CTs could not be read from the EHR. The forecast does not need it.
      </p>
    );
  }
  const words = `Initial CT with the AI-generated follow-up CT. ${picture.description ?? ''}`.trim();
  return (
    <figure className="comparison">
      <canvas ref={canvas} role="img" aria-label={words} />
      <figcaption className="quiet">
        {state === 'loading'
          ? 'Loading the picture …'
          : 'The chart holds no generated CT to scroll through, but this picture of both.'}
      </figcaption>
    </figure>
  );
}

/** Drawn instead of linked: its address is the EHR's and needs the user's token. */
async function drawOn(canvas: HTMLCanvasElement, ehr: EhrReader, { binaryReference, sha1 }: Comparison): Promise<void> {
  const bytes = await ehr.readBytes(binaryReference, 'image/png');
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-1', bytes));
  if (btoa(String.fromCharCode(...digest)) !== sha1) throw new Error('These are not the bytes that the service filed.');
  const image = await createImageBitmap(new Blob([bytes], { type: 'image/png' }));
  [canvas.width, canvas.height] = [image.width, image.height];
  canvas.getContext('2d')!.drawImage(image, 0, 0);
}
