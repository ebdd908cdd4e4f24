/** Decodes uncompressed 16-bit images in this process, for suites whose subject is how the objects arrive. */
import { parseInstance } from '../../api/dicom/parse.ts';
import type { Decoder } from '../../api/pacs/series-retrieval.ts';

export const pixelDecoder: Decoder = {
  async decode(bytes, signal) {
    signal.throwIfAborted();
    const { header, pixelData } = parseInstance(bytes);
    const [pixels] = pixelData?.parts ?? [];
    return { header, storedValues: new Int16Array(pixels.slice().buffer) };
  },
};
