/** When a card appears and what stands in it. Alert fatigue is a defect: every cell that is not in the table is silent. */
import { describe, expect, it } from '@jest/globals';
import { toCard } from '../../api/cds/cards.ts';
import type { Forecast } from '../../api/cds/forecast.ts';
import type { ForecastCt } from '../../api/cds/forecast-ct.ts';
import type { HookName } from '../../api/cds/hook-call.ts';
import { escapeMarkdown } from '../../api/cds/markdown.ts';
import type { PatientState } from '../../api/cds/patient-state.ts';
import type { OrderConcept } from '../../api/cds/value-sets.ts';
import { MODEL, PREDICTION } from '../support/in-memory-hospital.ts';

const FORECAST: Forecast = {
  reference: 'RiskAssessment/r1',
  study: 'ImagingStudy/s1',
  probability: 0.62,
  interval: { low: 0.48, high: 0.74, level: 0.9 },
  band: 'high',
  assumedPrevalence: 0.35,
  measurements: PREDICTION.measurements,
  flags: [],
  model: 'hemocast-tiny 0.1.0',
  label: MODEL.disclaimer,
};

const result = (changes: Partial<Forecast> = {}): PatientState => ({
  kind: 'result',
  forecast: { ...FORECAST, ...changes },
  windowEnd: '2026-11-15T08:00:00+01:00',
});
const STATES: Readonly<Record<string, PatientState>> = {
  high: result(),
  'of an earlier CT': {
    ...(result() as Extract<PatientState, { kind: 'result' }>),
    ct: { startedAt: '2026-11-12T09:05:00+01:00', newerStartedAt: '2026-11-13T09:00:00+01:00' },
  },
  moderate: result({ band: 'moderate', probability: 0.3 }),
  low: result({ band: 'low', probability: 0.06 }),
  pending: { kind: 'pending', study: 'ImagingStudy/s1', waitsForImages: false },
  unassessed: { kind: 'unassessed', study: 'ImagingStudy/s1' },
  'not begun': {
    kind: 'not-begun',
    study: 'ImagingStudy/s1',
    fault: { code: 'queue-full', message: 'Too many assessments are waiting.' },
  },
  refused: {
    kind: 'refused',
    study: 'ImagingStudy/s1',
    refusal: { code: 'not-a-head', message: 'The voxels show no head.', details: {} },
  },
  failed: { kind: 'failed', study: 'ImagingStudy/s1' },
  none: { kind: 'none' },
};
const ORDERS: Readonly<Record<string, OrderConcept>> = {
  antithrombotic: { kind: 'antithrombotic', name: 'enoxaparin' },
  thrombolysis: { kind: 'thrombolysis', name: 'alteplase' },
  'head-ct': { kind: 'head-ct', name: 'CT of the head' },
};

const cardOf = (state: PatientState, hook: HookName, order?: OrderConcept) =>
  toCard(state, {
    hook,
    hookInstance: 'h',
    order,
    publicUrl: 'https://hemocast.example',
    disclaimer: MODEL.disclaimer,
  });

describe('A card', () => {
  const w = 'warning';
  const i = 'info';
  const o = undefined;
  //                  view | select: anti lysis CT | sign: anti lysis CT
  it.each<[string, (string | undefined)[]]>([
    ['high', [w, w, w, o, w, w, w]],
    ['of an earlier CT', [w, w, w, o, w, w, w]],
    ['moderate', [i, i, i, o, i, i, i]],
    ['low', [o, o, o, o, i, i, o]],
    ['pending', [i, i, i, o, i, i, o]],
    ['unassessed', [i, i, i, o, i, i, o]],
    ['not begun', [o, o, o, o, i, i, o]],
    ['refused', [o, o, o, o, i, i, o]],
    ['failed', [o, o, o, o, i, i, o]],
    ['none', [o, o, o, o, o, o, o]],
  ])('for %s appears where it helps, and nowhere else', (name, want) => {
    const orders = Object.values(ORDERS);
    const cells = [
      cardOf(STATES[name], 'patient-view'),
      ...orders.map((order) => cardOf(STATES[name], 'order-select', order)),
      ...orders.map((order) => cardOf(STATES[name], 'order-sign', order)),
    ];
    expect(cells.map((card) => card?.indicator)).toEqual(want);
  });

  it('beside an order that it does not matter to never appears', () => {
    for (const state of Object.values(STATES)) {
      expect([cardOf(state, 'order-select'), cardOf(state, 'order-sign')]).toEqual([undefined, undefined]);
    }
  });

  it('never speaks against a CT, also not by a low number beside the order for one', () => {
    expect(cardOf(STATES.low, 'order-sign', ORDERS['head-ct'])).toBeUndefined();
    const texts = everyCard().map(({ summary, detail }) => `${summary} ${detail}`);
    expect(texts.length).toBeGreaterThan(20);
    for (const text of texts) expect(text).not.toMatch(/skip|unnecessary|not needed|avoid|cancel|instead of/i);
  });

  it('gives the number with its interval and, in the detail, the base rate, what was measured, its limits and its window', () => {
    const card = cardOf(STATES.high, 'order-sign', ORDERS.antithrombotic)!;
    expect(card.summary).toBe('Hemorrhage within 72 h after thrombectomy: 62 % (high), 90 % interval 48 % to 74 %');
    expect(card.detail).toContain(
      'Of 100 patients of its calibration data with such a scan, about 62 bleed, if 35 of 100 do overall (assumed base rate).',
    );
    expect(card.detail).toContain('hyperdense 3.2 mL, left, maximum 92 HU, mean 61.5 HU');
    expect(card.detail).toContain('Leftover contrast can look like blood');
    expect(card.detail).toContain('Forecast until 2026-11-15, 08:00 (+01:00)');
    expect(card.detail).toContain('advises neither for nor against the order');
    expect(card.detail.endsWith(`_${MODEL.disclaimer}_`)).toBe(true);
  });

  it('says when its CT was taken and which newer one is in the chart, between what was measured and the window', () => {
    const facts = (ct?: ForecastCt): string[] =>
      cardOf({ ...result(), ct } as PatientState, 'patient-view')!
        .detail.split('\n')
        .filter((line) => line.startsWith('- '));
    const startedAt = '2026-11-12T09:05:00+01:00';
    const [measured, ...others] = facts();
    expect(facts({ startedAt, newerStartedAt: null })).toEqual([
      measured,
      '- CT of 2026-11-12, 09:05 (+01:00)',
      ...others,
    ]);
    expect(facts({ startedAt, newerStartedAt: '2026-11-13' })).toEqual([
      measured,
      '- CT of 2026-11-12, 09:05 (+01:00)',
      '- A newer CT is in the chart: 2026-11-13. The forecast rests on the earlier one.',
      ...others,
    ]);
    expect(measured).toContain('Measured on the first CT');
    expect(others[0]).toContain('Forecast until');
  });

  it('carries the label of the network that made its forecast, not of the one in use since', () => {
    const label = 'Research use only, trained on 40 pairs of 40 patients, not a medical device.';
    const detail = (state: PatientState): string => cardOf(state, 'order-sign', ORDERS.antithrombotic)!.detail;
    expect(detail(result({ label }))).toContain(`_${label}_`);
    expect(detail(result({ label }))).not.toContain(MODEL.disclaimer);
    expect(detail(result({ label }))).toContain('Of 100 patients of its calibration data with such a scan');
    const simulated = 'Research use only, trained on simulated data, not a medical device.';
    expect(detail(result({ label: simulated }))).toContain('Of 100 simulated patients with such a scan');
    expect(detail(result({ label: null }))).toContain(`_${MODEL.disclaimer}_`);
  });

  it('says that an assessment is under way only of one that is', () => {
    const words = (name: string): string => {
      const { summary, detail } = cardOf(STATES[name], 'order-sign', ORDERS.antithrombotic)!;
      return `${summary} ${detail}`;
    };
    expect(words('pending')).toContain('is being read');
    for (const name of ['unassessed', 'not begun', 'failed']) expect(words(name)).not.toMatch(/is being|follow it/);
    expect(words('not begun')).toContain('Why: Too many assessments are waiting. (queue-full)');
  });

  it('leads the app to the forecast, also where the chart keeps it as an Observation', () => {
    const flags = ['a', 'b', 'c', 'd'].map((code) => ({ code, message: code }));
    for (const reference of ['RiskAssessment/r1', 'Observation/o1']) {
      const { detail, links } = cardOf(result({ reference, flags }), 'patient-view')!;
      expect(detail).toContain('1 more limit in the app');
      expect(JSON.parse(links[0].appContext)).toEqual({ riskAssessment: reference, imagingStudy: 'ImagingStudy/s1' });
    }
  });

  it('never rounds a small risk to none or a large one to certainty', () => {
    const card = (probability: number) => cardOf(result({ probability }), 'patient-view')!;
    const summary = (probability: number) => card(probability).summary;
    expect(card(0.001).detail).toContain(', fewer than 1 bleed');
    expect(card(0.999).detail).toContain(', more than 99 bleed');
    expect([summary(0.001), summary(0.999)]).toEqual([
      expect.stringContaining(': below 1 % ('),
      expect.stringContaining(': above 99 % ('),
    ]);
  });

  it('carries the research label, stays below 140 characters in its summary, and says nothing empty', () => {
    for (const card of everyCard()) {
      expect(card.summary.length).toBeLessThan(140);
      expect(card.detail).toContain('Research use only');
      expect(card.source.label).toContain('research use only');
      expect(JSON.stringify(card)).not.toMatch(/null|undefined|NaN|""|\[\]|\{\}/);
    }
  });

  it('lets the app be told only which result and which study', () => {
    const contexts = everyCard().map(({ links }) => Object.keys(JSON.parse(links[0].appContext)));
    expect(new Set(contexts.flat())).toEqual(new Set(['riskAssessment', 'imagingStudy']));
  });

  function everyCard() {
    return Object.values(STATES).flatMap((state) =>
      (['patient-view', 'order-select', 'order-sign'] as const).flatMap((hook) =>
        [undefined, ...Object.values(ORDERS)].flatMap((order) => cardOf(state, hook, order) ?? []),
      ),
    );
  }
});

describe('Text from elsewhere', () => {
  const PAYLOADS = [
    '<script>alert(1)</script>',
    '<img src=x onerror=alert(1)>',
    '[click](javascript:alert(1))',
    '![x](https://evil.example/pixel)',
    'https://evil.example/a',
    'www.evil.example',
    'someone@evil.example',
    '<https://evil.example>',
    '# heading',
    '- item',
    '1. item',
    '```\ncode',
    '~~~html',
    '| a | b |\n|---|---|',
    '**bold** _it_ ~~x~~ `c`',
    '> quote',
    '&lt;b&gt; &#60;',
    '\\<b>',
    'a\u202Eb\u0000c\u2028d',
    '[x]: javascript:alert(1)',
  ];

  it.each(PAYLOADS)('%j becomes one line of literal text', (payload) => {
    const escaped = escapeMarkdown(payload);
    // eslint-disable-next-line no-control-regex -- control characters are what is looked for
    expect(escaped).not.toMatch(/[<>`*_[\]()|~\n\u0000-\u001f\u202e\u2028]/);
    expect(escaped).not.toMatch(/https?:\/\/|www\.|@|^[-+]|^\d+\./);
    // What a reader of the rendered text sees is what was sent, on one line.
    const named: Record<string, string> = { '&lt;': '<', '&gt;': '>' };
    const seen = escaped.replace(
      /&(?:#(\d+)|lt|gt);/g,
      (entity, code) => named[entity] ?? String.fromCodePoint(Number(code)),
    );
    expect(seen).toBe(
      payload
        .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
        .replace(/ {2,}/g, ' ')
        .trim(),
    );
  });

  it('is escaped wherever a card holds any', () => {
    for (const payload of PAYLOADS) {
      const flags = [{ code: 'x', message: payload }];
      const states: PatientState[] = [
        { kind: 'result', forecast: { ...FORECAST, model: payload, flags }, windowEnd: payload },
        {
          kind: 'result',
          forecast: { ...FORECAST, model: payload },
          windowEnd: null,
          ct: { startedAt: payload, newerStartedAt: payload },
        },
        { kind: 'refused', study: 'ImagingStudy/s1', refusal: { code: 'not-a-head', message: payload, details: {} } },
        { kind: 'not-begun', study: 'ImagingStudy/s1', fault: { code: 'x', message: payload } },
      ];
      for (const state of states) {
        const card = cardOf(state, 'order-sign', ORDERS.antithrombotic)!;
        expect(card.detail).not.toMatch(/<\w|https?:|www\.|@|\]\(|!\[|```|~~|\u202e/);
        expect(card.summary).not.toContain(payload);
        if (payload.length > 12) expect(card.detail).toContain(escapeMarkdown(payload));
      }
    }
  });

  it('is cut where it is long', () => {
    expect([...escapeMarkdown('x'.repeat(10_000))]).toHaveLength(300);
  });
});
