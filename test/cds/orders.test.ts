/** Which orders a card may stand beside: the right drug is never missed for want of a code, and no other order is bothered. */
import type { Medication, MedicationRequest, Resource, ServiceRequest } from '@medplum/fhirtypes';
import { describe, expect, it } from '@jest/globals';
import type { DraftEntry } from '../../api/cds/hook-call.ts';
import { findOrder } from '../../api/cds/orders.ts';
import { findOrderConcept } from '../../api/cds/value-sets.ts';

const RXNORM = 'http://www.nlm.nih.gov/research/umls/rxnorm';
const SNOMED = 'http://snomed.info/sct';
const ATC = 'http://www.whocc.no/atc';
const LOINC = 'http://loinc.org';
const CPT = 'http://www.ama-assn.org/go/cpt';

const orderFor = (medication: Partial<MedicationRequest>): Resource => ({
  resourceType: 'MedicationRequest',
  status: 'draft',
  intent: 'order',
  subject: { reference: 'Patient/ana' },
  ...medication,
});
const call = { hook: 'order-sign', hookInstance: 'h', patientId: 'ana' } as const;
const find = (order: Resource, ...beside: readonly DraftEntry[]) =>
  findOrder({ ...call, orders: [order], draftOrders: [{ resource: order }, ...beside] });
const findNamed = (text: string) => find(orderFor({ medicationCodeableConcept: { text } }));

describe('An order known by its code', () => {
  it.each([
    [RXNORM, '854235', 'antithrombotic', 'enoxaparin'], // clinical drug
    [RXNORM, '67108', 'antithrombotic', 'enoxaparin'], // ingredient
    [RXNORM, '1659197', 'antithrombotic', 'heparin'],
    [RXNORM, '978733', 'antithrombotic', 'dalteparin'],
    [RXNORM, '861360', 'antithrombotic', 'fondaparinux'],
    [RXNORM, '1804735', 'antithrombotic', 'argatroban'],
    [RXNORM, '308769', 'antithrombotic', 'bivalirudin'],
    [RXNORM, '855332', 'antithrombotic', 'warfarin'],
    [RXNORM, '1364447', 'antithrombotic', 'apixaban'], // branded
    [RXNORM, '1232086', 'antithrombotic', 'rivaroxaban'],
    [RXNORM, '1599555', 'antithrombotic', 'edoxaban'],
    [RXNORM, '1037045', 'antithrombotic', 'dabigatran'],
    ['urn:oid:2.16.840.1.113883.6.88', '243670', 'antithrombotic', 'aspirin'],
    [RXNORM, '198464', 'antithrombotic', 'aspirin'], // rectal
    [RXNORM, '309362', 'antithrombotic', 'clopidogrel'],
    [RXNORM, '1116635', 'antithrombotic', 'ticagrelor'],
    [RXNORM, '855812', 'antithrombotic', 'prasugrel'],
    [RXNORM, '309955', 'antithrombotic', 'dipyridamole'],
    [RXNORM, '1656056', 'antithrombotic', 'cangrelor'],
    [RXNORM, '1737466', 'antithrombotic', 'tirofiban'],
    [RXNORM, '200349', 'antithrombotic', 'eptifibatide'],
    [RXNORM, '1804799', 'thrombolysis', 'alteplase'],
    [RXNORM, '313212', 'thrombolysis', 'tenecteplase'],
    [SNOMED, '387152000', 'thrombolysis', 'alteplase'],
    [SNOMED, '708189008', 'antithrombotic', 'fondaparinux'],
    [ATC, 'B01AD02', 'thrombolysis', 'a thrombolytic'],
    [ATC, 'B01AF02', 'antithrombotic', 'an antithrombotic'],
    [ATC, 'B01AC16', 'antithrombotic', 'an antithrombotic'],
    [ATC, 'N02BA01', 'antithrombotic', 'aspirin'],
    [LOINC, '30799-1', 'head-ct', 'CT of the head'],
    [CPT, '70450', 'head-ct', 'CT of the head'],
    [SNOMED, '383371000119108', 'head-ct', 'CT of the head'],
  ])('%s|%s is %s: %s', (system, code, kind, name) => {
    expect(findOrderConcept({ system, code })).toEqual({ kind, name });
  });

  it.each([
    [RXNORM, '198440', 'acetaminophen'],
    [RXNORM, '313782', 'acetaminophen'],
    [RXNORM, '314200', 'pantoprazole'],
    [RXNORM, '197361', 'amlodipine'],
    [RXNORM, '617311', 'atorvastatin'],
    [RXNORM, '861007', 'metformin'],
    [RXNORM, '6185', 'labetalol'],
    [RXNORM, '7396', 'nicardipine'],
    [RXNORM, '1658690', 'heparin 2 units/mL, which keeps a line open'],
    [SNOMED, '387517004', 'paracetamol'],
    [SNOMED, '387502003', 'nimodipine'],
    [SNOMED, '711232001', 'CT of the head with contrast'],
    [SNOMED, '399208008', 'chest X-ray'],
    [ATC, 'N02BE01', 'paracetamol'],
    [ATC, 'B02AA02', 'tranexamic acid'],
    [ATC, 'B02BD01', 'a coagulation factor'],
    [ATC, 'V03AB37', 'idarucizumab'],
    [ATC, 'C08CA06', 'nimodipine'],
    [LOINC, '24727-0', 'CT of the head WITH contrast'],
    [LOINC, '24627-2', 'CT of the chest'],
    [LOINC, '36643-5', 'chest X-ray'],
    [CPT, '70460', 'CT of the head with contrast'],
    [CPT, '70496', 'CT angiography of the head'],
    [CPT, '70551', 'MRI of the brain'],
    [LOINC, '854235', 'a code of another system'],
    ['', '854235', 'no system'],
  ])('%s|%s is none: %s', (system, code) => {
    expect(findOrderConcept({ system, code })).toBeUndefined();
  });

  it('is heparin for a patient, but not heparin for a line', () => {
    const heparin = (text: string) =>
      find(orderFor({ medicationCodeableConcept: { coding: [{ system: RXNORM, code: '5224' }], text } }));
    expect(heparin('Heparin 25,000 units in 250 mL, infusion')).toEqual({ kind: 'antithrombotic', name: 'heparin' });
    expect(heparin('Heparin infusion, then saline flush')?.name).toBe('heparin');
    expect(heparin('Heparin 1,000 units/mL for flush')).toBeUndefined();
    expect(heparin('Heparin flush 10 units/mL')).toBeUndefined();
    expect(heparin('Heparin lock 100 units/mL')).toBeUndefined();
  });

  it('is alteplase for a stroke, but not for a blocked catheter', () => {
    const alteplase = (text: string) =>
      find(orderFor({ medicationCodeableConcept: { coding: [{ system: RXNORM, code: '8410' }], text } }));
    expect(alteplase('Alteplase 0.9 mg/kg IV, then saline flush')).toEqual({ kind: 'thrombolysis', name: 'alteplase' });
    expect(alteplase('Alteplase (Cathflo) 2 mg for catheter clearance')).toBeUndefined();
  });

  it('of the sandbox EHR is what its catalog calls it', async () => {
    const module: string = '../../smart-app/src/ehr/orders.ts'; // not typed here: it is code of a browser
    const { CATALOG, toOrder } = (await import(module)) as {
      CATALOG: readonly unknown[];
      toOrder: (entry: unknown, patientId: string) => Resource;
    };
    const names = CATALOG.map((entry) => find(toOrder(entry, 'ana'))?.name);
    expect(names).toEqual(['enoxaparin', 'aspirin', 'alteplase', 'CT of the head', undefined]);
  });
});

describe('A medication whose code is not known', () => {
  it.each([
    ['Eptifibatide 75 mg/100 mL infusion', 'antithrombotic', 'eptifibatide'],
    ['TIROFIBAN HYDROCHLORIDE 12.5 mg/250 mL', 'antithrombotic', 'tirofiban'],
    ['cangrelor, IV', 'antithrombotic', 'cangrelor'],
    ['Low molecular weight heparin', 'antithrombotic', 'heparin'],
    ['0.4 ML enoxaparin sodium 100 MG/ML Prefilled Syringe, Luer-Lock', 'antithrombotic', 'enoxaparin'],
    ['Acetylsalicylic acid 100 mg', 'antithrombotic', 'aspirin'],
    ['aspirin-dipyridamole 25-200 mg', 'antithrombotic', 'aspirin'],
    ['acetaminophen 250 MG / aspirin 250 MG / caffeine 65 MG Oral Tablet', 'antithrombotic', 'aspirin'],
    ['Tenecteplase 25 mg', 'thrombolysis', 'tenecteplase'],
    ['No aspirin allergy: aspirin 81 mg', 'antithrombotic', 'aspirin'],
    ['Aspirin allergy: clopidogrel 75 mg', 'antithrombotic', 'clopidogrel'],
    ['Stop apixaban tonight, restart apixaban on day 3', 'antithrombotic', 'apixaban'],
    ['Phenprocoumon 3 mg', 'antithrombotic', 'phenprocoumon'],
    ['Acenocoumarol 1 mg', 'antithrombotic', 'acenocoumarol'],
    ['Nadroparin calcium 3,800 IU', 'antithrombotic', 'nadroparin'],
    ['Tinzaparin 4,500 units', 'antithrombotic', 'tinzaparin'],
    ['Cilostazol 100 mg', 'antithrombotic', 'cilostazol'],
    ['Abciximab bolus', 'antithrombotic', 'abciximab'],
    ['Reteplase 10 units', 'thrombolysis', 'reteplase'],
    ['Urokinase, intra-arterial', 'thrombolysis', 'urokinase'],
    ['Lovenox 40 mg', 'antithrombotic', 'enoxaparin'],
    ['Clexane 40 mg', 'antithrombotic', 'enoxaparin'],
    ['Eliquis 5 mg', 'antithrombotic', 'apixaban'],
    ['XARELTO 20 mg', 'antithrombotic', 'rivaroxaban'],
    ['Pradaxa 150 mg', 'antithrombotic', 'dabigatran'],
    ['Savaysa 60 mg', 'antithrombotic', 'edoxaban'],
    ['Lixiana 60 mg', 'antithrombotic', 'edoxaban'],
    ['Plavix 75 mg', 'antithrombotic', 'clopidogrel'],
    ['Brilinta 90 mg', 'antithrombotic', 'ticagrelor'],
    ['Brilique 90 mg', 'antithrombotic', 'ticagrelor'],
    ['Efient 10 mg', 'antithrombotic', 'prasugrel'],
    ['Coumadin 5 mg', 'antithrombotic', 'warfarin'],
    ['Marcumar', 'antithrombotic', 'phenprocoumon'],
    ['ReoPro', 'antithrombotic', 'abciximab'],
    ['Aggrastat infusion', 'antithrombotic', 'tirofiban'],
    ['Integrilin infusion', 'antithrombotic', 'eptifibatide'],
    ['TNK 25 mg IV push', 'thrombolysis', 'tenecteplase'],
    ['TNKase', 'thrombolysis', 'tenecteplase'],
    ['Metalyse 5,000 units', 'thrombolysis', 'tenecteplase'],
    ['Activase 0.9 mg/kg', 'thrombolysis', 'alteplase'],
    ['Actilyse 50 mg', 'thrombolysis', 'alteplase'],
  ])('counts where it is called "%s"', (text, kind, name) => {
    expect(findNamed(text)).toEqual({ kind, name });
  });

  it.each([
    'Acetaminophen 500 mg',
    'Heparin flush 10 units/mL',
    'heparin sodium, porcine 2 UNT/ML Injection',
    'Heparin 1000 UNT/GM topical gel',
    'Heparinoid cream',
    'Alteplase 2 MG Injection [Cathflo]',
    'Cathflo Activase',
    'Activase 2 mg, dwell 30 min',
    'Urokinase 5,000 units, catheter lock',
    'Tenecteplase for catheter clearance',
    'Hold Eliquis',
    'Aspirin allergy: acetaminophen 500 mg',
    'Idarucizumab (dabigatran reversal)',
    'Protamine, heparin antidote',
    'Non-aspirin pain reliever 325 mg',
    'Aspirin-free cold tablets',
    'Hold apixaban',
    'Sodium chloride 0.9 %, heparin-free',
    'Tranexamic acid 1 g',
    'Labetalol 10 mg IV',
  ])('is left alone where it is called "%s"', (text) => {
    expect(findNamed(text)).toBeUndefined();
  });

  it('counts by the display of a local code', () => {
    const coding = [{ system: 'urn:hospital:formulary', code: 'X17', display: 'Prasugrel 10 mg tablet' }];
    expect(find(orderFor({ medicationCodeableConcept: { coding } }))?.name).toBe('prasugrel');
  });

  it('counts for the most at stake where it holds two drugs', () => {
    expect(findNamed('Aspirin after alteplase')?.name).toBe('alteplase');
  });
});

describe('A medication that the order refers to', () => {
  const medication: Medication = { resourceType: 'Medication', id: 'm1', code: { text: 'Prasugrel 10 mg tablet' } };
  const orderOf = (reference: string, more: Partial<MedicationRequest> = {}) =>
    orderFor({ id: 'm1', medicationReference: { reference }, ...more });

  it.each([
    ['Medication/m1', {}],
    ['Medication/m1/_history/1', {}],
    ['https://ehr.example/fhir/Medication/m1', {}],
    ['https://ehr.example/fhir/Medication/m1/_history/1', {}],
    ['urn:uuid:8a3b6f1e-5f0c-4a34-9c53-6b8a0f6d2a11', { fullUrl: 'urn:uuid:8a3b6f1e-5f0c-4a34-9c53-6b8a0f6d2a11' }],
  ])('is found beside it by %s', (reference, entry) => {
    expect(find(orderOf(reference), { resource: medication, ...entry })?.name).toBe('prasugrel');
    expect(find(orderOf(reference))).toBeUndefined();
  });

  it('is found within it', () => {
    expect(find(orderOf('#m1', { contained: [medication] }))?.name).toBe('prasugrel');
    expect(find(orderOf('#m2', { contained: [medication] }))).toBeUndefined();
  });

  it('is another one where id or type differ', () => {
    for (const reference of ['Medication/m2', 'Substance/m1', 'Medication/m1/x', 'm1']) {
      expect(find(orderOf(reference), { resource: medication })).toBeUndefined();
    }
  });

  it('counts by the display of the reference where it did not come along', () => {
    const display = 'Eliquis 5 mg tablet';
    const referring = (medicationReference: object) => find(orderFor({ medicationReference }))?.name;
    expect(referring({ reference: 'https://ehr.example/fhir/Medication/m9', display })).toBe('apixaban');
    expect(referring({ identifier: { value: 'X17' }, display })).toBe('apixaban');
    expect(referring({ display: 'Labetalol 10 mg' })).toBeUndefined();
  });
});

describe('An order that is not to be carried out', () => {
  const aspirin = (changes: object) =>
    find({ ...orderFor({ medicationCodeableConcept: { text: 'Aspirin' } }), ...changes });
  const headCt = (changes: object) =>
    find({
      resourceType: 'ServiceRequest',
      status: 'draft',
      intent: 'order',
      subject: { reference: 'Patient/ana' },
      code: { coding: [{ system: LOINC, code: '30799-1' }] },
      ...changes,
    } as ServiceRequest);

  it.each([
    { doNotPerform: true },
    ...['stopped', 'cancelled', 'completed', 'entered-in-error'].map((status) => ({ status })),
  ])('is left alone: %j', (changes) => {
    expect(aspirin(changes)).toBeUndefined();
  });

  it.each([{ doNotPerform: true }, ...['revoked', 'completed', 'entered-in-error'].map((status) => ({ status }))])(
    'is left alone, imaging too: %j',
    (changes) => {
      expect(headCt(changes)).toBeUndefined();
    },
  );

  it.each([{ doNotPerform: false }, ...['draft', 'active', 'on-hold', 'unknown'].map((status) => ({ status }))])(
    'is none of these: %j',
    (changes) => {
      expect([aspirin(changes)?.name, headCt(changes)?.name]).toEqual(['aspirin', 'CT of the head']);
    },
  );
});

describe('Imaging', () => {
  it.each(['CT head', 'CT head with contrast', 'MRI brain', 'aspirin resistance test'])(
    'and tests count by code alone, never because they are called "%s"',
    (text) => {
      const subject = { reference: 'Patient/ana' };
      expect(
        find({ resourceType: 'ServiceRequest', status: 'draft', intent: 'order', subject, code: { text } }),
      ).toBeUndefined();
    },
  );
});
