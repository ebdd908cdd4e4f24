import { FHIR } from './fhir.ts';

/** An EHR launch (SMART App Launch 2.2): the EHR keeps who and what, the app gets an opaque word for it. */
export async function launchUrl(patient: string, imagingStudy?: string): Promise<string> {
  const response = await fetch('/sandbox/launch', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ patient, ...(imagingStudy !== undefined && { imagingStudy }) }),
  });
  if (!response.ok) throw new Error(`The launch was refused (${response.status}).`);
  const { launch } = (await response.json()) as { launch: string };
  const iss = new URL(FHIR, location.origin).href;
  return `/app/launch.html?${new URLSearchParams({ iss, launch }).toString()}`;
}
