/** Content-Type and Accept as DICOMweb uses them (PS3.18 8.4, 8.7; RFC 9110 8.3, 12.5.1). */
export interface MediaType {
  /** "multipart/related", lower case. */
  readonly name: string;
  /** Parameters by lower-case name, unquoted. */
  readonly parameters: ReadonlyMap<string, string>;
}

const PARAMETER = /^\s*;\s*([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]+))/;

/** Parses a comma-separated list of media types; members that are none are left out. */
export function parseMediaTypes(header: string): MediaType[] {
  const types: MediaType[] = [];
  let rest = header;
  while (rest !== '') {
    const name = /^[\s,]*([\w.+*-]+\/[\w.+*-]+)/.exec(rest);
    if (name === null) break;
    rest = rest.slice(name[0].length);
    const parameters = new Map<string, string>();
    for (let match = PARAMETER.exec(rest); match !== null; match = PARAMETER.exec(rest)) {
      parameters.set(match[1].toLowerCase(), match[2]?.replace(/\\(.)/g, '$1') ?? match[3]);
      rest = rest.slice(match[0].length);
    }
    types.push({ name: name[1].toLowerCase(), parameters });
    rest = rest.replace(/^[^,]*/, '');
  }
  return types;
}

/** Whether a client takes DICOM JSON; no Accept at all means that it takes anything. */
export function acceptsDicomJson(accept: string | undefined): boolean {
  if (accept === undefined || accept.trim() === '') return true;
  const names = ['*/*', 'application/*', 'application/json', 'application/dicom+json'];
  return parseMediaTypes(accept).some((type) => names.includes(type.name));
}

export type InstancesFormat = 'multipart' | 'single';

/**
 * How a client takes instances stored in the given transfer syntaxes; undefined when it does not. Nothing is transcoded: a
 * type is acceptable when its transfer-syntax is `*`, absent on a wildcard type, or that of every instance. `single` is for
 * one instance as plain application/dicom.
 */
export function chooseInstancesFormat(
  accept: string | undefined,
  transferSyntaxUids: readonly string[],
): InstancesFormat | undefined {
  const types = parseMediaTypes(accept === undefined || accept.trim() === '' ? '*/*' : accept);
  for (const { name, parameters } of types) {
    if (name === '*/*' || name === 'multipart/*') return 'multipart';
    const isMultipart = name === 'multipart/related' && parameters.get('type')?.toLowerCase() === 'application/dicom';
    const isSingle = name === 'application/dicom' && transferSyntaxUids.length === 1;
    // Without the parameter the client asks for Explicit VR Little Endian (PS3.18 8.7.3.5.2).
    const wanted = parameters.get('transfer-syntax') ?? '1.2.840.10008.1.2.1';
    const isStoredSo = wanted === '*' || transferSyntaxUids.every((uid) => uid === wanted);
    if ((isMultipart || isSingle) && isStoredSo) return isMultipart ? 'multipart' : 'single';
  }
  return undefined;
}
