/** A forecast as the service files it in an EHR that keeps neither RiskAssessment nor Media, put into the sandbox's chart. */
import { rolesOf, toResource } from '../../../api/ehr/report-resources.ts';
import type { Assessment } from '../../../api/assessment/assessment.ts';
import type { Prediction } from '../../../api/prediction/prediction.ts';
import { MODEL, aReport } from '../../ehr/support/report.ts';
import { PLAIN, written } from '../../ehr/support/written.ts';
import type { ServiceProcess } from '../../support/service-process.ts';
import { putResource } from './app-browser.ts';

/** The numbers and the picture are those of `like`, an assessed patient. */
export async function fileInPlainForm(service: ServiceProcess, patient: string, like: string): Promise<void> {
  const listed = (await (await service.fetch(`/v1/assessments?patient=Patient/${like}`)).json()) as {
    items: (Pick<Assessment, 'resources'> & { prediction: Prediction; disclaimer: string })[];
  };
  const [{ prediction, disclaimer, resources }] = listed.items.filter((one) => one.prediction !== null);
  const study = {
    patientReference: `Patient/${patient}`,
    encounterReference: undefined,
    thrombectomy: undefined,
    reference: { resourceType: 'ImagingStudy', id: `${patient}-ct` },
  } as const;
  const { started: initialCtAt } = await service.fhir(`ImagingStudy/${patient}-ct`);
  const model = { ...MODEL, disclaimer };
  const plain = await written(aReport({ study, prediction, report: { model, initialCtAt } }), PLAIN);
  const comparison = await comparisonOf(service, resources!.riskAssessment);
  const report = {
    ...plain,
    references: { ...plain.references, binaries: { comparison: comparison.url } },
    pictureDigests: { ...plain.pictureDigests, comparison: comparison.hash },
  };
  for (const role of rolesOf(PLAIN)) {
    const part = toResource(role, report, PLAIN);
    await putResource(service, part as typeof part & { id: string });
  }
}

async function comparisonOf(service: ServiceProcess, forecast: string): Promise<{ url: string; hash: string }> {
  const { entry } = await service.fhir(`Provenance?target=${forecast}`);
  const targets: string[] = entry[0].resource.target.map(({ reference }: { reference: string }) => reference);
  for (const target of targets.filter((reference) => reference.startsWith('Media/'))) {
    const { content } = await service.fhir(target);
    if (content.contentType === 'image/png') return content;
  }
  throw new Error(`${forecast} has no comparison picture.`);
}
