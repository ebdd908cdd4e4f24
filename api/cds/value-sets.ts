/**
 * The orders for which a forecast of hemorrhage matters. By code: RxNorm orders carry clinical drugs (SCD, "0.4 ML
 * enoxaparin sodium 100 MG/ML Prefilled Syringe") or branded ones (SBD), seldom ingredients (IN): the ingredients stand
 * here with the clinical drugs that stroke wards order; SNOMED CT substances and ATC classes likewise. By name: no list of
 * codes is complete, so a medication of unknown code counts where it is called by the generic name or a brand name of a drug
 * below; a drug without codes here counts by name and ATC class alone, as none could be verified. Imaging counts by code alone. docs/value-sets.md says where each code was found and how a hospital changes this file.
 */

/** Root of our own codes; `.example` is reserved (RFC 2606). */
const NAMESPACE = 'https://hemocast.example/fhir/CodeSystem';

export type OrderKind = 'antithrombotic' | 'thrombolysis' | 'head-ct';

/** What a matching order is called in a card: our words, not the order's. */
export interface OrderConcept {
  readonly kind: OrderKind;
  readonly name: string;
}

export interface Coding {
  readonly system: string;
  readonly code: string;
  readonly display?: string;
}

const ATC = 'http://www.whocc.no/atc';

const SYSTEMS = {
  rxnorm: 'http://www.nlm.nih.gov/research/umls/rxnorm',
  snomed: 'http://snomed.info/sct',
  loinc: 'http://loinc.org',
  cpt: 'http://www.ama-assn.org/go/cpt',
} as const;

/** System names under which senders put the same code system. */
const SYSTEM_ALIASES: Readonly<Record<string, string>> = {
  'urn:oid:2.16.840.1.113883.6.88': SYSTEMS.rxnorm,
  'urn:oid:2.16.840.1.113883.6.73': ATC,
  'urn:oid:2.16.840.1.113883.6.96': SYSTEMS.snomed,
  'urn:oid:2.16.840.1.113883.6.1': SYSTEMS.loinc,
  'urn:oid:2.16.840.1.113883.6.12': SYSTEMS.cpt,
};

interface Entry extends OrderConcept {
  /** Codes by code system, separated by spaces. */
  readonly codes: Readonly<Partial<Record<keyof typeof SYSTEMS, string>>>;
  /** Other generic names of the drug, and brand names. */
  readonly synonyms?: readonly string[];
  /** A medication with such a name is no treatment with the drug, whatever its code. */
  readonly unless?: RegExp;
}

/** A catheter that is opened or kept open, by whichever thrombolytic. */
const LINE_CARE = String.raw`\bcatheter (?:clearance|occlusion|lock)|\boccluded catheter`;

const ENTRIES: readonly Entry[] = [
  // Anticoagulants. RxNorm: the ingredient first, then clinical drugs, then branded ones.
  entry(
    'antithrombotic',
    'enoxaparin',
    { rxnorm: '67108 854228 854235 854238 854241 854245 854248 854252 854255', snomed: '372562003' },
    { synonyms: ['lovenox', 'clexane'] },
  ),
  entry(
    'antithrombotic',
    'heparin',
    {
      // Without 1658690 and 1658692: 2 units/mL keep a line open and treat nobody.
      rxnorm:
        '5224 1361574 1361615 1361853 1362831 1658634 1658637 1658647 1658717 1659195 1659197 1659260 1659263 1798389 2121591',
      snomed: '372877000',
    },
    {
      unless:
        // "flush" in the drug's own words only: "heparin infusion, then saline flush" treats.
        /\bheparin\b(?:[^,;]|,\d)*\bflush|^flush\b|\b(?:heparin[- ]lock|lock (?:flush|solution)|catheter lock|dwell|topical|(?:gel|cream|ointment)\b)|\b2 UNT\/ML/i,
    },
  ),
  entry(
    'antithrombotic',
    'dalteparin',
    {
      rxnorm: '67109 978725 978733 978736 978740 978744 978746 978755 978759 978777 2618839',
      snomed: '372563008',
    },
    { synonyms: ['fragmin'] },
  ),
  entry('antithrombotic', 'nadroparin', {}, { synonyms: ['fraxiparine'] }),
  entry('antithrombotic', 'tinzaparin', {}, { synonyms: ['innohep'] }),
  entry(
    'antithrombotic',
    'fondaparinux',
    { rxnorm: '321208 861356 861360 861363 861365', snomed: '708189008' },
    { synonyms: ['arixtra'] },
  ),
  entry('antithrombotic', 'argatroban', { rxnorm: '15202 308351 1804735 1804737 1804738', snomed: '116508003' }),
  entry('antithrombotic', 'bivalirudin', { rxnorm: '60819 308769 1997015 1997017' }, { synonyms: ['angiomax'] }),
  entry(
    'antithrombotic',
    'warfarin',
    { rxnorm: '11289 855288 855296 855302 855312 855318 855324 855332 855338 855344', snomed: '372756006' },
    { synonyms: ['coumadin'] },
  ),
  entry('antithrombotic', 'phenprocoumon', {}, { synonyms: ['marcumar', 'marcoumar', 'falithrom'] }),
  entry('antithrombotic', 'acenocoumarol', {}, { synonyms: ['nicoumalone', 'sintrom'] }),
  entry(
    'antithrombotic',
    'apixaban',
    { rxnorm: '1364430 1364435 1364445 1992427 1364441 1364447', snomed: '698090000' },
    { synonyms: ['eliquis'] },
  ),
  entry(
    'antithrombotic',
    'rivaroxaban',
    {
      rxnorm: '1114195 1114198 1232082 1232086 1549682 2059015 2588062 1114202 1232084 1232088 2059017',
      snomed: '442031002',
    },
    { synonyms: ['xarelto'] },
  ),
  entry(
    'antithrombotic',
    'edoxaban',
    { rxnorm: '1599538 1599543 1599551 1599555 1599549 1599553 1599557', snomed: '712778008' },
    { synonyms: ['savaysa', 'lixiana'] },
  ),
  entry(
    'antithrombotic',
    'dabigatran',
    { rxnorm: '1546356 1037042 1037045 1037179 1723476 1037049 1037181 1723478', snomed: '698871007' },
    { synonyms: ['pradaxa'] },
  ),
  // Antiplatelet drugs.
  entry(
    'antithrombotic',
    'aspirin',
    { rxnorm: '1191 198464 198466 198467 212033 243670 252857 259081 308416 318272', snomed: '387458008' },
    { synonyms: ['acetylsalicylic acid', 'aggrenox'] },
  ),
  entry(
    'antithrombotic',
    'clopidogrel',
    { rxnorm: '32968 309362 749196', snomed: '386952008' },
    { synonyms: ['plavix'] },
  ),
  entry(
    'antithrombotic',
    'ticagrelor',
    { rxnorm: '1116632 1116635 1666332', snomed: '698805004' },
    { synonyms: ['brilinta', 'brilique'] },
  ),
  entry(
    'antithrombotic',
    'prasugrel',
    { rxnorm: '613391 855812 855818', snomed: '443129001' },
    { synonyms: ['effient', 'efient'] },
  ),
  entry(
    'antithrombotic',
    'dipyridamole',
    { rxnorm: '3521 197622 309952 309953 309955', snomed: '387371005' },
    { synonyms: ['persantine'] },
  ),
  entry('antithrombotic', 'cilostazol', {}, { synonyms: ['pletal'] }),
  entry('antithrombotic', 'cangrelor', { rxnorm: '1656052 1656056' }, { synonyms: ['kengreal'] }),
  entry('antithrombotic', 'tirofiban', { rxnorm: '73137 1737466 1737471 1813035' }, { synonyms: ['aggrastat'] }),
  entry('antithrombotic', 'eptifibatide', { rxnorm: '75635 200349 1736470 1736477' }, { synonyms: ['integrilin'] }),
  entry('antithrombotic', 'abciximab', {}, { synonyms: ['reopro'] }),
  // Thrombolysis.
  entry(
    'thrombolysis',
    'alteplase',
    { rxnorm: '8410 1804799 1804804', snomed: '387152000' },
    {
      synonyms: ['activase', 'actilyse'],
      unless: new RegExp(String.raw`${LINE_CARE}|\bcathflo\b|\b(?:alteplase|activase|actilyse) 2 mg\b`, 'i'),
    },
  ),
  entry(
    'thrombolysis',
    'tenecteplase',
    { rxnorm: '259280 313212', snomed: '387066007' },
    { synonyms: ['tnk', 'tnkase', 'metalyse'], unless: new RegExp(LINE_CARE, 'i') },
  ),
  entry('thrombolysis', 'reteplase', {}, { synonyms: ['retavase', 'rapilysin'], unless: new RegExp(LINE_CARE, 'i') }),
  entry('thrombolysis', 'urokinase', {}, { unless: new RegExp(LINE_CARE, 'i') }),
  // The next CT of the head without contrast. LOINC 24727-0 is the one WITH contrast and stays out.
  entry('head-ct', 'CT of the head', { loinc: '30799-1', cpt: '70450', snomed: '303653007 408754009 383371000119108' }),
];

function entry(
  kind: OrderKind,
  name: string,
  codes: Entry['codes'],
  more: Pick<Entry, 'synonyms' | 'unless'> = {},
): Entry {
  return { kind, name, codes, ...more };
}

/** ATC classes by prefix: enzymes (B01AD) before the group they stand in. http://www.whocc.no/atc_ddd_index */
const ATC_CLASSES: readonly (readonly [string, OrderConcept])[] = [
  ['B01AD', { kind: 'thrombolysis', name: 'a thrombolytic' }],
  ['B01A', { kind: 'antithrombotic', name: 'an antithrombotic' }],
  ['N02BA01', { kind: 'antithrombotic', name: 'aspirin' }],
];

const BY_CODE: ReadonlyMap<string, OrderConcept> = new Map(
  ENTRIES.flatMap(({ kind, name, codes }) =>
    Object.entries(codes).flatMap(([system, list]) =>
      list.split(' ').map((code) => [`${SYSTEMS[system as keyof typeof SYSTEMS]}|${code}`, { kind, name }] as const),
    ),
  ),
);

/** What an order's coding stands for here; undefined for every other order. */
export function findOrderConcept({ system, code }: Pick<Coding, 'system' | 'code'>): OrderConcept | undefined {
  const known = SYSTEM_ALIASES[system] ?? system;
  if (known === ATC) return ATC_CLASSES.find(([prefix]) => code.startsWith(prefix))?.[1];
  return BY_CODE.get(`${known}|${code}`);
}

/** Each drug with the pattern of its names as words, and of the words that turn such a name into something else. */
const DRUG_NAMES = ENTRIES.filter(({ kind }) => kind !== 'head-ct').map(({ kind, name, synonyms = [], unless }) => {
  const word = `(?:${[name, ...synonyms].join('|')})`;
  return {
    concept: { kind, name },
    word: new RegExp(`\\b${word}\\b`, 'i'),
    // "heparin-free", "non-aspirin", "hold apixaban", "dabigatran reversal", "aspirin allergy"
    other: new RegExp(
      `\\b(?:non|anti|no|not|without|avoid|hold|stop)[- ]${word}\\b|\\b${word}[- ](?:free|induced|reversal|antidote|allergy|intolerance)\\b`,
      'gi',
    ),
    unless,
  };
});

/** The drugs that a medication is called by: those named once at least as themselves ("no aspirin allergy: aspirin 81 mg"). */
export function findDrugsByName(name: string): readonly OrderConcept[] {
  return DRUG_NAMES.flatMap(({ concept, word, other, unless }) =>
    word.test(name.replace(other, ' ')) && unless?.test(name) !== true ? [concept] : [],
  );
}

/** Whether a medication so called is care of a line or a skin, though its code is that of the drug. */
export function isOtherUse({ name: drug }: OrderConcept, name: string): boolean {
  return ENTRIES.find((one) => one.name === drug)?.unless?.test(name) === true;
}

/** Card.source.topic */
export const TOPIC: Coding = {
  system: `${NAMESPACE}/card-topic`,
  code: 'hemorrhage-forecast',
  display: 'Forecast of hemorrhage after thrombectomy',
};

/** Card.overrideReasons; `display` is required by CDS Hooks 2.0.1, "Card Attributes". */
export const OVERRIDE_REASONS: readonly Required<Coding>[] = [
  ['already-considered', 'Already considered'],
  ['benefit-outweighs-risk', 'The benefit outweighs the risk'],
  ['forecast-doubted', 'The forecast does not fit this patient'],
  ['not-relevant-now', 'Not relevant now'],
].map(([code, display]) => ({ system: `${NAMESPACE}/override-reason`, code, display }));
