import { afterEach, describe, expect, it } from '@jest/globals';
import type { Dial, Lookup, ResolvedAddress } from '../../api/egress/dial.ts';
import { Egress } from '../../api/egress/egress.ts';
import { ConfigurationError } from '../../api/errors.ts';
import { hostileUrls } from './hostile-urls.ts';

const systems = [
  { name: 'ehr', baseUrl: 'https://ehr.example/fhir', authorization: 'Bearer ehr-token' },
  { name: 'pacs', baseUrl: 'https://pacs.example:8443/dicom-web', authorization: 'Bearer pacs-token' },
  { name: 'sandbox', baseUrl: 'http://127.0.0.1:8080/sandbox/fhir', authorization: 'Bearer sandbox-token' },
];

/** An egress whose connector counts instead of dialling. */
function countingEgress(addresses: readonly ResolvedAddress[] = [{ address: '10.20.30.40', family: 4 }]) {
  const dialled: string[] = [];
  const lookedUp: string[] = [];
  const lookup: Lookup = async (hostname) => {
    lookedUp.push(hostname);
    return addresses;
  };
  const dial: Dial = (options, [first], callback) => {
    dialled.push(`${options.hostname}:${options.port} at ${first.address}`);
    callback(Object.assign(new Error('refused by the test'), { code: 'ECONNREFUSED' }), null);
  };
  return { egress: new Egress(systems, { lookup, dial }), dialled, lookedUp };
}

describe('URLs that lie below no registered base', () => {
  it(`are refused before any dial or name lookup, each of ${hostileUrls.length} spellings`, async () => {
    expect(hostileUrls.length).toBeGreaterThanOrEqual(55);
    const { egress, dialled, lookedUp } = countingEgress();
    for (const url of hostileUrls) {
      const error = await egress.fetch(url).catch((thrown: unknown) => thrown);
      expect([url, (error as { code?: string }).code]).toEqual([url, 'egress-refused']);
    }
    expect(dialled).toEqual([]);
    expect(lookedUp).toEqual([]);
  });

  it('reach no other host through the global fetch either, as text, URL or Request', async () => {
    const { egress, dialled, lookedUp } = countingEgress();
    egress.install();
    try {
      for (const url of hostileUrls) {
        await fetch(url).catch(() => undefined);
        if (!URL.canParse(url)) continue;
        await fetch(new URL(url)).catch(() => undefined);
        const request = asRequest(url);
        if (request !== undefined) await fetch(request).catch(() => undefined);
      }
    } finally {
      await egress.close();
    }
    // URL and Request normalise some spellings of a registered base to that base: these may dial it, and nothing else.
    const registered = ['127.0.0.1:8080 at 127.0.0.1', 'ehr.example: at 10.20.30.40'];
    expect(dialled.filter((target) => !registered.includes(target))).toEqual([]);
    expect(lookedUp.filter((name) => name !== 'ehr.example')).toEqual([]);
  });

  it('differ from the registered bases themselves, which are dialled once each (negative control)', async () => {
    const { egress, dialled } = countingEgress();
    const allowed = [
      'https://ehr.example/fhir/Patient/1?_format=json',
      'https://pacs.example:8443/dicom-web',
      'http://127.0.0.1:8080/sandbox/fhir/metadata',
      'https://EHR.example:443/fhir/Patient?identifier=urn:oid:1.2%7CA%2FB',
    ];
    for (const url of allowed) {
      await expect(egress.fetch(url)).rejects.toMatchObject({ code: 'upstream-unreachable', transient: true });
    }
    expect(dialled).toEqual([
      'ehr.example: at 10.20.30.40',
      'pacs.example:8443 at 10.20.30.40',
      '127.0.0.1:8080 at 127.0.0.1',
      'ehr.example: at 10.20.30.40',
    ]);
  });
});

describe('a registered name that resolves to another kind of address', () => {
  const rebound: readonly (readonly [string, string])[] = [
    ['this machine', '127.0.0.1'],
    ['this machine over IPv6', '::1'],
    ['this machine, mapped', '::ffff:127.0.0.1'],
    ['this machine, mapped in hex', '::ffff:7f00:1'],
    ['this machine, compatible form', '::7f00:1'],
    ['this machine through NAT64', '64:ff9b::7f00:1'],
    ['a private address through NAT64', '64:ff9b::a00:1'],
    ['this machine through 6to4', '2002:7f00:1::'],
    ['this machine through Teredo', '2001:0:7f00:1::'],
    ['the unspecified address', '0.0.0.0'],
    ['the unspecified address over IPv6', '::'],
    ['a metadata service', '169.254.169.254'],
    ['a metadata service over IPv6', 'fd00:ec2::254'],
    ['a link-local address with a zone', 'fe80::1%eth0'],
    ['a multicast address', '224.0.0.1'],
    ['the broadcast address', '255.255.255.255'],
    ['no address at all', 'not-an-address'],
  ];
  it.each(rebound)('is not dialled: %s', async (_what, address) => {
    const { egress, dialled } = countingEgress([{ address, family: address.includes(':') ? 6 : 4 }]);
    await expect(egress.fetch('https://ehr.example/fhir/Patient/1')).rejects.toMatchObject({ code: 'egress-refused' });
    expect(dialled).toEqual([]);
  });

  it('is not dialled when only one of its addresses is of that kind', async () => {
    const { egress, dialled } = countingEgress([
      { address: '10.20.30.40', family: 4 },
      { address: '127.0.0.1', family: 4 },
    ]);
    await expect(egress.fetch('https://ehr.example/fhir/Patient/1')).rejects.toMatchObject({ code: 'egress-refused' });
    expect(dialled).toEqual([]);
  });

  it('is not dialled when a loopback name resolves elsewhere', async () => {
    const dialled: string[] = [];
    const egress = new Egress([{ name: 'ehr', baseUrl: 'http://localhost:8080/fhir' }], {
      lookup: async () => [{ address: '93.184.216.34', family: 4 }],
      dial: (options) => void dialled.push(options.hostname),
    });
    await expect(egress.fetch('http://localhost:8080/fhir/x')).rejects.toMatchObject({ code: 'egress-refused' });
    expect(dialled).toEqual([]);
  });
});

describe('registration', () => {
  const unusable = [
    'http://ehr.example/fhir',
    'ftp://ehr.example/fhir',
    'https://user:secret@ehr.example/fhir',
    'https://ehr.example/fhir?tenant=1',
    'https://ehr.example/fhir#x',
    'https://ehr.example/fhir//R4',
    'https://ehr.example/fhir%2FR4',
    'https://169.254.169.254/fhir',
    'https://[::ffff:10.0.0.1]/fhir',
    'ehr.example/fhir',
  ];
  it.each(unusable)('refuses a base that could not be dialled safely: %s', (baseUrl) => {
    expect(() => new Egress([{ name: 'ehr', baseUrl }])).toThrow(ConfigurationError);
  });

  it('refuses one base with two credentials', () => {
    const twins = ['one', 'two'].map((token) => ({
      name: `ehr-${token}`,
      baseUrl: 'https://ehr.example/fhir',
      authorization: `Bearer ${token}`,
    }));
    expect(() => new Egress(twins)).toThrow(ConfigurationError);
  });
});

describe('the global fetch', () => {
  const before = globalThis.fetch;
  afterEach(() => expect(globalThis.fetch).toBe(before));

  it('is guarded between install and close, and given back', async () => {
    const { egress } = countingEgress();
    egress.install();
    expect(globalThis.fetch).not.toBe(before);
    await expect(fetch('https://evil.example/')).rejects.toMatchObject({ code: 'egress-refused', status: 502 });
    await egress.close();
  });
});

function asRequest(url: string): Request | undefined {
  try {
    return new Request(url);
  } catch {
    return undefined;
  }
}
