/** The systems of a hospital by name: the EHR and the PACS in use, the sandbox's own where none is configured. */
import type { EhrAccess } from './compose-ehr-access.ts';
import type { Config } from './config.ts';

export type Systems = ReturnType<typeof nameSystems>;

/** Who is asked for what, and every base that may be dialled with the one credential that goes there. */
export function nameSystems(config: Config, url: string, access: EhrAccess | undefined) {
  const sandboxEhr = { baseUrl: `${url}/sandbox/fhir`, authorization: undefined };
  const sandboxPacs = { baseUrl: `${url}/sandbox/dicomweb`, authorization: undefined };
  const ehr = { ...(config.ehr ?? sandboxEhr), sandbox: config.ehr === undefined };
  const pacs = { ...(config.pacs ?? sandboxPacs), sandbox: config.pacs === undefined };
  // The sandbox's own patients stay readable beside a real PACS.
  const other = [...config.allowedDicomweb, ...(ehr.sandbox && !pacs.sandbox ? [sandboxPacs] : [])];
  const all = [
    { name: 'ehr', ...ehr, credential: access?.credential },
    { name: 'pacs', ...pacs },
    ...other.map((system) => ({ name: 'pacs', ...system })),
  ];
  return { ehr, pacs, otherDicomweb: other.map(({ baseUrl }) => baseUrl), all };
}
