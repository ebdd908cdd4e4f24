/** Reading one scan, from decoded frames to prediction and pictures: pure but for the network. Runs in the reading worker. */
import type { SeriesInput, SeriesReading } from '../assessment/ports.ts';
import { writeFollowUpImage } from '../dicom/follow-up-image.ts';
import { assembleVolume } from '../imaging/assemble-volume.ts';
import { backProject } from '../imaging/back-projection.ts';
import { drawComparison } from '../imaging/comparison.ts';
import { findHeadCenter } from '../imaging/head-grid.ts';
import { assertHead } from '../imaging/anatomy.ts';
import { labelGeneratedSlices } from '../imaging/label.ts';
import { resampleToGrid } from '../imaging/resample.ts';
import type { GridVolume } from '../imaging/volume.ts';
import { tasksDisagree } from '../prediction/agreement.ts';
import { flag, gravestFirst } from '../prediction/flags.ts';
import { generatedHyperdenseVolumeMl, measure } from '../prediction/measurements.ts';
import { toPrediction } from '../prediction/probability.ts';
import { RefusalError } from '../prediction/refusals.ts';
import type { Bundle } from './bundle.ts';
import type { OnnxModel } from './onnx-model.ts';
import { makeResultMaps } from './result-maps.ts';

/** Throws RefusalError for what cannot be vouched for. `onStage`: name of the step that begins and the fraction done before it. */
export async function readSeries(
  input: SeriesInput,
  bundle: Bundle,
  model: Pick<OnnxModel, 'run' | 'executionProvider'>,
  onStage: (stage: string, fraction: number) => void = () => undefined,
): Promise<SeriesReading> {
  const timings: Record<string, number> = {};
  const step = async <T>(stage: string, fraction: number, work: () => T | Promise<T>): Promise<T> => {
    onStage(stage, fraction);
    const begin = performance.now();
    const result = await work();
    timings[stage] = Math.round(performance.now() - begin);
    return result;
  };

  const { volume, flags } = await step('assemble-volume', 0, () => assembleVolume(input.frames));
  const anatomy = await step('recognize-head', 0.1, () => assertHead(volume));
  const { shape, spacingMm, padHu } = bundle.input;
  const image = await step('resample', 0.25, () =>
    clipped(resampleToGrid(volume, findHeadCenter(volume), shape, spacingMm, padHu), bundle.followUpRangeHu),
  );
  const output = await step('network', 0.35, () => model.run(image.hu));
  const { threshold, refuseAbove } = bundle.outOfDistribution;
  if (refuseAbove !== null && output.oodScore > refuseAbove) {
    throw new RefusalError('out-of-distribution', 'The scan is too unlike anything the network was trained on.', {
      score: output.oodScore,
      limit: refuseAbove,
    });
  }
  const measurements = await step('measure', 0.45, () => measure(volume, anatomy));
  const followUpHu = await step('back-project', 0.55, () => backProject(volume, image, output.followUpHu));
  const generatedMl = await step('measure-generated', 0.65, () =>
    generatedHyperdenseVolumeMl(volume, anatomy, followUpHu),
  );
  const prediction = toPrediction({
    logit: output.logit,
    probability: output.probability,
    calibration: bundle.calibration,
    assumedPrevalence: input.assumedPrevalence,
    riskBandBounds: input.riskBandBounds,
    measurements,
    generatedHyperdenseVolumeMl: generatedMl,
  });
  const initialMl = measurements.hyperdenseVolumeMl.value ?? 0;
  const disagree = tasksDisagree({ probability: output.probability, generatedMl, initialMl }, bundle.agreement);
  const { seriesInstanceUid } = input.frames[0].header;
  const maps = makeResultMaps({ volume, image, output, seriesInstanceUid }, bundle);
  const limits = gravestFirst([
    flag('contrast-can-look-like-blood'),
    ...flags,
    ...anatomy.flags,
    ...(output.oodScore > threshold ? [flag('out-of-distribution')] : []),
    ...(disagree ? [flag('tasks-disagree')] : []),
    ...(prediction.probabilityInterval === null ? [flag('interval-absent')] : []),
  ]);
  const comparison = await step('draw', 0.75, () =>
    drawComparison({
      initial: volume,
      followUpHu,
      anatomy,
      prediction,
      flags: limits,
      disclaimer: bundle.description.disclaimer,
    }),
  );
  const followUp = await step('write-dicom', 0.9, () =>
    writeFollowUpImage({
      headers: input.frames.map((frame) => frame.header),
      volume,
      followUpHu: labelGeneratedSlices(volume, followUpHu),
      identity: input.identity,
      model: bundle.description,
    }),
  );
  return {
    prediction,
    flags: limits,
    maps,
    images: {
      comparisonPng: comparison.png,
      comparisonWidth: comparison.width,
      comparisonHeight: comparison.height,
      followUpDicom: followUp.bytes,
      followUpSopInstanceUid: followUp.sopInstanceUid,
      followUpSeriesInstanceUid: followUp.seriesInstanceUid,
      followUpFrames: volume.slices,
      followUpRows: volume.rows,
      followUpColumns: volume.columns,
    },
    executionProvider: model.executionProvider,
    timings,
  };
}

/**
 * The image within what the network can return. The graph clips its input alike (docs/bundle.md); metal beyond it would otherwise
 * be a change of thousands of HU to everything beside it.
 */
function clipped(image: GridVolume, [low, high]: readonly [number, number]): GridVolume {
  return { ...image, hu: image.hu.map((hu) => Math.min(high, Math.max(low, hu))) };
}
