/** The Subscription's endpoint: every form in which an EHR may say that something changed, and what its token does not open. */
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Express } from 'express';
import request from 'supertest';
import { startTestApp } from '../support/app.ts';
import type { TestApp } from '../support/app.ts';

const API_TOKEN = 'api-token-api-token-api-token-api-token';
const NOTIFICATION_TOKEN = 'notification-token-notification-token';
const FHIR_JSON = 'application/fhir+json';
const SUBSCRIPTION = 'https://ehr.example/fhir/Subscription/s1';
const STUDY = { resourceType: 'ImagingStudy', id: 'ct', status: 'available', subject: { reference: 'Patient/p' } };

type Type = 'handshake' | 'heartbeat' | 'event-notification';
type Payload = 'empty' | 'id-only' | 'full-resource';

/** The status in R4: Parameters (profile backport-subscription-status-r4). */
function statusR4(type: Type, focus?: string): object {
  const event = [
    { name: 'event-number', valueString: '2' },
    ...(focus === undefined ? [] : [{ name: 'focus', valueReference: { reference: focus } }]),
  ];
  return {
    resourceType: 'Parameters',
    parameter: [
      { name: 'subscription', valueReference: { reference: SUBSCRIPTION } },
      { name: 'topic', valueCanonical: 'https://ehr.example/SubscriptionTopic/imaging-study' },
      { name: 'status', valueCode: type === 'handshake' ? 'requested' : 'active' },
      { name: 'type', valueCode: type },
      { name: 'events-since-subscription-start', valueString: '2' },
      ...(type === 'event-notification' ? [{ name: 'notification-event', part: event }] : []),
    ],
  };
}

/** The status in R4B and R5. */
function statusR4B(type: Type, focus?: string): object {
  return {
    resourceType: 'SubscriptionStatus',
    status: type === 'handshake' ? 'requested' : 'active',
    type,
    eventsSinceSubscriptionStart: '2',
    subscription: { reference: SUBSCRIPTION },
    ...(type === 'event-notification' && {
      notificationEvent: [{ eventNumber: '2', ...(focus !== undefined && { focus: { reference: focus } }) }],
    }),
  };
}

/** Bundle of type history, in R5 subscription-notification; its first entry is the status. */
function bundle(status: typeof statusR4, kind: string, type: Type, payload: Payload = 'empty'): object {
  const focus = payload === 'empty' ? undefined : 'https://ehr.example/fhir/ImagingStudy/ct';
  const study = {
    fullUrl: focus,
    ...(payload === 'full-resource' && { resource: STUDY }),
    request: { method: 'PUT', url: 'ImagingStudy/ct' },
    response: { status: '200' },
  };
  return {
    resourceType: 'Bundle',
    type: kind,
    entry: [
      {
        fullUrl: 'urn:uuid:9e41ff6d-5be6-4e6a-8b85-abd4e7f58400',
        resource: status(type, focus),
        request: { method: 'GET', url: `${SUBSCRIPTION}/$status` },
        response: { status: '200' },
      },
      ...(focus === undefined ? [] : [study]),
    ],
  };
}

let service: TestApp;
let door: Express;
let looks = 0;
beforeAll(async () => {
  service = await startTestApp({ start: false });
  door = service.variant({
    onChartChange: () => void looks++,
    authentication: { apiToken: API_TOKEN, notificationToken: NOTIFICATION_TOKEN },
  });
});
afterAll(() => service.close());
beforeEach(() => {
  looks = 0;
});

const send = (method: 'post' | 'put' | 'delete', path: string, token = NOTIFICATION_TOKEN): request.Test =>
  request(door)[method](`/v1/notifications${path}`).set('Authorization', `Bearer ${token}`);

const TOPIC_BASED: [string, object][] = (['handshake', 'heartbeat'] as const).flatMap((type) => [
  [`an R4 ${type}`, bundle(statusR4, 'history', type)],
  [`an R4B ${type}`, bundle(statusR4B, 'history', type)],
  [`an R5 ${type}`, bundle(statusR4B, 'subscription-notification', type)],
]);
const EVENTS: [string, object][] = (['empty', 'id-only', 'full-resource'] as const).flatMap((payload) => [
  [`an R4 event, ${payload}`, bundle(statusR4, 'history', 'event-notification', payload)],
  [`an R4B event, ${payload}`, bundle(statusR4B, 'history', 'event-notification', payload)],
  [`an R5 event, ${payload}`, bundle(statusR4B, 'subscription-notification', 'event-notification', payload)],
]);

describe('A notification', () => {
  it.each([...TOPIC_BASED, ...EVENTS])('%s, is accepted and has the chart read again', async (_, body) => {
    await send('post', '').type(FHIR_JSON).send(JSON.stringify(body)).expect(202, '');
    expect(looks).toBe(1);
  });

  it.each<[string, () => request.Test]>([
    ['of an R4 rest-hook without payload', () => send('post', '')],
    [
      'of an R4 rest-hook with payload',
      () => send('put', '/ImagingStudy/ct').type(FHIR_JSON).send(JSON.stringify(STUDY)),
    ],
    ['of a deletion', () => send('delete', '/ImagingStudy/ct')],
    ['in XML', () => send('post', '').type('application/fhir+xml').send('<Bundle xmlns="http://hl7.org/fhir"/>')],
    ['as plain JSON', () => send('post', '').type('application/json').send('{}')],
    ['that is no JSON at all', () => send('post', '').type('application/json').send('{"resourceType":')],
    [
      'larger than any other request may be',
      () =>
        send('post', '')
          .type('application/json')
          .send(`{"x":"${'y'.repeat(300_000)}"}`),
    ],
    [
      'that is compressed',
      () => send('post', '').type(FHIR_JSON).set('Content-Encoding', 'gzip').send(gzipSync('{}').toString('latin1')),
    ],
  ])('%s, is accepted and has the chart read again', async (_, call) => {
    await call().expect(202, '');
    expect(looks).toBe(1);
  });

  it('without the token, or with another, is refused and has nothing read', async () => {
    await request(door).post('/v1/notifications').expect(401);
    await send('post', '', 'x'.repeat(40)).expect(401);
    await send('put', '/ImagingStudy/ct', 'x'.repeat(40)).expect(401);
    expect(looks).toBe(0);
  });

  it('may carry the API token as well', async () => {
    await send('post', '', API_TOKEN).expect(202);
  });
});

describe('The token of a Subscription, which many can read in the EHR,', () => {
  it.each([
    ['post', '/v1/assessments', { imagingStudy: 'ImagingStudy/ct' }],
    ['get', '/v1/assessments', undefined],
    ['put', '/v1/operation', { mode: 'paused' }],
    ['get', '/metrics', undefined],
  ] as const)('does not open %s %s', async (method, path, body) => {
    const call = request(door)[method](path).set('Authorization', `Bearer ${NOTIFICATION_TOKEN}`);
    expect((await (body === undefined ? call : call.send(body))).status).toBe(403);
  });
});
