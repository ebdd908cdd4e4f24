/**
 * The image types of the house. Conventions, stated once: voxel arrays are `[slice][row][column]`, slices run inferior to
 * superior, positions and directions are patient coordinates in mm, LPS (+x = patient Left, +y = Posterior, +z = Superior;
 * DICOM PS3.3 C.7.6.2.1.1).
 */

/** A point or direction in patient coordinates (LPS), mm or unit length. */
export type Vector3 = readonly [number, number, number];

/**
 * The attributes of one DICOM image that the house reasons about. `undefined` means the sender left the attribute out or
 * empty: it is never filled with a default.
 */
export interface InstanceHeader {
  readonly sopInstanceUid: string; // (0008,0018)
  readonly sopClassUid: string; // (0008,0016)
  readonly studyInstanceUid: string; // (0020,000D)
  readonly seriesInstanceUid: string; // (0020,000E)
  readonly transferSyntaxUid?: string; // (0002,0010)
  readonly modality?: string; // (0008,0060)
  readonly imageType?: readonly string[]; // (0008,0008)
  readonly syntheticData?: string; // (0008,001C)
  readonly manufacturer?: string; // (0008,0070)
  readonly seriesDescription?: string; // (0008,103E)
  readonly seriesNumber?: number; // (0020,0011)
  readonly instanceNumber?: number; // (0020,0013)
  readonly bodyPartExamined?: string; // (0018,0015)
  readonly contrastBolusAgent?: string; // (0018,0010)
  readonly kvp?: number; // (0018,0060) kV
  readonly convolutionKernel?: readonly string[]; // (0018,1210)
  readonly sliceThicknessMm?: number; // (0018,0050)
  readonly gantryDetectorTiltDeg?: number; // (0018,1120)
  readonly patientId?: string; // (0010,0020)
  readonly issuerOfPatientId?: string; // (0010,0021)
  readonly patientBirthDate?: string; // (0010,0030) YYYYMMDD
  readonly patientSex?: string; // (0010,0040)
  readonly patientAgeYears?: number; // (0010,1010)
  readonly acquisitionDateTime?: string; // ISO 8601, from (0008,002A), else (0008,0022)+(0008,0032), else content, series, study
  readonly frameOfReferenceUid?: string; // (0020,0052)
  readonly rows?: number; // (0028,0010)
  readonly columns?: number; // (0028,0011)
  readonly numberOfFrames?: number; // (0028,0008)
  readonly samplesPerPixel?: number; // (0028,0002)
  readonly photometricInterpretation?: string; // (0028,0004)
  readonly bitsAllocated?: number; // (0028,0100)
  readonly bitsStored?: number; // (0028,0101)
  readonly pixelRepresentation?: number; // (0028,0103)
  readonly pixelPaddingValue?: number; // (0028,0120)
  readonly pixelPaddingRangeLimit?: number; // (0028,0121)
  readonly rescaleSlope?: number; // (0028,1053)
  readonly rescaleIntercept?: number; // (0028,1052)
  readonly rescaleType?: string; // (0028,1054)
  readonly lossyImageCompression?: string; // (0028,2110)
  readonly pixelSpacingMm?: readonly [number, number]; // (0028,0030) [between rows, between columns]
  readonly imagePositionPatient?: Vector3; // (0020,0032)
  readonly imageOrientationPatient?: readonly [number, number, number, number, number, number]; // (0020,0037)
  /** What derived objects copy from this one; only on headers read from whole instances. Never logged or shown. */
  readonly patientStudy?: PatientStudyAttributes;
}

/**
 * Patient and study attributes as the sender wrote them: tag ("00100010") to value bytes, in the Specific Character Set
 * under "00080005". They identify a person: they go from DICOM object to DICOM object and nowhere else.
 */
export type PatientStudyAttributes = Readonly<Record<string, Uint8Array>>;

export type StoredValues = Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array;

/** One decoded 2-D image: stored values (before rescale), `rows x columns`, with its header. */
export interface Frame {
  readonly header: InstanceHeader;
  readonly storedValues: StoredValues;
}

/**
 * A series in Hounsfield units. Slices share one orientation and matrix but each has its own origin, so that gantry tilt
 * (sheared stacks) and uneven spacing are kept exactly. Only `assembleVolume` makes one.
 *
 * `rowDirection` is the direction of increasing column index and points to +L, `columnDirection` that of increasing row index
 * and points to +P, `normal` points to +S (columns, rows and slices of the sender were reordered to make it so).
 */
export interface Volume {
  /** HU, `[slice][row][column]`; padding voxels are -1024. */
  readonly hu: Float32Array;
  readonly slices: number;
  readonly rows: number;
  readonly columns: number;
  /** Distance between rows (along `columnDirection`) and between columns (along `rowDirection`), mm. */
  readonly rowSpacingMm: number;
  readonly columnSpacingMm: number;
  readonly rowDirection: Vector3;
  readonly columnDirection: Vector3;
  readonly normal: Vector3;
  /** LPS centre of the voxel [row 0][column 0] of each slice, inferior to superior, mm. */
  readonly origins: readonly Vector3[];
  /** SOP Instance UID of each slice, in the same order. */
  readonly sopInstanceUids: readonly string[];
  /** Stated slice thickness in mm, or undefined where the sender left it out. */
  readonly sliceThicknessMm?: number;
  readonly frameOfReferenceUid?: string;
}

/** A volume on the model grid of a bundle (docs/bundle.md): evenly spaced, pad value outside the scan. */
export interface GridVolume {
  readonly hu: Float32Array;
  readonly shape: readonly [slices: number, rows: number, columns: number];
  readonly spacingMm: readonly [slice: number, row: number, column: number];
  /** Grid centre in the in-plane/normal coordinates of the series (x = p.rowDirection, y = p.columnDirection, z = p.normal), mm. */
  readonly centerMm: Vector3;
}
