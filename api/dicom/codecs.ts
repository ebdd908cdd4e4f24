/**
 * The WebAssembly codecs (CharLS, OpenJPEG, OpenJPH) behind one signature: codestream in, raw sample bits out. None of
 * them prints; a codec that threw is thrown away, because its heap cannot be trusted any more.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { malformed } from './malformed.ts';

/** Unsigned sample bits in the narrowest type that holds the precision of the codestream. */
export type Samples = Uint8Array | Uint16Array;

interface CodecFrameInfo {
  readonly width: number;
  readonly height: number;
  readonly bitsPerSample: number;
  readonly componentCount: number;
}

interface WasmDecoder {
  getEncodedBuffer(length: number): Uint8Array;
  getDecodedBuffer(): Uint8Array;
  decode(): void;
  getFrameInfo(): CodecFrameInfo;
  delete(): void;
}

type WasmModule = Readonly<Record<string, new () => WasmDecoder>>;
type WasmFactory = (options: object) => Promise<WasmModule>;

interface WasmCodec {
  readonly factory: string;
  readonly wasm: string;
  readonly decoder: string;
}

const WASM_CODECS = {
  'jpeg-ls': {
    factory: '@cornerstonejs/codec-charls/decodewasmjs',
    wasm: '@cornerstonejs/codec-charls/decodewasm',
    decoder: 'JpegLSDecoder',
  },
  'jpeg-2000': {
    factory: '@cornerstonejs/codec-openjpeg/decodewasmjs',
    wasm: '@cornerstonejs/codec-openjpeg/decodewasm',
    decoder: 'J2KDecoder',
  },
  htj2k: {
    factory: '@cornerstonejs/codec-openjph/wasmjs',
    wasm: '@cornerstonejs/codec-openjph/wasm',
    decoder: 'HTJ2KDecoder',
  },
} as const satisfies Record<string, WasmCodec>;

export type WasmCoding = keyof typeof WASM_CODECS;

const loaded = new Map<WasmCoding, Promise<WasmModule>>();
const require = createRequire(import.meta.url);
const silent = (): void => undefined;

function load(coding: WasmCoding): Promise<WasmModule> {
  const found = loaded.get(coding);
  if (found !== undefined) return found;
  const { factory, wasm } = WASM_CODECS[coding];
  const create = require(factory) as WasmFactory;
  const module = create({ wasmBinary: readFileSync(require.resolve(wasm)), print: silent, printErr: silent });
  loaded.set(coding, module);
  return module;
}

/**
 * Decodes a JPEG-LS, JPEG 2000 or HTJ2K codestream of one component.
 * @param samples rows x columns that must come out
 * @throws RefusalError `dicom-malformed`
 */
export async function decodeWithWasm(coding: WasmCoding, codestream: Uint8Array, samples: number): Promise<Samples> {
  const module = await load(coding);
  const decoder = new module[WASM_CODECS[coding].decoder]();
  try {
    decoder.getEncodedBuffer(codestream.length).set(codestream);
    decoder.decode();
    const info = decoder.getFrameInfo();
    const bytes = decoder.getDecodedBuffer();
    const bytesPerSample = info.bitsPerSample > 8 ? 2 : 1;
    if (info.width * info.height !== samples || bytes.length !== samples * bytesPerSample) {
      throw malformed('The codestream holds another number of samples than Rows x Columns.');
    }
    const copy = bytes.slice();
    decoder.delete();
    return bytesPerSample === 1 ? copy : new Uint16Array(copy.buffer);
  } catch {
    loaded.delete(coding);
    throw malformed(`The ${coding} codestream cannot be decoded: it is damaged.`);
  }
}
