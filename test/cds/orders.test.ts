/** Which orders a card may stand beside: the right drug is never missed for want of a code, and no other order is bothered. */
import type { MedicationRequest, Resource } from '@medplum/fhirtypes';
import { describe, expect, it } from '@jest/globals';
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
const find = (order: Resource, draftOrders: readonly Resource[] = [order]) =>
  findOrder({ ...call, orders: [order], draftOrders });
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

  it('counts by the display of a local code, also in a medication beside the order', () => {
    const code = { coding: [{ system: 'urn:hospital:formulary', code: 'X17', display: 'Prasugrel 10 mg tablet' }] };
    const order = orderFor({ medicationReference: { reference: 'Medication/m1' } });
    expect(find(order, [order, { resourceType: 'Medication', id: 'm1', code }])?.name).toBe('prasugrel');
    expect(find(order)).toBeUndefined();
  });

  it('counts for the most at stake where it holds two drugs', () => {
    expect(findNamed('Aspirin after alteplase')?.name).toBe('alteplase');
  });
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
