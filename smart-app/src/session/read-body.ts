/** Bytes that arrived since the last call. */
export type OnBytes = (count: number) => void;

/** The whole body of an answer, told of while it arrives. Rejects where it breaks off. */
export function readBody({ body }: Response, onBytes: OnBytes): Promise<ArrayBuffer> {
  const counter = new TransformStream<Uint8Array, Uint8Array>({
    transform(part, controller) {
      onBytes(part.length);
      controller.enqueue(part);
    },
  });
  return new Response(body?.pipeThrough(counter)).arrayBuffer();
}
