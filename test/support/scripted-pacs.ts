/** A PACS that answers by script, and the adapter in front of it. */
import type { RequestListener } from 'node:http';
import { afterEach } from '@jest/globals';
import { Egress } from '../../api/egress/egress.ts';
import { DicomwebPacs } from '../../api/pacs/dicomweb-pacs.ts';
import type { Decoder } from '../../api/pacs/series-retrieval.ts';
import { serve } from './http-server.ts';
import type { TestServer } from './http-server.ts';
import { ctSeries } from './part10.ts';
import { pixelDecoder } from './pixel-decoder.ts';

export const STUDY = '1.2.3';
export const SERIES = '1.2.3.1';
/** Five slices of SERIES and their SOP Instance UIDs. */
export const slices = ctSeries(STUDY, 5);
export const uids = slices.map((_, index) => `${SERIES}.${index + 1}`);

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

/** A PACS that answers as `routes` say ("GET /path" without query); everything else is 404. */
export async function pacsWith(
  routes: Readonly<Record<string, RequestListener>>,
  options: { store?: boolean; allowed?: string[]; decode?: Decoder } = {},
): Promise<{ pacs: DicomwebPacs; server: TestServer; calls: () => string[] }> {
  const server = await serve((request, response) => {
    const listener = routes[`${request.method} ${request.url?.split('?')[0]}`];
    if (listener === undefined) response.writeHead(404).end();
    else listener(request, response);
  });
  const egress = new Egress([{ name: 'pacs', baseUrl: `${server.origin}/pacs`, authorization: 'Bearer pacs-token' }]);
  open.push(
    () => egress.close(),
    () => server.close(),
  );
  const pacs = new DicomwebPacs({
    egress,
    baseUrl: `${server.origin}/pacs`,
    allowed: options.allowed ?? [],
    decode: options.decode ?? pixelDecoder,
    store: options.store ?? true,
  });
  return { pacs, server, calls: () => server.requests.map((request) => `${request.method} ${request.url}`) };
}

/** Answers with DICOM JSON. */
export const json =
  (body: unknown, status = 200): RequestListener =>
  (_request, response) =>
    response.writeHead(status, { 'content-type': 'application/dicom+json' }).end(JSON.stringify(body));

/** Answers with DICOM objects as multipart/related; `cutOff` ends the connection before the closing delimiter. */
export const multipart =
  (objects: readonly Uint8Array[], cutOff = false): RequestListener =>
  (_request, response) => {
    response.writeHead(200, { 'content-type': 'multipart/related; type="application/dicom"; boundary="=b="' });
    for (const object of objects) {
      response.write('\r\n--=b=\r\nContent-Type: application/dicom\r\n\r\n');
      response.write(object);
    }
    if (cutOff) response.write('\r\n--=b=\r\n', () => response.destroy());
    else response.end('\r\n--=b=--\r\n');
  };

/** Header of an instance of SERIES as a listing gives it. */
export function dicomJson(study: string, instance: string): object {
  const attribute = (vr: string, value: unknown): object => ({ vr, Value: [value] });
  return {
    '00080016': attribute('UI', '1.2.840.10008.5.1.4.1.1.2'),
    '00080018': attribute('UI', instance),
    '00080060': attribute('CS', 'CT'),
    '0020000D': attribute('UI', study),
    '0020000E': attribute('UI', SERIES),
  };
}
