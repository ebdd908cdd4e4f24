import { describe, expect, it } from '@jest/globals';
import { reportInForm, toForecastObservation } from '../../api/ehr/degraded.ts';
import { toDevice } from '../../api/ehr/device.ts';
import { toModelCard } from '../../api/ehr/document-reference.ts';
import { FINDING_KEYS, resourceId } from '../../api/ehr/ids.ts';
import { toMedia, toPictureDocument } from '../../api/ehr/media.ts';
import { toObservation } from '../../api/ehr/observation.ts';
import { toProvenance } from '../../api/ehr/provenance.ts';
import { toRiskAssessment } from '../../api/ehr/risk-assessment.ts';
import { MODEL, PREDICTION, aReport } from './support/report.ts';
import { AIAST, PLAIN, noteTexts, written } from './support/written.ts';

describe('the forecast in the chart', () => {
  it('states the probability in percent, because R4 counts RiskAssessment probabilities from 0 to 100', async () => {
    const { prediction = [] } = toRiskAssessment(await written());
    expect(prediction[0].probabilityDecimal).toBe(71.4);
  });

  it.each([
    [0.0001, 0.01],
    [0.99996, 99.996],
    [0.5, 50],
    [0.15449, 15.4],
    [0, 0],
    [1, 100],
  ])('never rounds a probability of %p to none or to certainty', async (probability, percentage) => {
    const { prediction = [] } = toRiskAssessment(await written(aReport({ prediction: { probability } })));
    expect(prediction[0].probabilityDecimal).toBe(percentage);
  });

  it('is preliminary, says what it forecasts, on what it rests and who made it', async () => {
    const context = await written();
    expect(toRiskAssessment(context)).toMatchObject({
      status: 'preliminary',
      meta: { security: [AIAST] },
      identifier: [{ value: resourceId(context.report, 'risk-assessment') }],
      subject: { reference: 'Patient/sim-01' },
      encounter: { reference: 'Encounter/sim-01-admission' },
      occurrenceDateTime: '2026-03-01T14:40:00.000Z',
      performer: { reference: context.references.device },
      basis: [
        { reference: 'ImagingStudy/sim-01-ct' },
        ...FINDING_KEYS.map((key) => ({ reference: context.references.observations[key] })),
      ],
      prediction: [
        {
          outcome: { coding: [{ system: 'http://snomed.info/sct', code: '230706003' }] },
          qualitativeRisk: {
            coding: [{ system: 'http://terminology.hl7.org/CodeSystem/risk-probability', code: 'high' }],
          },
        },
      ],
    });
    expect(toRiskAssessment(context).method?.text).toContain(MODEL.sha256);
    expect(toRiskAssessment(context)).not.toHaveProperty('mitigation');
  });

  it.each(['low', 'moderate', 'high'] as const)('codes the risk band %s', async (riskBand) => {
    const { prediction = [] } = toRiskAssessment(await written(aReport({ prediction: { riskBand } })));
    expect(prediction[0].qualitativeRisk?.coding?.[0].code).toBe(riskBand);
  });

  it('counts the 72 hours from the end of the thrombectomy and says so', async () => {
    const { prediction = [], note } = toRiskAssessment(await written());
    expect(prediction[0].whenPeriod).toEqual({ start: '2026-03-01T12:10:00+01:00', end: '2026-03-04T12:10:00+01:00' });
    expect(prediction[0].rationale).toContain(
      'counted from the end of the thrombectomy (Procedure/sim-01-thrombectomy)',
    );
    expect(noteTexts({ note })).toContain('counted from the end of the thrombectomy');
  });

  it.each([
    ['no thrombectomy is in the chart', undefined, 'no thrombectomy was found in the chart'],
    ['its end is not known', { reference: 'Procedure/p' }, 'the end of the thrombectomy (Procedure/p) is not known'],
  ])('counts the 72 hours from the CT when %s, and says so', async (_, thrombectomy, words) => {
    const { prediction = [] } = toRiskAssessment(await written(aReport({ study: { thrombectomy } })));
    expect(prediction[0].whenPeriod).toEqual({ start: '2026-03-01T14:31:12+01:00', end: '2026-03-04T14:31:12+01:00' });
    expect(prediction[0].rationale).toContain(`counted from the initial CT, because ${words}`);
  });

  it.each([
    ['2026-03-01T14:31:12', '2026-03-01T14:30:00+01:00', '2026-03-01T14:30:00+01:00', '2026-03-04T14:30:00+01:00'],
    ['2026-03-01T14:31:12', undefined, '2026-03-01', '2026-03-04'],
    [undefined, '2026-02-27', '2026-02-27', '2026-03-02'],
  ])(
    'never invents a time zone: scanner time %p and chart time %p give a window from %p',
    async (initialCtAt, startedAt, start, end) => {
      const report = aReport({ study: { thrombectomy: undefined, startedAt }, report: { initialCtAt } });
      expect(toRiskAssessment(await written(report)).prediction?.[0].whenPeriod).toEqual({ start, end });
    },
  );

  it('dates no window when nothing is dated, and says that it cannot', async () => {
    const report = aReport({
      study: { thrombectomy: undefined, startedAt: undefined },
      report: { initialCtAt: undefined },
    });
    const risk = toRiskAssessment(await written(report));
    expect(risk.prediction?.[0]).not.toHaveProperty('whenPeriod');
    expect(noteTexts(risk)).toContain('cannot be dated');
  });

  it('tells the reader what limits it: research label first, confounder, prevalence, interval with method, bands, every flag', async () => {
    const risk = toRiskAssessment(await written());
    expect(risk.note?.[0].text).toBe(MODEL.disclaimer);
    for (const words of [
      'contrast staining',
      'Assumed share of patients who bleed (prevalence): 35 %',
      'calibrated at 51 %',
      '90 % interval of the probability: 60.1 % to 79.9 %. Method: Bootstrap of the calibration.',
      'low below 15 %, moderate from 15 % to below 50 %, high from 50 %',
      'contrast-can-look-like-blood',
    ]) {
      expect(noteTexts(risk)).toContain(words);
    }
  });

  it('gives the reason where there is no interval', async () => {
    const prediction = { probabilityInterval: null, probabilityIntervalAbsentReason: 'Too few validation cases.' };
    expect(noteTexts(toRiskAssessment(await written(aReport({ prediction }))))).toContain(
      'No interval of the probability is available: Too few validation cases.',
    );
  });

  it('says in words what was measured, in the rationale', async () => {
    expect(toRiskAssessment(await written()).prediction?.[0].rationale).toContain(
      'Volume of hyperdense intracranial areas: 12.3 mL; Maximum attenuation of hyperdense intracranial areas: 88.2 HU',
    );
  });

  it('names the patient record that the chart has merged away', async () => {
    const report = aReport({ study: { mergedPatientReferences: ['Patient/old'] } });
    expect(noteTexts(toRiskAssessment(await written(report)))).toContain(
      'The imaging study names Patient/old, which the chart has replaced by Patient/sim-01.',
    );
  });
});

describe('the measurements in the chart', () => {
  it.each([
    [
      'hyperdense-volume',
      { valueQuantity: { value: 12.3, unit: 'mL', system: 'http://unitsofmeasure.org', code: 'mL' } },
    ],
    [
      'maximum-attenuation',
      { valueQuantity: { value: 88.2, unit: 'HU', system: 'http://unitsofmeasure.org', code: "[hnsf'U]" } },
    ],
    [
      'mean-attenuation',
      { valueQuantity: { value: 61.1, unit: 'HU', system: 'http://unitsofmeasure.org', code: "[hnsf'U]" } },
    ],
    [
      'side',
      { valueCodeableConcept: { coding: [{ system: 'http://snomed.info/sct', code: '7771000' }], text: 'left' } },
    ],
    ['metallic-sign', { valueBoolean: false }],
  ] as const)('writes %s in its unit, derived from the study, by the device', async (key, value) => {
    const context = await written();
    expect(toObservation(context, key)).toMatchObject({
      ...value,
      status: 'preliminary',
      meta: { security: [AIAST] },
      subject: { reference: 'Patient/sim-01' },
      effectiveDateTime: '2026-03-01T14:31:12+01:00',
      device: { reference: context.references.device },
      derivedFrom: [{ reference: 'ImagingStudy/sim-01-ct' }],
      note: [{ text: MODEL.disclaimer }],
    });
  });

  it.each(FINDING_KEYS)('gives the reason and no value where %s could not be had', async (key) => {
    const absent = { value: null, reason: 'The location cannot be vouched for.' } as const;
    const measurements = {
      hyperdenseVolumeMl: absent,
      maxHu: absent,
      meanHu: absent,
      side: absent,
      metallicSign: absent,
    };
    const observation = toObservation(await written(aReport({ prediction: { measurements } })), key);
    expect(observation.dataAbsentReason).toMatchObject({ coding: [{ code: 'unknown' }], text: absent.reason });
    expect(Object.keys(observation).filter((name) => name.startsWith('value'))).toEqual([]);
  });

  it.each([
    ['right', '24028007'],
    ['bilateral', '51440002'],
  ] as const)('codes the side %s', async (side, code) => {
    const measurements = { ...PREDICTION.measurements, side: { value: side } };
    const observation = toObservation(await written(aReport({ prediction: { measurements } })), 'side');
    expect(observation.valueCodeableConcept?.coding?.[0].code).toBe(code);
  });
});

describe('the pictures in the chart', () => {
  it('files the generated follow-up CT as DICOM with frames, and labels it as not acquired', async () => {
    const media = toMedia(await written(), 'follow-up');
    expect(media).toMatchObject({
      status: 'completed',
      meta: { security: [AIAST] },
      type: { coding: [{ code: 'image' }] },
      partOf: [{ reference: 'ImagingStudy/sim-01-ct' }],
      subject: { reference: 'Patient/sim-01' },
      frames: 24,
      height: 512,
      width: 512,
      content: { contentType: 'application/dicom', url: 'Binary/f', size: 40 },
    });
    expect(media.identifier).toContainEqual({ system: 'urn:dicom:uid', value: 'urn:oid:2.25.77' });
    expect(noteTexts(media)).toContain('AI-generated, not acquired');
    expect(noteTexts(media)).toContain(MODEL.disclaimer);
  });

  it('files the comparison as PNG for charts that only show pictures', async () => {
    const media = toMedia(await written(), 'comparison');
    expect(media).toMatchObject({
      content: { contentType: 'image/png', url: 'Binary/c', size: 27 },
      height: 640,
      width: 1200,
    });
    expect(media).not.toHaveProperty('frames');
    expect(noteTexts(media)).toContain('AI-generated, not acquired');
  });

  it('gives the SHA-1 of the bytes in base64, so that a reader can check what it fetched', async () => {
    // printf 'png bytes of the comparison' | openssl sha1 -binary | base64
    expect(toMedia(await written(), 'comparison').content.hash).toBe('yJxj9xgBN3fbabMXq3w170RlMMM=');
  });
});

describe('the network in the chart', () => {
  it('is a Device of the kind artificial intelligence, named by the SHA-256 of its weights, with the research label', () => {
    const device = toDevice(MODEL);
    expect(device).toMatchObject({
      type: {
        coding: [
          {
            system: 'http://hl7.org/fhir/uv/aitransparency/CodeSystem/AIdeviceTypeCS',
            code: 'Artificial-Intelligence',
          },
        ],
      },
      deviceName: [{ name: 'hemocast-tiny' }],
      version: [{ value: '0.1.0' }],
    });
    expect(device.identifier?.map(({ value }) => value)).toContain(MODEL.sha256);
    expect(noteTexts(device)).toContain(MODEL.disclaimer);
    expect(device.meta?.security).toBeUndefined();
  });

  it('carries its model card as Markdown, byte for byte', () => {
    const { content, meta } = toModelCard(MODEL, '2026-03-01T14:40:00.000Z');
    expect(content[0].attachment.contentType).toBe('text/markdown');
    expect(Buffer.from(content[0].attachment.data ?? '', 'base64').toString()).toBe(MODEL.cardMarkdown);
    expect(meta?.security).toBeUndefined();
  });

  it('is answerable: the Provenance names everything made, by whom, from what', async () => {
    const context = await written();
    const provenance = toProvenance(context);
    const { riskAssessment, observations, media } = context.references;
    expect(provenance.target.map(({ reference }) => reference)).toEqual([
      riskAssessment,
      ...Object.values(observations),
      ...Object.values(media),
      'Binary/f',
      'Binary/c',
    ]);
    expect(provenance).toMatchObject({
      reason: [{ coding: [AIAST] }],
      agent: [
        {
          type: { coding: [{ code: 'author' }] },
          role: [{ coding: [{ code: 'Artificial-Intelligence' }] }],
          who: { reference: context.references.device },
        },
      ],
    });
    expect(provenance.entity).toEqual([
      { role: 'source', what: { reference: 'ImagingStudy/sim-01-ct' } },
      { role: 'source', what: { reference: 'Procedure/sim-01-thrombectomy' } },
      { role: 'derivation', what: { reference: context.references.modelCard } },
    ]);
  });

  it('names the forecast that a revision supersedes', async () => {
    const context = await written(aReport({ report: { revision: 2, supersedes: 'RiskAssessment/first' } }));
    expect(toProvenance(context).entity).toContainEqual({
      role: 'revision',
      what: { reference: 'RiskAssessment/first' },
    });
    expect(noteTexts(toRiskAssessment(context))).toContain('supersedes RiskAssessment/first');
  });
});

describe('in a chart that keeps no RiskAssessment and no Media', () => {
  it('the forecast is an Observation in percent and the comparison a document, both saying that they were simplified', async () => {
    const context = await written(reportInForm(aReport(), PLAIN), PLAIN);
    const forecast = toForecastObservation(context);
    expect(forecast).toMatchObject({
      valueQuantity: { value: 71.4, code: '%' },
      status: 'preliminary',
      meta: { security: [AIAST] },
      component: [{ valuePeriod: toRiskAssessment(await written()).prediction![0].whenPeriod }],
    });
    expect(noteTexts(forecast)).toContain('derived-outputs-degraded');
    expect(toPictureDocument(context)).toMatchObject({
      docStatus: 'preliminary',
      content: [{ attachment: { contentType: 'image/png', url: 'Binary/c' } }],
    });
  });
});
