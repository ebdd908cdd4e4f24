/** The PACS behind DICOMweb (PS3.18): lists by WADO-RS metadata or QIDO-RS, retrieves by WADO-RS, stores by STOW-RS. */
import { randomUUID } from 'node:crypto';
import type { InstanceListing, Pacs, SystemHealth } from '../assessment/ports.ts';
import { headerFromDicomJson } from '../dicom/dicom-json.ts';
import type { Egress, EgressLimits } from '../egress/egress.ts';
import { throwForStatus } from '../egress/status.ts';
import { HemocastError, UpstreamError } from '../errors.ts';
import type { Frame } from '../imaging/volume.ts';
import { checkUid, chooseRoot, resourceUrl } from './endpoint.ts';
import { peekSopInstanceUid } from './file-meta.ts';
import { listByMetadata, listByQuery } from './listing.ts';
import { writeDicomPart } from './multipart.ts';
import { SeriesRetrieval } from './series-retrieval.ts';
import type { Decoder } from './series-retrieval.ts';

export interface DicomwebPacsOptions {
  readonly egress: Egress;
  /** DICOMweb root of the PACS. */
  readonly baseUrl: string;
  /** Further roots that the EHR may name; egress must know them, too. */
  readonly allowed: readonly string[];
  readonly decode: Decoder;
  /** Whether this service may write to the PACS at all. */
  readonly store: boolean;
}

const STORE_LIMITS: Partial<EgressLimits> = { totalMs: 120_000 };
const HEALTH_LIMITS: Partial<EgressLimits> = { totalMs: 5_000, idleMs: 5_000, maxBytes: 2 ** 20 };

export class DicomwebPacs implements Pacs {
  readonly #options: DicomwebPacsOptions;
  readonly #root: string;

  constructor(options: DicomwebPacsOptions) {
    this.#options = options;
    this.#root = options.baseUrl.replace(/\/+$/, '');
  }

  /**
   * An empty list means that the PACS holds nothing of the study (yet). Throws UpstreamError `endpoint-not-allowed`,
   * `pacs-answered-another-study`, `pacs-unauthorized` ..., TransientError, RefusalError `dicom-malformed` (a listing without UIDs).
   */
  async listInstances(
    studyInstanceUid: string,
    addresses: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly InstanceListing[]> {
    const root = this.#chooseRoot(studyInstanceUid, addresses);
    const studyUrl = resourceUrl(root, studyInstanceUid);
    const { egress } = this.#options;
    const listed = (await listByMetadata(egress, studyUrl, signal)) ?? (await listByQuery(egress, studyUrl, signal));
    const headers = new Map(listed.map(headerFromDicomJson).map((header) => [header.sopInstanceUid, header]));
    for (const header of headers.values()) {
      if (header.studyInstanceUid === studyInstanceUid) continue;
      throw new UpstreamError('pacs-answered-another-study', 'The PACS listed an instance of another study.');
    }
    return [...headers.values()];
  }

  /**
   * Throws TransientError `instances-missing`, UpstreamError `pacs-answered-another-study`, `pacs-series-differs`, whatever
   * listInstances throws for the address and the connection, and the decoder's RefusalError.
   */
  async retrieveFrames(
    request: Parameters<Pacs['retrieveFrames']>[0],
    signal: AbortSignal,
    onProgress?: (fraction: number) => void,
  ): Promise<readonly Frame[]> {
    const root = this.#chooseRoot(request.studyInstanceUid, request.addresses);
    return new SeriesRetrieval(root, this.#options, request, signal, onProgress).run();
  }

  /**
   * Stores into the configured PACS, never into one the EHR names. An instance that is there already is left alone.
   * Throws UpstreamError `pacs-store-not-enabled`, `pacs-store-failed` (details: HTTP status and DICOM failure reason).
   */
  async store(studyInstanceUid: string, part10: Uint8Array, signal: AbortSignal): Promise<void> {
    if (!this.#options.store) {
      throw new UpstreamError(
        'pacs-store-not-enabled',
        'Storing into the PACS is not enabled; set STORE_GENERATED_IMAGE=true.',
      );
    }
    const sopInstanceUid = checkUid(peekSopInstanceUid(part10) ?? '');
    if (await this.#holds(studyInstanceUid, sopInstanceUid, signal)) return;
    const boundary = randomUUID();
    const response = await this.#options.egress.fetch(
      resourceUrl(this.#root, studyInstanceUid),
      {
        method: 'POST',
        headers: {
          'content-type': `multipart/related; type="application/dicom"; boundary=${boundary}`,
          accept: 'application/dicom+json',
        },
        body: writeDicomPart(part10, boundary),
        signal,
      },
      STORE_LIMITS,
    );
    // 409 is also how some archives say that the instance exists (PS3.18 table 10.5.3-1): look before calling it a failure.
    if (response.status !== 409) await throwForStatus(response, 'pacs');
    const failureReason = await readFailureReason(response);
    if (response.status === 200 && failureReason === undefined) return;
    if (await this.#holds(studyInstanceUid, sopInstanceUid, signal)) return;
    throw new UpstreamError('pacs-store-failed', 'The PACS did not store the generated image.', {
      status: response.status,
      failureReason: failureReason ?? null,
    });
  }

  async health(signal: AbortSignal): Promise<SystemHealth> {
    try {
      const headers = { accept: 'application/dicom+json' };
      const response = await this.#options.egress.fetch(
        `${this.#root}/studies?limit=1`,
        { headers, signal },
        HEALTH_LIMITS,
      );
      await throwForStatus(response, 'pacs', 'json');
      await response.body?.cancel();
      return { ok: true };
    } catch (error) {
      return { ok: false, reason: error instanceof HemocastError ? error.message : 'The PACS cannot be asked.' };
    }
  }

  #chooseRoot(studyInstanceUid: string, addresses: readonly string[]): string {
    return chooseRoot(studyInstanceUid, addresses, this.#root, this.#options.allowed);
  }

  async #holds(studyInstanceUid: string, sopInstanceUid: string, signal: AbortSignal): Promise<boolean> {
    const query = `${resourceUrl(this.#root, studyInstanceUid)}/instances?SOPInstanceUID=${sopInstanceUid}&limit=1`;
    const response = await this.#options.egress.fetch(query, { headers: { accept: 'application/dicom+json' }, signal });
    if (response.status === 404 || response.status === 204) {
      await response.body?.cancel();
      return false;
    }
    await throwForStatus(response, 'pacs', 'json');
    const found: unknown = await response.json();
    return Array.isArray(found) && found.length > 0;
  }
}

/** Failure Reason (0008,1197) of the first failed instance in a STOW-RS answer (PS3.18 10.5.3); undefined when none failed. */
async function readFailureReason(response: Response): Promise<number | undefined> {
  const answer: unknown = await response.json().catch(() => undefined);
  const failed = (answer as Record<string, { Value?: readonly Record<string, { Value?: unknown[] }>[] }> | undefined)?.[
    '00081198'
  ]?.Value?.[0];
  if (failed === undefined) return undefined;
  return Number(failed['00081197']?.Value?.[0] ?? 0);
}
