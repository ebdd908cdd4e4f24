import { FHIR } from './fhir.ts';

/**
 * An EHR launch (SMART App Launch 2.2): the EHR keeps who and what, the app gets an opaque word for it. The `appContext` of a card's
 * link goes along as it is and comes with the token (CDS Hooks 2.0.1, "Link").
 */
export async function launchUrl(patient: string, appContext?: string): Promise<string> {
  const response = await fetch('/sandbox/launch', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ patient, appContext }),
  });
  if (!response.ok) throw new Error(`The launch was refused (${response.status}).`);
  const { launch } = (await response.json()) as { launch: string };
  const iss = new URL(FHIR, location.origin).href;
  return `/app/launch.html?${new URLSearchParams({ iss, launch }).toString()}`;
}
