/**
 * What a compressed image says of itself, read before a codec sees it: a codec allocates what the codestream claims, so
 * the claim is compared with the DICOM header first.
 */
import { malformed } from './malformed.ts';

export interface CodestreamSize {
  readonly rows: number;
  readonly columns: number;
  readonly components: number;
  /** Bits per sample. */
  readonly precision: number;
  readonly signed: boolean;
}

const SOF3_LOSSLESS = 0xffc3;
const SOF55_JPEG_LS = 0xfff7;

/** Frame header of a JPEG Lossless (ITU-T T.81 B.2.2, process 14) codestream. */
export function jpegLosslessSize(codestream: Uint8Array): CodestreamSize {
  return jpegFrameHeader(codestream, SOF3_LOSSLESS, 'JPEG Lossless');
}

/** Frame header of a JPEG-LS (ITU-T T.87 C.2.2) codestream. */
export function jpegLsSize(codestream: Uint8Array): CodestreamSize {
  return jpegFrameHeader(codestream, SOF55_JPEG_LS, 'JPEG-LS');
}

function jpegFrameHeader(codestream: Uint8Array, startOfFrame: number, name: string): CodestreamSize {
  const view = viewOf(codestream);
  if (view.byteLength < 4 || view.getUint16(0) !== 0xffd8 || !endsWithMarker(codestream)) {
    throw malformed(`The pixel data are not a whole ${name} image: it must begin with SOI and end with EOI.`);
  }
  for (let at = 2; at + 10 <= view.byteLength;) {
    const marker = view.getUint16(at);
    if (marker === 0xffff) {
      at += 1; // fill byte
    } else if (marker === startOfFrame) {
      return {
        precision: view.getUint8(at + 4),
        rows: view.getUint16(at + 5),
        columns: view.getUint16(at + 7),
        components: view.getUint8(at + 9),
        signed: false,
      };
    } else if (marker < 0xffc0 || marker === 0xffda) {
      break;
    } else {
      at += 2 + view.getUint16(at + 2);
    }
  }
  throw malformed(`The pixel data hold no frame header of ${name}: they are damaged or of another syntax.`);
}

/** SIZ segment of a JPEG 2000 or HTJ2K codestream (ITU-T T.800 A.5.1). */
export function jpeg2000Size(codestream: Uint8Array): CodestreamSize {
  const view = viewOf(codestream);
  if (view.byteLength < 44 || view.getUint32(0) !== 0xff4fff51 || !endsWithMarker(codestream)) {
    throw malformed(
      'The pixel data are not a whole JPEG 2000 codestream: it must begin with SOC, SIZ and end with EOC.',
    );
  }
  const depth = view.getUint8(42);
  return {
    columns: view.getUint32(8) - view.getUint32(16),
    rows: view.getUint32(12) - view.getUint32(20),
    components: view.getUint16(40),
    precision: (depth & 0x7f) + 1,
    signed: (depth & 0x80) !== 0,
  };
}

/** EOI of JPEG and JPEG-LS, EOC of JPEG 2000 are the same two bytes; padding of 00 or FF may follow (PS3.5 A.4). */
function endsWithMarker(codestream: Uint8Array): boolean {
  let end = codestream.length;
  while (end > 0 && (codestream[end - 1] === 0x00 || codestream[end - 1] === 0xff)) end -= 1;
  return end >= 2 && codestream[end - 2] === 0xff && codestream[end - 1] === 0xd9;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
