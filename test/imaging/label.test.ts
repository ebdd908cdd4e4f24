/** A generated slice says so in its own pixels, in every frame, in every viewer. */
import { describe, expect, it } from '@jest/globals';
import dicomParser from 'dicom-parser';
import { writeFollowUpImage } from '../../api/dicom/follow-up-image.ts';
import { assembleVolume } from '../../api/imaging/assemble-volume.ts';
import { burnLabel, labelGeneratedSlices, placeLabel } from '../../api/imaging/label.ts';
import { lineHeight, textWidth } from '../../api/imaging/text.ts';
import { syntheticHead } from '../support/synthetic-head.ts';

const frames = syntheticHead({ matrix: 256, fieldOfViewMm: 270, slices: 14 });
const { volume } = assembleVolume(frames);
const size = volume.rows * volume.columns;

describe('The label in generated slices', () => {
  const placement = placeLabel(volume);
  const labelled = labelGeneratedSlices(volume, volume.hu);

  it('says that the image is AI-generated, not acquired, for research', () => {
    expect(placement.lines.join(' ')).toBe('AI-GENERATED NOT ACQUIRED RESEARCH USE ONLY');
  });

  it('stands in the pixels of every slice: white letters on black in the brain window, whole and legible', () => {
    const widest = Math.max(...placement.lines.map((line) => textWidth(line, placement.face)));
    expect(placement.width).toBeGreaterThanOrEqual(widest);
    expect(placement.height).toBeGreaterThanOrEqual(placement.lines.length * lineHeight(placement.face));
    expect(placement.column + placement.width).toBeLessThanOrEqual(volume.columns);
    expect(placement.row + placement.height).toBeLessThanOrEqual(volume.rows);

    const expected = new Float32Array(size).fill(-5000);
    burnLabel(expected, volume.columns, placement);
    const letters = [...expected].flatMap((hu, at) => (hu === 80 ? [at] : []));
    expect(letters.length).toBeGreaterThan(150);
    for (let slice = 0; slice < volume.slices; slice++)
      for (const at of letters) expect(labelled[slice * size + at]).toBe(80);
  });

  it('lies where it covers least of the head and changes no pixel beside it', () => {
    let [covered, changedOutside] = [0, 0];
    labelled.forEach((hu, at) => {
      const [row, column] = [Math.floor((at % size) / volume.columns), at % volume.columns];
      const inside =
        row >= placement.row &&
        row < placement.row + placement.height &&
        column >= placement.column &&
        column < placement.column + placement.width;
      if (inside && volume.hu[at] > -300) covered++;
      if (!inside && hu !== volume.hu[at]) changedOutside++;
    });
    expect(covered).toBe(0); // a round head leaves the corners free
    expect(changedOutside).toBe(0);
  });

  it('is not dropped where the head fills the picture', () => {
    const full = { ...volume, hu: new Float32Array(volume.hu.length).fill(30) };
    expect(labelGeneratedSlices(full, full.hu).filter((hu) => hu === 80).length).toBeGreaterThan(150 * volume.slices);
  });

  it('fits a matrix of 128', () => {
    const small = assembleVolume(syntheticHead({ matrix: 128, slices: 3 })).volume;
    const { row, column, width, height, face, lines } = placeLabel(small);
    expect(Math.max(...lines.map((line) => textWidth(line, face)))).toBeLessThanOrEqual(width);
    expect(row + height).toBeLessThanOrEqual(128);
    expect(column + width).toBeLessThanOrEqual(128);
  });

  it('arrives in every frame of the DICOM object, which reads as before: HU + 1024, all slices', () => {
    const { bytes } = writeFollowUpImage({
      headers: frames.map(({ header }) => header),
      volume,
      followUpHu: labelled,
      identity: 'label-test',
      model: { name: 'hemocast-test', version: '1.2.3', sha256: 'ab'.repeat(32), disclaimer: 'Research use only.' },
    });
    const object = dicomParser.parseDicom(bytes);
    expect(object.intString('x00280008')).toBe(volume.slices);
    const { dataOffset, length } = object.elements.x7fe00010;
    expect(length).toBe(volume.slices * size * 2);
    const pixels = new DataView(bytes.buffer, bytes.byteOffset + dataOffset, length);
    let differing = 0;
    labelled.forEach((hu, at) => {
      if (Math.abs(pixels.getUint16(2 * at, true) - (Math.round(hu) + 1024)) > 1) differing++;
    });
    expect(differing).toBe(0);
    expect(object.string('x0008103e')).toMatch(/^AI-GENERATED NOT ACQUIRED/);
  });
});
