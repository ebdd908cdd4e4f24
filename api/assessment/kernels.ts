/**
 * What a convolution kernel's name (0018,1210) says. DICOM leaves the text free, so vendor names are data here: patterns are
 * tried in order against the first value, upper case. A name no pattern knows is neither soft tissue nor bone.
 *
 * Edge-enhancing kernels are not read: they overshoot at the inner table of the skull by tens of HU and multiply the noise,
 * both of which look like hyperdensity to a threshold and were not in the training data.
 */
export type KernelKind = 'soft-tissue' | 'bone' | 'unknown';

interface KernelPattern {
  readonly vendor: string;
  readonly pattern: RegExp;
  readonly kind: KernelKind;
  readonly reason: string;
}

export const KERNEL_PATTERNS: readonly KernelPattern[] = [
  {
    vendor: 'any',
    pattern: /BONE|KNOCHEN|EDGE|LUNG|SHARP|INNER ?EAR|^ULTRA/,
    kind: 'bone',
    reason: 'names of edge-enhancing kernels, e.g. GE BONE, BONEPLUS, EDGE, LUNG, ULTRA',
  },
  {
    vendor: 'GE',
    pattern: /^(SOFT|STANDARD|STND|STD\+?|SMOOTH|BRAIN)/,
    kind: 'soft-tissue',
    reason: 'GE SOFT and STANDARD families, HiSpeed STD+; also the plain words other vendors use',
  },
  {
    vendor: 'Canon/Toshiba',
    pattern: /^FC(3\d|5\d|8\d)/,
    kind: 'bone',
    reason: 'FC30-39 bone and inner ear, FC50-59 lung, FC80-89 high-resolution bone',
  },
  {
    vendor: 'Canon/Toshiba',
    pattern: /^FC(0\d|1\d|2\d|4\d|6\d)/,
    kind: 'soft-tissue',
    reason: 'body and brain, with or without beam-hardening correction',
  },
  {
    vendor: 'Siemens',
    pattern: /^[A-Z]{1,2}[6-9]\d[A-Z]?\b/,
    kind: 'bone',
    reason:
      'H60s, H70h, Hr64, U70u, Br68 ...: the number is the sharpness; from 60 on made for bone, lung and inner ear',
  },
  {
    vendor: 'Siemens',
    pattern: /^[A-Z]{1,2}[1-5]\d[A-Z]?\b/,
    kind: 'soft-tissue',
    reason: 'H31s, J40s, Hr38, Qr40 ...',
  },
  { vendor: 'Philips', pattern: /^(D|E|L|Y[A-E])$/, kind: 'bone', reason: 'D and E bone and detail, L lung, Y- sharp' },
  {
    vendor: 'Philips',
    pattern: /^(A|B|C|U[A-C])$/,
    kind: 'soft-tissue',
    reason: 'A-C smooth to standard, UA-UC brain',
  },
];

/** Kind of the first value of Convolution Kernel; `unknown` when absent. */
export function kernelKind(convolutionKernel: readonly string[] | undefined): KernelKind {
  const name = convolutionKernel?.[0]?.trim().toUpperCase();
  if (name === undefined || name === '') return 'unknown';
  return KERNEL_PATTERNS.find(({ pattern }) => pattern.test(name))?.kind ?? 'unknown';
}
