/** A scan of one's own, from the file to the forecast: each step is said as it happens. */
import type { ImagingStudy } from '@medplum/fhirtypes';
import { useState } from 'react';
import { nextStep, stageText } from '../chart/work.ts';
import type { Assessment } from '../chart/work.ts';
import { searchOf, storeDicom } from './fhir.ts';

const LOOK_MS = 500;

/** `onStored`: the study is in the chart of this patient. */
export function Upload({ onStored }: { readonly onStored: (patientId: string) => void }) {
  const [steps, setSteps] = useState<readonly string[]>([]);
  const [busy, setBusy] = useState(false);

  const upload = async (files: readonly File[]): Promise<void> => {
    const said = [`Storing ${files.length} files in the archive …`];
    const say = (step: string): void => setSteps([...said, step]);
    const done = (step: string): void => void (said.push(step), setSteps([...said]));
    setBusy(true);
    setSteps(said);
    try {
      const study = await studyInChart(await storeDicom(files));
      const patient = study.subject.reference ?? '';
      done(
        `In the chart of ${study.subject.display ?? 'the patient whom the files name'}: ${study.numberOfInstances ?? files.length} images.`,
      );
      onStored(patient.replace('Patient/', ''));
      for await (const assessment of assess(`ImagingStudy/${study.id}`)) {
        if (isOver(assessment)) done(resultText(assessment));
        else say(`${stageText(assessment)} …`);
      }
    } catch (error) {
      done(error instanceof Error ? error.message : 'It could not be stored.');
    }
    setBusy(false);
  };
  return (
    <section aria-labelledby="upload">
      <h2 id="upload">Upload a DICOM study</h2>
      <label>
        Files of one head CT{' '}
        <input
          type="file"
          multiple
          disabled={busy}
          onChange={({ target }) => {
            const files = [...(target.files ?? [])];
            target.value = '';
            if (files.length > 0) void upload(files);
          }}
        />
      </label>
      <p className="quiet">They stay on this machine.</p>
      <div role="status" aria-label="What happens with the upload">
        <ol className="steps">
          {steps.map((step, at) => (
            <li key={at}>{step}</li>
          ))}
        </ol>
      </div>
    </section>
  );
}

async function studyInChart(uid: string): Promise<ImagingStudy> {
  const [study] = await searchOf<ImagingStudy>('ImagingStudy', `identifier=urn:dicom:uid|urn:oid:${uid}`);
  if (study === undefined) throw new Error('Stored, but the chart has no entry for this study.');
  return study;
}

/** Asks for a forecast and yields how far it is, until it is over. */
async function* assess(imagingStudy: string): AsyncGenerator<Assessment> {
  const answer = async (response: Response): Promise<Assessment> => {
    const body = (await response.json()) as Assessment & { readonly detail?: string };
    if (!response.ok) throw new Error(body.detail ?? `The hemocast service answered ${response.status}.`);
    return body;
  };
  let assessment = await answer(
    await fetch('/v1/assessments', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ imagingStudy }),
    }),
  );
  yield assessment;
  while (!isOver(assessment)) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    assessment = await answer(await fetch(`/v1/assessments/${assessment.id}`));
    yield assessment;
  }
}

function isOver({ status }: Assessment): boolean {
  return ['completed', 'refused', 'failed', 'cancelled'].includes(status);
}

function resultText({ status, refusal, resources }: Assessment): string {
  if (status === 'completed' && resources === null)
    return 'The result is kept, and not in the chart (shadow operation).';
  if (status === 'completed') return 'The forecast is in the chart. Open hemocast to see it.';
  if (status === 'refused') return `No forecast: ${refusal?.message ?? 'refused.'} ${nextStep(refusal?.code ?? '')}`;
  return status === 'failed' ? 'The assessment failed; the scan is not at fault.' : 'The assessment was cancelled.';
}
