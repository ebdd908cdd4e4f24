/** Paging without following links anywhere: a next link is data from outside. The service holds to the same rule (api/ehr/next-page.ts). */

export interface Page {
  readonly link?: readonly { readonly relation?: string; readonly url?: string }[];
}

/**
 * The next link of a search bundle, relative to the base; undefined when there is none. Throws with words for the user for a link
 * that leads elsewhere: what lies behind it is not read, and a list without it would pass for the whole.
 */
export function nextPage({ link }: Page, baseUrl: string): string | undefined {
  const next = link?.find(({ relation }) => relation === 'next')?.url;
  if (next === undefined) return undefined;
  const base = new URL(`${baseUrl}/`);
  if (!URL.canParse(next, base.href)) throw outsideBase();
  const url = new URL(next, base);
  const basePath = base.pathname.slice(0, -1); // HAPI answers <base>?_getpages=..., without a slash
  const inside = url.pathname === basePath || url.pathname.startsWith(base.pathname);
  const encoded = /%(2e|2f|5c)|\\/i.test(url.pathname); // a server might decode them into another path
  if (url.origin !== base.origin || !inside || encoded || url.username !== '' || url.password !== '') {
    throw outsideBase();
  }
  return `${url.pathname.slice(base.pathname.length)}${url.search}`;
}

function outsideBase(): Error {
  return new Error('The EHR’s list goes on at an address outside of the EHR; it was not followed there.');
}
