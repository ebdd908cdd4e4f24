/** QIDO-RS, Search Transaction (PS3.18 10.6). */
import type { Request, RequestHandler } from 'express';
import { rootUrl, sendDicomJson, sendError } from './answers.ts';
import type { DicomJson, DicomJsonAttribute } from './dicom-json.ts';
import { lookUpTag } from './dictionary.ts';
import type { InstanceStore, StoredInstance } from './instance-store.ts';
import { isUid } from './instance.ts';
import { matches } from './matching.ts';
import { acceptsDicomJson } from './media-types.ts';

export type Level = 'studies' | 'series' | 'instances';

/**
 * Attributes given without being asked for (PS3.18 tables 10.6.3-3 to 10.6.3-5), where the instances have them. As other
 * archives do, each level also gives those of the levels above it.
 */
const STUDY_TAGS =
  '00080005 00080020 00080030 00080050 00080090 00080201 00081030 00100010 00100020 00100021 00100030 00100040 0020000D 00200010';
const SERIES_TAGS = `${STUDY_TAGS} 00080060 0008103E 0020000E 00200011 00400244 00400245`;
const INSTANCE_TAGS = `${SERIES_TAGS} 00080016 00080018 00083002 00200013 00280008 00280010 00280011 00280100`;
const RETURNED: Readonly<Record<Level, readonly string[]>> = {
  studies: STUDY_TAGS.split(' '),
  series: SERIES_TAGS.split(' '),
  instances: INSTANCE_TAGS.split(' '),
};

const CONTROLS = new Set(['limit', 'offset', 'includefield', 'fuzzymatching']);
const MAX_RESULTS = 5_000;

interface Query {
  readonly filters: readonly (readonly [tag: string, wanted: string])[];
  readonly include: 'all' | readonly string[];
  readonly limit: number;
  readonly offset: number;
}

/** GET of studies, series or instances, optionally within the study and series that the URL names. */
export function search(store: InstanceStore, level: Level): RequestHandler {
  return (request, response) => {
    const { study, series } = request.params as Record<string, string | undefined>;
    if (![study, series].every((uid) => uid === undefined || isUid(uid))) {
      return sendError(response, 400, 'A study or series UID in the URL is not a UID.');
    }
    if (!acceptsDicomJson(request.get('accept'))) {
      return sendError(response, 406, 'Search answers as application/dicom+json; accept that.');
    }
    const query = readQuery(request);
    if (typeof query === 'string') return sendError(response, 400, query);
    const groups = groupBy(store.find({ study, series }), level);
    // Filters see the whole first instance and the computed attributes; what is returned is chosen after.
    const found = groups
      .map((group) => ({ group, computed: computedAttributes(store, group[0], level, rootUrl(request)) }))
      .filter(({ group, computed }) =>
        query.filters.every(([tag, wanted]) =>
          tag in computed ? matches(computed, tag, wanted) : group.some(({ json }) => matches(json, tag, wanted)),
        ),
      );
    const page = found.slice(query.offset, query.offset + query.limit);
    const list = page.map(({ group, computed }) => pick(group[0].json, computed, query.include, RETURNED[level]));
    sendDicomJson(response, 200, list);
  };
}

/** Reads the query parameters; text says what is wrong with them. */
function readQuery(request: Request): Query | string {
  const parameters = new URL(request.url, 'http://localhost').searchParams;
  const wholeNumber = (name: string, fallback: number): number => {
    const text = parameters.get(name);
    if (text === null) return fallback;
    return /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  };
  const limit = Math.min(wholeNumber('limit', MAX_RESULTS), MAX_RESULTS);
  const offset = wholeNumber('offset', 0);
  if (Number.isNaN(limit) || Number.isNaN(offset)) return 'limit and offset are whole numbers from 0.';

  const fields = parameters.getAll('includefield').flatMap((value) => value.split(','));
  const include: string[] = [];
  for (const field of fields) {
    const tag = lookUpTag(field.trim());
    if (tag !== undefined) include.push(tag);
    else if (field.trim() !== 'all')
      return `includefield: "${field.slice(0, 64)}" is neither a DICOM keyword nor a tag.`;
  }
  const filters: (readonly [string, string])[] = [];
  for (const [name, value] of parameters) {
    if (CONTROLS.has(name)) continue;
    const tag = lookUpTag(name);
    if (tag === undefined) return `"${name.slice(0, 64)}" is neither a DICOM keyword nor a tag.`;
    filters.push([tag, value]);
  }
  return { filters, include: fields.includes('all') ? 'all' : include, limit, offset };
}

function groupBy(instances: readonly StoredInstance[], level: Level): StoredInstance[][] {
  const groups = new Map<string, StoredInstance[]>();
  for (const instance of instances) {
    const key =
      level === 'studies'
        ? instance.studyInstanceUid
        : level === 'series'
          ? instance.seriesInstanceUid
          : instance.sopInstanceUid;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [instance]);
    else group.push(instance);
  }
  return [...groups.values()];
}

/** Attributes that no instance carries: counts, modalities, where to retrieve. */
function computedAttributes(store: InstanceStore, first: StoredInstance, level: Level, root: string): DicomJson {
  const { studyInstanceUid: study, seriesInstanceUid: series, sopInstanceUid } = first;
  const attribute = (vr: string, ...values: unknown[]): DicomJsonAttribute => ({ vr, Value: values });
  const online = { '00080056': attribute('CS', 'ONLINE') };
  if (level === 'instances') {
    const url = `${root}/studies/${study}/series/${series}/instances/${sopInstanceUid}`;
    return { ...online, '00081190': attribute('UR', url) };
  }
  if (level === 'series') {
    return {
      '00081190': attribute('UR', `${root}/studies/${study}/series/${series}`),
      '00201209': attribute('IS', store.find({ study, series }).length),
    };
  }
  const instances = store.find({ study });
  const modalities = new Set(instances.flatMap(({ json }) => json['00080060']?.Value ?? []));
  return {
    ...online,
    '00080061': attribute('CS', ...modalities),
    '00081190': attribute('UR', `${root}/studies/${study}`),
    '00201206': attribute('IS', new Set(instances.map(({ seriesInstanceUid }) => seriesInstanceUid)).size),
    '00201208': attribute('IS', instances.length),
  };
}

function pick(
  json: DicomJson,
  computed: DicomJson,
  include: 'all' | readonly string[],
  returned: readonly string[],
): DicomJson {
  const tags = include === 'all' ? Object.keys(json) : [...returned, ...include].filter((tag) => tag in json);
  const picked = Object.fromEntries(tags.map((tag) => [tag, json[tag]]));
  const all = { ...picked, ...computed };
  return Object.fromEntries(Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1)));
}
