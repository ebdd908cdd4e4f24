/**
 * Opens connections for the HTTP engine. The name is resolved here, every address it resolves to is checked, and the socket
 * is bound to exactly those addresses, so that a second lookup cannot answer otherwise (DNS rebinding).
 */
import { lookup as dnsLookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { buildConnector } from 'undici';
import { classifyAddress } from './address.ts';
import { EgressRefusedError } from './egress-refused.ts';
import { isLoopbackHost } from './target.ts';

export interface ResolvedAddress {
  readonly address: string;
  readonly family: number;
}

/** Resolves a host name to all its addresses. */
export type Lookup = (hostname: string) => Promise<readonly ResolvedAddress[]>;

/** Connects a socket to one of `addresses`; TLS is verified against the host name, not the address. */
export type Dial = (
  options: buildConnector.Options,
  addresses: readonly ResolvedAddress[],
  callback: buildConnector.Callback,
) => void;

export const systemLookup: Lookup = (hostname) => dnsLookup(hostname, { all: true });

/** Dials with node:net or node:tls, giving each connection `timeoutMs` to come about. */
export function socketDial(timeoutMs: number): Dial {
  return (options, addresses, callback) => {
    const pinned = [...addresses];
    const connect = buildConnector({
      timeout: timeoutMs,
      allowH2: false,
      autoSelectFamily: true,
      lookup: (_hostname, lookupOptions, done) => {
        if (lookupOptions.all === true) done(null, pinned);
        else done(null, pinned[0].address, pinned[0].family);
      },
    });
    connect(options, callback);
  };
}

/** The connector given to the HTTP engine: resolve, check every address, then dial. */
export function guardedConnector(lookup: Lookup, dial: Dial): buildConnector.connector {
  return (options, callback) => {
    resolveChecked(options.hostname, lookup).then(
      (addresses) => dial(options, addresses, callback),
      (error: Error) => callback(error, null),
    );
  };
}

/**
 * Addresses of a host, all of them fit to be dialled: loopback only for a loopback name, never for any other.
 * Throws EgressRefusedError, or the resolver's own error.
 */
export async function resolveChecked(hostname: string, lookup: Lookup): Promise<readonly ResolvedAddress[]> {
  const bare = hostname.replace(/^\[|\]$/g, '');
  const family = isIP(bare);
  const addresses = family === 0 ? await lookup(bare) : [{ address: bare, family }];
  if (addresses.length === 0) throw new EgressRefusedError('the name resolves to no address', bare);
  const wanted = isLoopbackHost(bare) ? 'loopback' : 'ordinary';
  if (addresses.some(({ address }) => classifyAddress(address) !== wanted)) {
    throw new EgressRefusedError('the name resolves to an address that this system cannot have', bare);
  }
  return addresses;
}
