/** An acknowledged assessment survives the death of the process: after a restart it ends, once. */
import { afterAll, describe, expect, it } from '@jest/globals';
import { pause, ServiceProcess } from '../support/service-process.ts';

let service: ServiceProcess | undefined;
afterAll(() => service?.stopAndForget());

/** kill -9 as soon as the assessment has reached the stage; null: as soon as it was acknowledged. */
async function killAt(running: ServiceProcess, id: string, stage: string | null): Promise<void> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const assessment = (await (await running.fetch(`/v1/assessments/${id}`)).json()) as {
      stage: string | null;
      status: string;
    };
    if (stage === null || assessment.stage === stage) break;
    if (assessment.status === 'completed') throw new Error(`The assessment completed before "${stage}" was seen.`);
    if (Date.now() > deadline) throw new Error(`"${stage}" was never reached.`);
    await pause(2);
  }
  await running.stop('SIGKILL');
}

describe('A service that is killed while it works', () => {
  it.each([
    ['after the request was acknowledged', 'moreau-claire', null],
    ['while images are retrieved', 'haddad-omar', 'retrieving'],
    ['while the scan is read', 'novak-petra', 'reading-scan'],
    ['while the result is written into the chart', 'silva-bento', 'writing-back'],
  ])(
    '%s ends the assessment after a restart, with exactly one RiskAssessment',
    async (_, patient, stage) => {
      service ??= await ServiceProcess.start();
      const { body } = await service.assess(`ImagingStudy/${patient}-ct`);
      await killAt(service, body.id, stage);
      service = await ServiceProcess.start({}, service.dataDir);
      const assessment = await service.finished(body.id);
      expect(assessment.status).toBe('completed');
      const { total, entry } = await service.fhir(`RiskAssessment?subject=Patient/${patient}`);
      expect(total).toBe(1);
      expect(`RiskAssessment/${entry[0].resource.id}`).toBe(assessment.resources!.riskAssessment);
      for (const type of ['Media', 'Observation']) {
        const written = await service.fhir(`${type}?subject=Patient/${patient}&_summary=count`);
        expect(written.total).toBe(type === 'Media' ? 2 : 5);
      }
    },
    120_000,
  );

  it('keeps its two assessed patients, and finds them again instead of assessing them anew', async () => {
    const { items } = (await (await service!.fetch('/v1/assessments?patient=Patient/rivera-ana')).json()) as {
      items: { revision: number; status: string }[];
    };
    expect(items).toMatchObject([{ revision: 1, status: 'completed' }]);
  });
});
