/** A CDS client (CDS Hooks 2.0.1): discovers the services, fills their prefetch templates, fires hooks and reports feedback. */
import type { Bundle, MedicationRequest, ServiceRequest } from '@medplum/fhirtypes';
import { search } from './fhir.ts';

export type HookName = 'patient-view' | 'order-select' | 'order-sign';

interface Service {
  readonly hook: HookName;
  readonly id: string;
  readonly prefetch?: Readonly<Record<string, string>>;
}

export interface Card {
  readonly uuid: string;
  readonly summary: string;
  readonly detail?: string;
  readonly indicator: 'info' | 'warning' | 'critical';
  readonly source: { readonly label: string; readonly url?: string };
  readonly links?: readonly {
    readonly label: string;
    readonly url: string;
    readonly type: string;
    readonly appContext?: string;
  }[];
  readonly overrideReasons?: readonly { readonly system: string; readonly code: string; readonly display?: string }[];
}

/** A card with the service that gave it. */
export interface ShownCard extends Card {
  readonly service: string;
}

export type Order = MedicationRequest | ServiceRequest;

let discovered: Promise<readonly Service[]> | undefined;

async function discover(): Promise<readonly Service[]> {
  const response = await fetch('/cds-services');
  if (!response.ok) throw new Error(`The CDS services answered ${response.status}.`);
  return ((await response.json()) as { services: Service[] }).services;
}

/** What the services of a hook said. `silent`: how many gave no answer at all, which is not the same as no card. */
export interface HookAnswer {
  readonly cards: readonly ShownCard[];
  readonly silent: number;
}

/** Calls every service of the hook; one that does not answer is counted. Where discovery fails, it is tried anew next time. */
export async function fireHook(hook: HookName, patientId: string, orders: readonly Order[] = []): Promise<HookAnswer> {
  try {
    discovered ??= discover();
    const services = (await discovered).filter((service) => service.hook === hook);
    const answers = await Promise.allSettled(services.map((service) => call(service, patientId, orders)));
    const cards = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    return { cards, silent: answers.filter(({ status }) => status === 'rejected').length };
  } catch {
    discovered = undefined;
    return { cards: [], silent: 1 };
  }
}

async function call(service: Service, patientId: string, orders: readonly Order[]): Promise<readonly ShownCard[]> {
  const draftOrders: Bundle = {
    resourceType: 'Bundle',
    type: 'collection',
    entry: orders.map((resource) => ({ resource })),
  };
  const context = {
    userId: 'Practitioner/sandbox-clinician',
    patientId,
    ...(service.hook !== 'patient-view' && { draftOrders }),
    ...(service.hook === 'order-select' && {
      selections: orders.map(({ resourceType, id }) => `${resourceType}/${id}`),
    }),
  };
  const prefetch = await prefetchFor(service, patientId);
  const response = await fetch(`/cds-services/${service.id}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ hook: service.hook, hookInstance: crypto.randomUUID(), context, prefetch }),
  });
  if (!response.ok) throw new Error(`${service.id} answered ${response.status}.`);
  const { cards } = (await response.json()) as { cards: Card[] };
  return cards.map((card) => ({ ...card, service: service.id }));
}

/**
 * What the service asked for, as far as it could be read: null where the chart holds nothing, no key where it did not answer, and
 * undefined in place of an empty object ("Prefetch Template", "Use of JSON").
 */
async function prefetchFor(service: Service, patientId: string): Promise<Record<string, Bundle | null> | undefined> {
  const reads = Object.entries(service.prefetch ?? {}).map(async ([key, template]) => {
    const query = template.replaceAll('{{context.patientId}}', encodeURIComponent(patientId));
    const { bundle, resources } = await search(query);
    return [key, resources.length === 0 ? null : bundle] as const;
  });
  const found = (await Promise.allSettled(reads)).flatMap((read) => (read.status === 'fulfilled' ? [read.value] : []));
  return found.length === 0 ? undefined : Object.fromEntries(found);
}

export async function reportOverride(card: ShownCard, reason: { system: string; code: string }): Promise<void> {
  const feedback = [
    {
      card: card.uuid,
      outcome: 'overridden',
      overrideReason: { reason },
      outcomeTimestamp: new Date().toISOString(),
    },
  ];
  const response = await fetch(`/cds-services/${card.service}/feedback`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ feedback }),
  });
  if (!response.ok) throw new Error(`${card.service} answered ${response.status} to the feedback.`);
}
