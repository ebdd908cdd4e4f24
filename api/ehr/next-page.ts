/** Paging without following links anywhere: a next link is data from outside. */
import { UpstreamError } from '../errors.ts';

/**
 * The next link of a search bundle as a path relative to the base, with a leading slash. Undefined when there is none.
 * Throws UpstreamError `ehr-link-outside-base` for a link that leads elsewhere: another origin, outside the base path, with
 * credentials, or with encoded dots or slashes that a server might decode into another path.
 */
export function relativeNextLink(
  bundle: { readonly link?: readonly { readonly relation?: string; readonly url?: string }[] },
  baseUrl: string,
): string | undefined {
  const link = bundle.link?.find(({ relation }) => relation === 'next')?.url;
  if (link === undefined) return undefined;
  const base = new URL(`${baseUrl.replace(/\/+$/, '')}/`);
  if (!URL.canParse(link, base.href)) throw outsideBase();
  const url = new URL(link, base);
  const basePath = base.pathname.slice(0, -1); // HAPI answers <base>?_getpages=..., without a slash
  const inside = url.pathname === basePath || url.pathname.startsWith(base.pathname);
  const encoded = /%(2e|2f|5c)|\\/i.test(url.pathname);
  if (url.origin !== base.origin || !inside || encoded || url.username !== '' || url.password !== '')
    throw outsideBase();
  return `/${url.pathname.slice(base.pathname.length)}${url.search}`;
}

function outsideBase(): UpstreamError {
  return new UpstreamError(
    'ehr-link-outside-base',
    'The next-page link of the EHR leads outside its FHIR base; it was not followed. Check the base URL the EHR announces.',
  );
}
