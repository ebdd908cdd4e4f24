/** What one launch gives: the EHR, its patient, and reading both with the user's token. */
import type { Requested } from '../chart/forecast.ts';
import type { AppConfig } from './config.ts';
import { nextPage } from './next-page.ts';
import type { Page } from './next-page.ts';
import { readBody } from './read-body.ts';
import type { OnBytes } from './read-body.ts';

export interface Session {
  readonly config: AppConfig;
  /** "Patient/<id>" of the launch context. */
  readonly patientReference: string;
  /** False in the sandbox, whose simulated patients stay where they were in time; the cards hold it so, too. */
  readonly windowEnds: boolean;
  /** What the card that launched the app asked to see; untrusted, held against the chart before use. */
  readonly requested: Requested;
  readonly ehr: EhrReader;
  /** A call to the hemocast service with the user's token. Path begins with "/v1/". */
  readonly callService: (path: string, init?: RequestInit) => Promise<Response>;
}

export interface EhrReader {
  /** "Patient/1" or "RiskAssessment?subject=Patient/1". Throws EhrError. */
  read(path: string): Promise<unknown>;
  /** Every resource of a search, or an error with words for the user: never a part of them. */
  search(path: string): Promise<readonly unknown[]>;
  readBytes(path: string, accept: string, onBytes?: OnBytes): Promise<ArrayBuffer>;
}

/** `status` 0: not reachable. */
export class EhrError extends Error {
  readonly status: number;
  constructor(status: number, what: string) {
    super(status === 0 ? `The EHR could not be reached (${what}).` : `The EHR answered ${status} for ${what}.`);
    this.status = status;
  }
}

/** Whether the token has ended: asking again does not help. */
export function isSessionOver(error: unknown): boolean {
  return error instanceof EhrError && error.status === 401;
}

export const SESSION_OVER = 'Your session has ended. Open hemocast again from the chart.';

/** More pages than any patient has; a server whose pages never end is not followed. */
const MOST_PAGES = 20;
/** Longest wait for an answer of the EHR, ms. */
const ANSWER_MS = 20_000;

export function createEhrReader(baseUrl: string, headers: () => Record<string, string>): EhrReader {
  /** `what` is the resource type in the words of an error: the address of a later page need not name it. */
  const get = async (path: string, accept: string, what = path.split(/[/?]/)[0]): Promise<Response> => {
    const init: RequestInit = {
      headers: { ...headers(), accept },
      credentials: 'omit',
      redirect: 'error',
      cache: 'no-store',
      // Pictures are large; an answer in JSON that takes longer is none.
      ...(accept === FHIR_JSON && { signal: AbortSignal.timeout(ANSWER_MS) }),
    };
    const response = await fetch(`${baseUrl}/${path}`, init).catch(() => undefined);
    if (response === undefined || !response.ok) throw new EhrError(response?.status ?? 0, what);
    return response;
  };
  return {
    read: async (path) => (await get(path, FHIR_JSON)).json(),
    async search(path) {
      const [what] = path.split('?');
      const resources: unknown[] = [];
      let next: string | undefined = path;
      for (let page = 0; next !== undefined; page++) {
        if (page === MOST_PAGES) throw new Error(`The EHR’s list of ${what} does not end; it was not read to its end.`);
        const response = await get(next, FHIR_JSON, what).catch((error: Error) => {
          throw page === 0 ? error : new Error(`${error.message} Its list was not read to its end.`);
        });
        const bundle = (await response.json()) as Bundle | null;
        if (bundle?.resourceType !== 'Bundle') throw new Error(`The EHR answered with no list of ${what}.`);
        for (const { resource } of bundle.entry ?? []) {
          if (isFault(resource)) throw new Error(`The EHR’s list of ${what} says that it is not whole.`);
          resources.push(resource);
        }
        next = nextPage(bundle, baseUrl);
      }
      return resources;
    },
    async readBytes(path, accept, onBytes = () => {}) {
      const response = await get(path, accept);
      return readBody(response, onBytes).catch(() => {
        throw new Error(`The EHR’s answer broke off (${path.split('/')[0]}).`);
      });
    },
  };
}

const FHIR_JSON = 'application/fhir+json';

/** An OperationOutcome with an error: some servers answer so what a token may not read. */
function isFault(resource: unknown): boolean {
  const { resourceType, issue } = (resource ?? {}) as { resourceType?: unknown; issue?: { severity?: unknown }[] };
  return (
    resourceType === 'OperationOutcome' &&
    (issue ?? []).some(({ severity }) => /^(error|fatal)$/.test(String(severity)))
  );
}

interface Bundle extends Page {
  readonly resourceType?: unknown;
  readonly entry?: readonly { readonly resource?: unknown }[];
}
