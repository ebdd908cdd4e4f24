/** DICOMweb addresses: which PACS a study is read from, and the URLs of its resources (PS3.18 table 10.1-1). */
import { UpstreamError } from '../errors.ts';

/**
 * The DICOMweb root to ask for a study. `addresses` come from the EHR (Endpoint.address) and may be the root or the study's
 * own URL; the first that is allow-listed is taken. Without any address it is `configuredRoot`.
 *
 * Throws UpstreamError `endpoint-not-allowed` when addresses are named and none is allow-listed: the study may lie in a PACS
 * this service does not know, and must not be looked for in another. `endpoint-names-another-study` when one does.
 */
export function chooseRoot(
  studyInstanceUid: string,
  addresses: readonly string[],
  configuredRoot: string,
  allowedRoots: readonly string[],
): string {
  if (addresses.length === 0) return withoutTrailingSlash(configuredRoot);
  const known = [configuredRoot, ...allowedRoots];
  for (const address of addresses) {
    const named = parseAddress(address);
    const root = named && known.find((candidate) => parseAddress(candidate)?.root === named.root);
    if (named === undefined || root === undefined) continue;
    if (named.studyInstanceUid !== undefined && named.studyInstanceUid !== studyInstanceUid) {
      throw new UpstreamError(
        'endpoint-names-another-study',
        'The Endpoint of the ImagingStudy is the URL of another study; correct Endpoint.address in the EHR.',
      );
    }
    return withoutTrailingSlash(root);
  }
  throw new UpstreamError(
    'endpoint-not-allowed',
    'The EHR names a DICOMweb address that is not allow-listed; add its root to ALLOWED_DICOMWEB_URLS if it is one of yours.',
    { hosts: addresses.map(hostOf) },
  );
}

/** Takes "<root>[/studies/<uid>[/series/<uid>]]" apart. Undefined when it is not a plain http(s) URL. */
function parseAddress(address: string): { readonly root: string; readonly studyInstanceUid?: string } | undefined {
  const text = address.trim();
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  if (!/^https?:$/.test(url.protocol) || url.username || url.password || url.search || url.hash) return undefined;
  const path = /^(.*?)(?:\/studies(?:\/([0-9.]+)(?:\/series(?:\/[0-9.]+)?)?)?)?\/*$/.exec(url.pathname);
  return path === null ? undefined : { root: url.origin + withoutTrailingSlash(path[1]), studyInstanceUid: path[2] };
}

function withoutTrailingSlash(url: string): string {
  return url.replace(/\/+$/, '');
}

function hostOf(address: string): string {
  return URL.canParse(address) ? new URL(address).host : 'unreadable';
}

/** URL of a study, or of a series or instance in it. Throws UpstreamError when a UID is not one: UIDs become paths. */
export function resourceUrl(root: string, studyInstanceUid: string, series?: string, instance?: string): string {
  const levels = [
    ['studies', studyInstanceUid],
    ['series', series],
    ['instances', instance],
  ] as const;
  return levels.reduce((url, [level, uid]) => (uid === undefined ? url : `${url}/${level}/${checkUid(uid)}`), root);
}

/** A DICOM UID (PS3.5 9.1), or UpstreamError `uid-invalid`. */
export function checkUid(uid: string): string {
  if (/^[0-9]+(\.[0-9]+)*$/.test(uid) && uid.length <= 64) return uid;
  throw new UpstreamError('uid-invalid', 'A study, series or instance UID is not a DICOM UID; correct it in the EHR.');
}
