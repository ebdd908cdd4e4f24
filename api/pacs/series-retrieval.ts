/**
 * Retrieves and decodes named instances of one series (WADO-RS, PS3.18 10.4). The series is asked for as a whole and streamed;
 * servers are known to leave instances out silently, so what came is checked against what was asked, and the rest is asked
 * for one by one.
 */
import { HemocastError, NotFoundError, TransientError, UpstreamError } from '../errors.ts';
import { parseInstance } from '../dicom/parse.ts';
import type { Egress, EgressLimits } from '../egress/egress.ts';
import { throwForStatus } from '../egress/status.ts';
import type { Frame } from '../imaging/volume.ts';
import { resourceUrl } from './endpoint.ts';
import { peekSopInstanceUid } from './file-meta.ts';
import { InFlight } from './in-flight.ts';
import { parseContentType, readParts } from './multipart.ts';

/** Decodes one DICOM Part 10 object; may take possession of `bytes`. */
export interface Decoder {
  decode(bytes: Uint8Array, signal: AbortSignal): Promise<Frame>;
}

export interface SeriesRequest {
  readonly studyInstanceUid: string;
  readonly seriesInstanceUid: string;
  readonly sopInstanceUids: readonly string[];
}

/** Whole instances in whatever transfer syntax they are stored: without `*` some servers leave out what they cannot transcode. */
export const ACCEPT_INSTANCES = 'multipart/related; type="application/dicom"; transfer-syntax=*';

const SERIES_LIMITS: EgressLimits = { maxBytes: 4 * 2 ** 30, totalMs: 240_000, idleMs: 30_000 };
const INSTANCE_LIMITS: EgressLimits = { maxBytes: 256 * 2 ** 20, totalMs: 60_000, idleMs: 30_000 };
const DECODES_AT_ONCE = 4;
const REQUESTS_AT_ONCE = 4;

export class SeriesRetrieval {
  readonly #root: string;
  readonly #egress: Egress;
  readonly #decoder: Decoder;
  readonly #request: SeriesRequest;
  readonly #onProgress: (fraction: number) => void;
  readonly #wanted: ReadonlySet<string>;
  readonly #taken = new Set<string>();
  readonly #frames = new Map<string, Frame>();
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;

  constructor(
    root: string,
    parts: { readonly egress: Egress; readonly decode: Decoder },
    request: SeriesRequest,
    signal: AbortSignal,
    onProgress: (fraction: number) => void = () => undefined,
  ) {
    this.#root = root;
    this.#egress = parts.egress;
    this.#decoder = parts.decode;
    this.#request = request;
    this.#onProgress = onProgress;
    this.#wanted = new Set(request.sopInstanceUids);
    this.#signal = AbortSignal.any([signal, this.#stop.signal]);
  }

  /** The frames in the order asked for. See Pacs.retrieveFrames for what is thrown. */
  async run(): Promise<readonly Frame[]> {
    try {
      await this.#retrieveSeries();
      await this.#retrieveMissing();
    } catch (error) {
      this.#stop.abort(error);
      throw error;
    }
    const missing = this.#missing();
    if (missing.length > 0) {
      throw new TransientError('instances-missing', 'The PACS lists instances that it does not hand over.', {
        missing: missing.length,
        asked: this.#wanted.size,
        firstMissing: missing[0],
      });
    }
    return this.#request.sopInstanceUids.map((uid) => this.#frames.get(uid) as Frame);
  }

  async #retrieveSeries(): Promise<void> {
    const decoding = new InFlight(DECODES_AT_ONCE);
    const { studyInstanceUid, seriesInstanceUid } = this.#request;
    try {
      const url = resourceUrl(this.#root, studyInstanceUid, seriesInstanceUid);
      for await (const object of this.#objects(url, SERIES_LIMITS)) await this.#take(object, decoding);
    } catch (error) {
      if (!mayDoBetterSingly(error)) throw error;
    } finally {
      await decoding.drain();
    }
  }

  async #retrieveMissing(): Promise<void> {
    const requests = new InFlight(REQUESTS_AT_ONCE);
    for (const uid of this.#missing()) await requests.add(() => this.#retrieveInstance(uid));
    await requests.drain();
  }

  async #retrieveInstance(sopInstanceUid: string): Promise<void> {
    const decoding = new InFlight(1);
    const { studyInstanceUid, seriesInstanceUid } = this.#request;
    try {
      const url = resourceUrl(this.#root, studyInstanceUid, seriesInstanceUid, sopInstanceUid);
      for await (const object of this.#objects(url, INSTANCE_LIMITS)) await this.#take(object, decoding);
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
    } finally {
      await decoding.drain();
    }
  }

  /** The DICOM objects of an answer, each as soon as it has arrived whole. */
  async *#objects(url: string, limits: EgressLimits): AsyncGenerator<Uint8Array, void, undefined> {
    const response = await this.#egress.fetch(
      url,
      { headers: { accept: ACCEPT_INSTANCES }, signal: this.#signal },
      limits,
    );
    await throwForStatus(response, 'pacs');
    if (response.body === null) return;
    const type = parseContentType(response.headers.get('content-type'));
    if (type?.mediaType === 'application/dicom') {
      yield new Uint8Array(await response.arrayBuffer());
      return;
    }
    if (type?.mediaType !== 'multipart/related') {
      await response.body.cancel().catch(() => undefined);
      throw notDicom(type?.mediaType);
    }
    for await (const part of readParts(response.body, type.parameters.get('boundary') ?? '')) {
      const partType = parseContentType(part.headers.get('content-type') ?? 'application/dicom');
      if (partType?.mediaType !== 'application/dicom') throw notDicom(partType?.mediaType);
      yield part.body;
    }
  }

  /** Has an object decoded if it was asked for and has not come before. */
  async #take(object: Uint8Array, decoding: InFlight): Promise<void> {
    const announced = peekSopInstanceUid(object);
    if (announced !== undefined && !this.#wanted.has(announced)) {
      this.#assertSameStudy(object);
      return;
    }
    if (announced !== undefined && this.#taken.has(announced)) return;
    if (announced !== undefined) this.#taken.add(announced);
    await decoding.add(() =>
      this.#decode(object).catch((error: unknown) => {
        this.#stop.abort(error); // no use in waiting for the rest of the answer
        throw error;
      }),
    );
  }

  async #decode(object: Uint8Array): Promise<void> {
    const frame = await this.#decoder.decode(object, this.#signal);
    const { sopInstanceUid, seriesInstanceUid, studyInstanceUid } = frame.header;
    if (studyInstanceUid !== this.#request.studyInstanceUid) throw anotherStudy();
    if (!this.#wanted.has(sopInstanceUid)) return;
    if (seriesInstanceUid !== this.#request.seriesInstanceUid) {
      throw new UpstreamError(
        'pacs-series-differs',
        'The PACS lists an instance in one series and hands it over in another.',
      );
    }
    this.#frames.set(sopInstanceUid, frame);
    this.#onProgress(this.#frames.size / this.#wanted.size);
  }

  /** An instance nobody asked for may be a neighbour in the series; an instance of another study is a mix-up. */
  #assertSameStudy(object: Uint8Array): void {
    let studyInstanceUid: string;
    try {
      studyInstanceUid = parseInstance(object).header.studyInstanceUid;
    } catch {
      return; // not asked for and not readable: of no consequence
    }
    if (studyInstanceUid !== this.#request.studyInstanceUid) throw anotherStudy();
  }

  #missing(): string[] {
    return [...this.#wanted].filter((uid) => !this.#frames.has(uid));
  }
}

/** Failures of the series as a whole that leave its instances worth asking for. */
function mayDoBetterSingly(error: unknown): boolean {
  if (error instanceof NotFoundError) return true;
  if (!(error instanceof HemocastError)) return false;
  const codes = [
    'pacs-rejected',
    'pacs-answer-not-dicom',
    'multipart-malformed',
    'response-too-large',
    'upstream-truncated',
  ];
  // 500 and 501 are how servers say that a series holds something they cannot serve together; 502 to 504 are about load.
  const isServerFault =
    error.code === 'pacs-unavailable' && (error.details.status === 500 || error.details.status === 501);
  return codes.includes(error.code) || isServerFault;
}

function anotherStudy(): UpstreamError {
  return new UpstreamError('pacs-answered-another-study', 'The PACS answered with an instance of another study.');
}

function notDicom(mediaType = 'an unreadable content type'): UpstreamError {
  return new UpstreamError('pacs-answer-not-dicom', `The PACS answered with ${mediaType} where DICOM was asked for.`);
}
