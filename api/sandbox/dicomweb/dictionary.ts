/** Tags, keywords and value representations of the DICOM data dictionary (PS3.6), as dcmjs carries it. */
import { createRequire } from 'node:module';

interface DictionaryEntry {
  /** "(0010,0020)" */
  readonly tag: string;
  readonly vr: string;
}

interface Dcmjs {
  readonly data: {
    readonly DicomMetaDictionary: {
      readonly dictionary: Readonly<Record<string, DictionaryEntry | undefined>>;
      readonly nameMap: Readonly<Record<string, DictionaryEntry | undefined>>;
    };
  };
}

// dcmjs has no type declarations; this is the part of it that is used.
const { dictionary, nameMap } = (createRequire(import.meta.url)('dcmjs') as Dcmjs).data.DicomMetaDictionary;

/**
 * VR of a tag ("00100020"), for data sets that do not state it (implicit VR). Where PS3.6 leaves a choice, unsigned and word
 * are taken; "UN" for private and unknown tags.
 */
export function lookUpVr(tag: string): string {
  const vr = dictionary[`(${tag.slice(0, 4)},${tag.slice(4)})`]?.vr ?? 'UN';
  if (/^[A-Z]{2}$/.test(vr)) return vr;
  return vr === 'xs' ? 'US' : 'OW';
}

/** Tag of a keyword ("PatientID" -> "00100020") or of a tag in hexadecimal; undefined when it is neither. */
export function lookUpTag(name: string): string | undefined {
  if (/^[0-9A-Fa-f]{8}$/.test(name)) return name.toUpperCase();
  if (!/^[A-Za-z0-9]{2,64}$/.test(name) || !Object.hasOwn(nameMap, name)) return undefined;
  const tag = nameMap[name]?.tag.replace(/[(),]/g, '');
  return tag !== undefined && /^[0-9A-F]{8}$/.test(tag) ? tag : undefined;
}
