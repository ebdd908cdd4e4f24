/** The sandbox's FHIR server and DICOMweb archive, as this page's own backend. */
import type { Bundle, Resource } from '@medplum/fhirtypes';

export const FHIR = '/sandbox/fhir';

export interface SearchResult {
  readonly bundle: Bundle;
  readonly resources: readonly Resource[];
}

/** One page of a search; the sandbox's charts are small. */
export async function search(query: string): Promise<SearchResult> {
  const response = await fetch(`${FHIR}/${query}`, { headers: { accept: 'application/fhir+json' } });
  if (!response.ok) throw new Error(`The chart answered ${response.status} to ${query}.`);
  const bundle = (await response.json()) as Bundle;
  return { bundle, resources: (bundle.entry ?? []).flatMap(({ resource }) => resource ?? []) };
}

export async function searchOf<T extends Resource>(
  resourceType: T['resourceType'],
  query: string,
): Promise<readonly T[]> {
  const { resources } = await search(`${resourceType}?${query}`);
  return resources.filter((resource): resource is T => resource.resourceType === resourceType);
}

/** PUT of a resource that exists. */
export async function update(resource: Resource): Promise<void> {
  const response = await fetch(`${FHIR}/${resource.resourceType}/${resource.id}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/fhir+json' },
    body: JSON.stringify(resource),
  });
  if (!response.ok) throw new Error(`The chart did not take the change (${response.status}).`);
}

/** STOW-RS of whole files (PS3.18 10.5). Returns the Study Instance UID of what was stored. */
export async function storeDicom(files: readonly File[]): Promise<string> {
  const boundary = `hemocast-${crypto.randomUUID()}`;
  const parts = files.flatMap((file) => [`--${boundary}\r\nContent-Type: application/dicom\r\n\r\n`, file, '\r\n']);
  const response = await fetch('/sandbox/dicomweb/studies', {
    method: 'POST',
    headers: {
      'content-type': `multipart/related; type="application/dicom"; boundary=${boundary}`,
      accept: 'application/dicom+json',
    },
    body: new Blob([...parts, `--${boundary}--\r\n`]),
  });
  if (!response.ok) {
    throw new Error(
      response.status === 409
        ? 'The archive did not store all of the files: it takes DICOM files only.'
        : `The archive did not store the files (${response.status}).`,
    );
  }
  // RetrieveURL of the study: ".../studies/<uid>"
  const stored = (await response.json()) as Record<string, { readonly Value?: readonly unknown[] } | undefined>;
  const uid = /\/studies\/([\d.]+)$/.exec(String(stored['00081190']?.Value?.[0]))?.[1];
  if (uid === undefined) throw new Error('The archive did not say which study it stored.');
  return uid;
}
