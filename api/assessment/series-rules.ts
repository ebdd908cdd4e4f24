/**
 * The header rules a slice must meet, in the order in which they are asked (docs/series-choice.md). Each answers from one
 * header; an attribute that the sender left out of a listing may be unknown there, and is decided on the decoded file.
 */
import { rescaleOf } from '../imaging/hounsfield.ts';
import type { InstanceHeader } from '../imaging/volume.ts';
import type { RefusalCode, RefusalDetails } from '../prediction/refusals.ts';
import { RefusalError } from '../prediction/refusals.ts';
import { kernelKind } from './kernels.ts';

const CT_IMAGE_STORAGE = '1.2.840.10008.5.1.4.1.1.2'; // PS3.4 B.5

export const SERIES_LIMITS = {
  minSlices: 12,
  maxSliceThicknessMm: 8,
  pixelSpacingMm: { min: 0.2, max: 1.5 },
  tubeVoltageKv: { min: 70, max: 150 },
} as const;

/** Why a header fails a rule; `undefined` when it passes. */
type Failure = { readonly message: string; readonly details: RefusalDetails } | undefined;

export interface HeaderRule {
  readonly code: RefusalCode;
  /** True: slices that fail are left aside and the series is read without them (a scout among the slices). */
  readonly perSlice: boolean;
  /** `absent` says what a missing attribute means: on decoded files it decides, in a listing it does not. */
  readonly check: (header: InstanceHeader, decoded: boolean) => Failure;
}

/** Values of Image Type (0008,0008) beyond the third that mark a computed picture. */
const COMPUTED_TYPES =
  /^(LOCALIZER|MPR|CPR|MIP|MINIP|AVERAGE|3D.*|VRT|VOLUME|SSD|SCREEN SAVE|DOSE.*|REFORMATTED|PROJECTION.*|.*PERFUSION.*|CBF|CBV|MTT|TTP|TMAX|VMI|MONO.*|IODINE.*|VNC|DE_.*|SUBTRACTION|DERIVED|SECONDARY|MASK|OVERLAY)$/;

/** Words in Contrast/Bolus Agent (0018,0010) that say there was none. */
const NO_AGENT = /^(|NONE|NO|N|0|NIL|WITHOUT.*|NO CONTRAST.*|NON.?CONTRAST.*|UNENHANCED|OHNE|SANS|SIN)$/;

/** Series Description (0008,103E) of contrast phases and dual-energy maps; "post CTA" names the moment, not the series. */
const CONTRAST_WORDS =
  /(?<!POST[ -])\b(CTA|CTV|CTP|CECT|ANGIO\w*|PERF|PERFUSION|CBF|CBV|MTT|TMAX|TTP|IODINE|VNC|ZEFF|\d+ ?KEV|MONOENERGETIC|BONE REMOVAL|SUBTRACTION|POST ?CONTRAST|WITH CONTRAST|W\/? ?CONTRAST|ARTERIAL|VENOUS PHASE)\b|(^|[^\w+])(C\+|\+C)($|[^\w+])/;

const HEAD_WORDS = /HEAD|BRAIN|SKULL|CRANI|CRANEO|CEREB|ENCEPH|NEURO|KOPF|TETE/;

export const HEADER_RULES: readonly HeaderRule[] = [
  {
    code: 'synthetic-input',
    perSlice: true,
    check: (header) =>
      header.syntheticData?.trim().toUpperCase() === 'YES' || /^AI-GENERATED/i.test(header.seriesDescription ?? '')
        ? fails('The image was made by a model: send acquired images.', { syntheticData: header.syntheticData ?? null })
        : undefined,
  },
  {
    code: 'modality-not-ct',
    perSlice: true,
    check: ({ modality }, decoded) =>
      modality === 'CT' || (modality === undefined && !decoded)
        ? undefined
        : fails('Only CT is read.', { modality: modality ?? null }),
  },
  {
    code: 'sop-class-not-supported',
    perSlice: true,
    check: ({ sopClassUid }) =>
      sopClassUid === CT_IMAGE_STORAGE
        ? undefined
        : fails('Only CT Image Storage is read.', { sopClassUid, required: CT_IMAGE_STORAGE }),
  },
  {
    code: 'image-type-not-original-axial',
    perSlice: true,
    check: ({ imageType }, decoded) =>
      (imageType === undefined && !decoded) || isOriginalAxial(imageType ?? [])
        ? undefined
        : fails('Only original axial slices are read, no localizers, reformats or derived images.', {
            imageType: imageType ?? null,
          }),
  },
  {
    code: 'body-part-not-head',
    perSlice: false,
    check: ({ bodyPartExamined }) =>
      bodyPartExamined === undefined || HEAD_WORDS.test(bodyPartExamined.toUpperCase())
        ? undefined
        : fails('Body Part Examined names another body part: send the head CT.', { bodyPartExamined }),
  },
  {
    code: 'contrast-enhanced',
    perSlice: false,
    check: (header) =>
      hasContrast(header)
        ? fails(
            'A contrast agent was given or this is an angiography, perfusion or dual-energy map: send the plain CT.',
            {
              agentStated: header.contrastBolusAgent !== undefined,
            },
          )
        : undefined,
  },
  {
    code: 'bone-kernel-only',
    perSlice: false,
    check: ({ convolutionKernel, seriesDescription }) =>
      kernelKind(convolutionKernel) === 'bone' ||
      (convolutionKernel === undefined && /\bBONE\b|\bKNOCHEN/i.test(seriesDescription ?? ''))
        ? fails('This is a bone reconstruction: send the brain or soft-tissue one.', {
            convolutionKernel: convolutionKernel ?? null,
          })
        : undefined,
  },
  {
    code: 'slice-thickness-out-of-range',
    perSlice: false,
    check: ({ sliceThicknessMm }) =>
      sliceThicknessMm === undefined || (sliceThicknessMm > 0 && sliceThicknessMm <= SERIES_LIMITS.maxSliceThicknessMm)
        ? undefined
        : fails('Slices may be at most 8 mm thick.', { sliceThicknessMm, limitMm: SERIES_LIMITS.maxSliceThicknessMm }),
  },
  {
    code: 'pixel-spacing-out-of-range',
    perSlice: false,
    check: ({ pixelSpacingMm }) =>
      pixelSpacingMm === undefined ||
      pixelSpacingMm.every((mm) => mm >= SERIES_LIMITS.pixelSpacingMm.min && mm <= SERIES_LIMITS.pixelSpacingMm.max)
        ? undefined
        : fails('Pixel spacing must lie within 0.2 to 1.5 mm.', {
            pixelSpacingMm: [...pixelSpacingMm],
            limitsMm: [SERIES_LIMITS.pixelSpacingMm.min, SERIES_LIMITS.pixelSpacingMm.max],
          }),
  },
  {
    code: 'tube-voltage-out-of-range',
    perSlice: false,
    check: ({ kvp }) =>
      kvp === undefined || (kvp >= SERIES_LIMITS.tubeVoltageKv.min && kvp <= SERIES_LIMITS.tubeVoltageKv.max)
        ? undefined
        : fails('The tube voltage must lie within 70 to 150 kV.', {
            kvp,
            limitsKv: [SERIES_LIMITS.tubeVoltageKv.min, SERIES_LIMITS.tubeVoltageKv.max],
          }),
  },
  {
    code: 'photometric-interpretation-unsupported',
    perSlice: false,
    check: ({ photometricInterpretation, samplesPerPixel }, decoded) =>
      passes(photometricInterpretation, 'MONOCHROME2', decoded) && passes(samplesPerPixel, 1, decoded)
        ? undefined
        : fails('Only MONOCHROME2 with one sample per pixel is read.', {
            photometricInterpretation: photometricInterpretation ?? null,
            samplesPerPixel: samplesPerPixel ?? null,
          }),
  },
  {
    code: 'rescale-missing',
    perSlice: false,
    check: (header, decoded) => {
      // A listing that names neither slope nor intercept has not been asked for them.
      if (!decoded && header.rescaleSlope === undefined && header.rescaleIntercept === undefined) return undefined;
      try {
        rescaleOf(header);
        return undefined;
      } catch (error) {
        if (error instanceof RefusalError) return fails(error.message, error.details);
        throw error;
      }
    },
  },
];

/**
 * ORIGINAL, PRIMARY and AXIAL (PS3.3 C.8.2.1.1.1), and no later value that marks a computed picture. A third value that is
 * missing is let through: a localizer is told by its plane and its single slice, and the content check looks at the voxels.
 */
function isOriginalAxial(imageType: readonly string[]): boolean {
  const [pixelData, examination, kind, ...further] = imageType.map((value) => value.trim().toUpperCase());
  return (
    pixelData === 'ORIGINAL' &&
    examination === 'PRIMARY' &&
    (kind === undefined || kind === '' || kind === 'AXIAL') &&
    !further.some((value) => COMPUTED_TYPES.test(value))
  );
}

function hasContrast({ contrastBolusAgent, seriesDescription }: InstanceHeader): boolean {
  if (contrastBolusAgent !== undefined && !NO_AGENT.test(contrastBolusAgent.trim().toUpperCase())) return true;
  return CONTRAST_WORDS.test((seriesDescription ?? '').toUpperCase().replace(/[_,;:()]+/g, ' '));
}

function passes<T>(value: T | undefined, required: T, decoded: boolean): boolean {
  return value === required || (value === undefined && !decoded);
}

function fails(message: string, details: RefusalDetails): Failure {
  return { message, details };
}
