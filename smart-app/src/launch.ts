/** /app/launch.html: from the EHR's launch, or from none, to its authorization server (SMART App Launch 2.2). */
import FHIR from 'fhirclient';
import { readConfig } from './session/config.ts';
import { newState, readLaunchRequest, scopesOf } from './session/launch-request.ts';
import type { LaunchRequest } from './session/launch-request.ts';

const status = document.getElementById('status')!;

try {
  await follow(readLaunchRequest(location.search, await readConfig()));
} catch (error) {
  say(`The EHR could not be reached: ${error instanceof Error ? error.message : 'unknown reason'}`);
}

async function follow(request: LaunchRequest): Promise<void> {
  switch (request.kind) {
    case 'refused':
      return say(`hemocast was not opened. ${request.reason}`);
    case 'choose':
      return choose(request.issuers.map(({ iss }) => iss));
    case 'ehr':
    case 'standalone':
      await authorize(request);
  }
}

/** Every tab and frame keeps its state under a key of its own, so that two patients in one window never mix. */
async function authorize(request: LaunchRequest & { kind: 'ehr' | 'standalone' }): Promise<void> {
  FHIR.oauth2.settings.fullSessionStorageSupport = false;
  await FHIR.oauth2.authorize({
    iss: request.issuer.iss,
    clientId: request.issuer.clientId,
    scope: scopesOf(request.kind),
    redirectUri: new URL('/app/index.html', location.origin).href,
    pkceMode: 'required',
    stateKey: newState(),
    completeInTarget: true,
    ...(request.kind === 'ehr' && { launch: request.launch }),
  });
}

function choose(issuers: readonly string[]): void {
  say('Choose the EHR to open:');
  const list = document.createElement('ul');
  for (const iss of issuers) {
    const link = document.createElement('a');
    link.href = `/app/launch.html?iss=${encodeURIComponent(iss)}`;
    link.textContent = iss;
    list.append(document.createElement('li'));
    list.lastElementChild!.append(link);
  }
  status.after(list);
}

function say(text: string): void {
  status.textContent = text;
}
