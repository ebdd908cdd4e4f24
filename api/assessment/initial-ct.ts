/** The acquired slices beside which a generated follow-up is shown: exactly those that the assessment of the same content read. */
import { HemocastError } from '../errors.ts';
import type { Frame, Vector3 } from '../imaging/volume.ts';
import type { Refusal } from '../prediction/refusals.ts';
import { RefusalError } from '../prediction/refusals.ts';
import { StudyIncompleteError } from './assessment.ts';
import { matchIdentity } from './match-identity.ts';
import type { StudyPlan } from './plan-study.ts';
import type { Pacs } from './ports.ts';

/** Where the voxels lie. Conventions of imaging/volume.ts: LPS, columns to the left, rows to the back, slices upward. */
export interface SliceGeometry {
  readonly slices: number;
  readonly rows: number;
  readonly columns: number;
  /** Distance between rows and between columns, mm. */
  readonly rowSpacingMm: number;
  readonly columnSpacingMm: number;
  readonly rowDirection: Vector3;
  readonly columnDirection: Vector3;
  readonly normal: Vector3;
  /** LPS centre of the first voxel of each slice, mm. */
  readonly origins: readonly Vector3[];
  readonly sopInstanceUids: readonly string[];
  /** Stated slice thickness, mm; null where the sender left it out. */
  readonly sliceThicknessMm: number | null;
  /** Angle between the stack of slices and their common normal, degrees. */
  readonly gantryTiltDeg: number;
  /** Hyperdense volume in each slice, mL (definition: imaging/hyperdense.ts); null where no head was recognized. */
  readonly hyperdenseMl: readonly number[] | null;
}

export interface InitialCt {
  readonly geometry: SliceGeometry;
  /** HU as int16, little endian, `[slice][row][column]`, compressed by gzip (RFC 1952). */
  readonly huGzip: Uint8Array;
}

/** Frames in, voxels out, away from the thread that answers requests. Throws RefusalError. */
export interface VolumeAssembler {
  assemble(frames: readonly Frame[], signal: AbortSignal): Promise<InitialCt>;
}

/** No scan of this content can be read; the code is one of GET /v1/refusals. */
export class SeriesRefusedError extends HemocastError {
  constructor({ code, message, details }: Refusal) {
    super(code, message, { status: 422, issueType: 'business-rule', details });
  }
}

/** Compressed voxels that are kept for the next look, bytes: about ten scans. */
const CACHE_BYTES = 128 * 2 ** 20;

export class InitialCtSource {
  readonly #pacs: Pick<Pacs, 'retrieveFrames'>;
  readonly #assembler: VolumeAssembler;
  /** By content key, the least recently used first. */
  readonly #kept = new Map<string, InitialCt>();
  readonly #underWay = new Map<string, Promise<InitialCt>>();

  constructor(parts: { readonly pacs: Pick<Pacs, 'retrieveFrames'>; readonly assembler: VolumeAssembler }) {
    this.#pacs = parts.pacs;
    this.#assembler = parts.assembler;
  }

  /**
   * @param plan what planStudy said a moment ago; its patient has been held against the caller's
   * @throws StudyIncompleteError, SeriesRefusedError, UpstreamError, TransientError
   */
  async read(plan: StudyPlan, signal: AbortSignal): Promise<InitialCt> {
    const key = plan.contentKey;
    if (key === null) throw new StudyIncompleteError(plan.instancesPresent, plan.study.numberOfInstances);
    if (plan.refusal !== null) throw new SeriesRefusedError(plan.refusal);
    // The chart may name another patient than at the last look: identity is part of what is looked up.
    const kept = `${plan.study.patientReference} ${key}`;
    const known = this.#kept.get(kept);
    if (known !== undefined) {
      this.#keep(kept, known);
      return known;
    }
    // Two panes of one viewer ask at the same time: one retrieval serves both, and only its own signal would end it.
    const reading = this.#underWay.get(kept) ?? this.#retrieve(plan, kept);
    signal.throwIfAborted();
    return reading;
  }

  #retrieve(plan: StudyPlan, key: string): Promise<InitialCt> {
    const reading = this.#retrieveNow(plan, AbortSignal.timeout(RETRIEVAL_TIMEOUT_MS))
      .then((ct) => {
        this.#keep(key, ct);
        return ct;
      })
      .finally(() => this.#underWay.delete(key));
    reading.catch(() => undefined); // everyone who asked may have hung up
    this.#underWay.set(key, reading);
    return reading;
  }

  async #retrieveNow(plan: StudyPlan, signal: AbortSignal): Promise<InitialCt> {
    try {
      const frames = await this.#pacs.retrieveFrames(
        {
          studyInstanceUid: plan.study.studyInstanceUid,
          seriesInstanceUid: plan.chosen[0].seriesInstanceUid,
          sopInstanceUids: plan.chosen.map((header) => header.sopInstanceUid),
          addresses: plan.study.dicomwebAddresses,
        },
        signal,
      );
      matchIdentity(
        plan.study,
        frames.map((frame) => frame.header),
      );
      return await this.#assembler.assemble(frames, signal);
    } catch (error) {
      throw error instanceof RefusalError ? new SeriesRefusedError(error.toRefusal()) : error;
    }
  }

  #keep(key: string, ct: InitialCt): void {
    this.#kept.delete(key);
    this.#kept.set(key, ct);
    let bytes = [...this.#kept.values()].reduce((sum, { huGzip }) => sum + huGzip.byteLength, 0);
    for (const [oldest, { huGzip }] of this.#kept) {
      if (bytes <= CACHE_BYTES || oldest === key) return;
      this.#kept.delete(oldest);
      bytes -= huGzip.byteLength;
    }
  }
}

const RETRIEVAL_TIMEOUT_MS = 60_000;
