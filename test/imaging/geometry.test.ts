import { describe, expect, it } from '@jest/globals';
import {
  angleBetweenLinesDeg,
  cellThicknesses,
  cross,
  evenPositions,
  slicePositions,
  sliceSpacings,
} from '../../api/imaging/geometry.ts';
import { assembleVolume } from '../../api/imaging/assemble-volume.ts';
import { syntheticHead } from '../support/synthetic-head.ts';

describe('Positions and thicknesses', () => {
  const z = Float64Array.of(0, 4, 5, 12);

  it('let a slice stand for half the way to each neighbour, at an end for half the one gap', () => {
    expect([...cellThicknesses(z)]).toEqual([2, 2.5, 4, 3.5]);
    expect(cellThicknesses(z).reduce((a, b) => a + b)).toBe(12); // together the whole stack
  });

  it('call the mean of the two gaps the spacing at a slice, at an end the one gap', () => {
    expect([...sliceSpacings(z)]).toEqual([4, 2.5, 4, 7]);
  });

  it('count evenly from the first', () => {
    expect([...evenPositions(-1, 0.5, 4)]).toEqual([-1, -0.5, 0, 0.5]);
  });

  it('give columns x rows = slices: left x posterior = superior in LPS', () => {
    expect(cross([1, 0, 0], [0, 1, 0])).toEqual([0, 0, 1]);
  });

  it('measure the angle of lines, whichever way they point', () => {
    expect(angleBetweenLinesDeg([0, 0, 1], [0, 0, -2])).toBe(0);
    expect(angleBetweenLinesDeg([0, 1, 1], [0, 0, 1])).toBeCloseTo(45, 12);
    expect(angleBetweenLinesDeg([1, 0, 0], [0, 3, 0])).toBeCloseTo(90, 12);
  });

  it('see gantry tilt as rows that begin elsewhere in each slice: 5 mm of table feed at 30 degrees', () => {
    const { volume } = assembleVolume(syntheticHead({ tiltDeg: 30, gapMm: 5, slices: 3, matrix: 16 }));
    const { x, y, z: heights } = slicePositions(volume);
    // The normal is (0, sin 30, cos 30), the direction of the rows (0, cos 30, -sin 30); the table moves along (0, 0, 1).
    expect(heights[1] - heights[0]).toBeCloseTo(5 * Math.cos(Math.PI / 6), 9); // 4.33 mm between planes
    expect(y[1] - y[0]).toBeCloseTo(-5 * Math.sin(Math.PI / 6), 9); // 2.5 mm further to the front of each plane
    expect(x[1] - x[0]).toBeCloseTo(0, 9);
  });
});
