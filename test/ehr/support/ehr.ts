/** The adapter at the real door: through egress, over HTTP, to a server on loopback. */
import { FhirEhr } from '../../../api/ehr/fhir-ehr.ts';
import type { FhirEhrOptions } from '../../../api/ehr/fhir-ehr.ts';
import { Egress } from '../../../api/egress/egress.ts';
import type { EgressLimits } from '../../../api/egress/egress.ts';
import { TestFhirServer } from './fhir-server.ts';

export interface EhrBench {
  readonly server: TestFhirServer;
  readonly ehr: FhirEhr;
  /** A second process on the same chart: nothing of the first one's memory. */
  restarted(options?: Partial<FhirEhrOptions>): FhirEhr;
  readonly signal: AbortSignal;
  close(): Promise<void>;
}

export async function openBench(limits: Partial<EgressLimits> = {}): Promise<EhrBench> {
  const server = new TestFhirServer();
  await server.start();
  const { baseUrl } = server;
  const egress = new Egress([{ name: 'EHR', baseUrl }], { limits });
  egress.install();
  const restarted = (options: Partial<FhirEhrOptions> = {}): FhirEhr => new FhirEhr({ baseUrl, egress, ...options });
  return {
    server,
    ehr: restarted(),
    restarted,
    signal: new AbortController().signal,
    close: async () => {
      await egress.close();
      await server.stop();
    },
  };
}
