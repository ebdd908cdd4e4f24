/**
 * The closed list of reasons why no number is given. Published at GET /v1/refusals, stored with the assessment, named in
 * prediction.json. A refusal is a result, not a fault: the same scan would be refused again.
 */
export const REFUSALS = {
  'study-incomplete':
    'The PACS holds fewer instances than the ImagingStudy announces, and they did not arrive in time.',
  'identity-conflict':
    'Patient identifier, birth date, sex or study differ between the EHR and the DICOM instances, or among the instances.',
  'no-eligible-series': 'The study holds no series that could be an original axial CT of the head.',
  'modality-not-ct': 'Modality (0008,0060) is not CT.',
  'sop-class-not-supported': 'The SOP class is not CT Image Storage.',
  'image-type-not-original-axial': 'Image Type (0008,0008) says localizer, reformatted, 3-D, secondary or derived.',
  'synthetic-input':
    'The image was made by a model (Synthetic Data (0008,001C), or our own output): only acquired images are read.',
  'contrast-enhanced': 'A contrast agent was given for this series, or it is a CTA, perfusion or dual-energy map.',
  'bone-kernel-only': 'Only bone-kernel reconstructions are present.',
  'body-part-not-head': 'Body Part Examined (0018,0015) names another body part.',
  'not-a-head': 'The voxels do not show a head with brain inside the skull (phantoms, other organs, air).',
  'incomplete-head-coverage': 'The scan does not cover the brain from the vertex far enough down.',
  'geometry-missing': 'Image position, orientation or pixel spacing is absent: geometry is never guessed.',
  'geometry-inconsistent': 'Slices of the series differ in orientation, matrix or spacing.',
  'duplicate-slices': 'Two slices lie at the same position.',
  'slice-gap-too-large': 'A gap between neighbouring slices exceeds 8 mm or twice the stated slice thickness.',
  'oblique-plane': 'The image plane is more than 30 degrees from the axial plane beyond gantry tilt.',
  'slice-thickness-out-of-range': 'Slice thickness exceeds 8 mm.',
  'pixel-spacing-out-of-range': 'In-plane pixel spacing is outside 0.2 to 1.5 mm.',
  'too-few-slices': 'Fewer than 12 slices.',
  'tube-voltage-out-of-range': 'KVP (0018,0060) is outside 70 to 150 kV.',
  'rescale-missing': 'Rescale slope or intercept is absent: Hounsfield units cannot be vouched for.',
  'hounsfield-implausible':
    'Air and brain do not lie where Hounsfield units put them (air about -1000, brain 0 to 80).',
  'photometric-interpretation-unsupported':
    'Photometric Interpretation (0028,0004) is not MONOCHROME2 with one sample per pixel.',
  'transfer-syntax-unsupported': 'The transfer syntax is not one that is decoded exactly here.',
  'dicom-malformed': 'The DICOM object cannot be read.',
  'patient-under-18': 'The patient was under 18 at the time of the scan.',
  'too-long-after-procedure': 'The scan was taken more than 24 h after the end of the thrombectomy.',
  'model-output-invalid': 'The network returned values that are not finite or out of range.',
  'out-of-distribution':
    'The scan is far more unlike the training scans than what is flagged (out-of-distribution score above the limit of the bundle).',
} as const;

export type RefusalCode = keyof typeof REFUSALS;

export type RefusalDetails = Readonly<Record<string, string | number | boolean | null | readonly (string | number)[]>>;

/** What the API shows: `details` holds the measured value and the limit it broke. */
export interface Refusal {
  readonly code: RefusalCode;
  readonly message: string;
  readonly details: RefusalDetails;
}

/** Thrown anywhere along the path; carries a code of the closed list. `message` says what was seen and what to do. */
export class RefusalError extends Error {
  readonly code: RefusalCode;
  readonly details: RefusalDetails;

  constructor(code: RefusalCode, message: string, details: RefusalDetails = {}) {
    super(message);
    this.name = 'RefusalError';
    this.code = code;
    this.details = details;
  }

  toRefusal(): Refusal {
    return { code: this.code, message: this.message, details: this.details };
  }
}
