/** Whether the two tasks of the network say the same: the blood in the generated image, and the probability of hemorrhage. */

export interface AgreementLimits {
  /** Hyperdense volume from which on the generated image shows blood, mL. */
  readonly bloodMl: number;
  /** Below this probability, such an image contradicts it; 0..1, not shifted to any prevalence. */
  readonly low: number;
  /** From this probability on, an image without any hyperdense component contradicts it. */
  readonly high: number;
}

/** Of a bundle that states none. Wide apart: the generated image leaves out blood of which the network is unsure. */
export const AGREEMENT: AgreementLimits = { bloodMl: 1, low: 0.15, high: 0.85 };

/**
 * @param probability calibrated: what the network says, before any assumption about the hospital
 * @param generatedMl hyperdense volume of the generated image
 * @param initialMl of the initial CT: what was dense before and stays so (calcification, metal) is no contradiction
 */
export function tasksDisagree(
  {
    probability,
    generatedMl,
    initialMl,
  }: {
    readonly probability: number;
    readonly generatedMl: number;
    readonly initialMl: number;
  },
  limits: AgreementLimits,
): boolean {
  const grown = generatedMl - initialMl;
  return (probability < limits.low && grown >= limits.bloodMl) || (probability >= limits.high && generatedMl === 0);
}
