/**
 * Which IP addresses may be dialled. Private ranges (RFC 1918, fc00::/7) are where a hospital's EHR and PACS live, so they
 * are ordinary; what no registered system can be is refused: link-local (cloud metadata services), unspecified, multicast,
 * reserved, and IPv6 forms that smuggle an IPv4 address (mapped, compatible, NAT64, 6to4, Teredo).
 * Ranges: IANA special-purpose address registries (RFC 6890).
 */
import { BlockList, isIP } from 'node:net';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

const forbidden = new BlockList();
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['169.254.0.0', 16],
  ['192.0.0.0', 24],
  ['198.18.0.0', 15],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const) {
  forbidden.addSubnet(network, prefix, 'ipv4');
}
forbidden.addAddress('100.100.100.200', 'ipv4'); // a cloud provider's metadata service outside link-local
for (const [network, prefix] of [
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['2002::', 16],
  ['2001::', 32],
  ['100::', 64],
] as const) {
  forbidden.addSubnet(network, prefix, 'ipv6');
}
forbidden.addAddress('fd00:ec2::254', 'ipv6'); // the same, over IPv6

/** ::/96 (IPv4-compatible) and ::ffff:0:0/96 (IPv4-mapped); ::1 is told apart by the caller. */
const embedded = new BlockList();
embedded.addSubnet('::', 96, 'ipv6');

export type AddressKind = 'loopback' | 'ordinary' | 'forbidden';

/** Says what kind of address a literal is. Anything that is not an IP address is `forbidden`. */
export function classifyAddress(address: string): AddressKind {
  const bare = address.replace(/%.*$/, '');
  const version = isIP(bare);
  if (version === 0) return 'forbidden';
  const family = version === 4 ? 'ipv4' : 'ipv6';
  if (family === 'ipv6') {
    if (isIpv4Mapped(bare)) return 'forbidden';
    if (loopback.check(bare, family)) return 'loopback';
    if (embedded.check(bare, family)) return 'forbidden';
  }
  if (loopback.check(bare, family)) return 'loopback';
  return forbidden.check(bare, family) ? 'forbidden' : 'ordinary';
}

/** BlockList treats a mapped address as its IPv4 self, so the form is told from the canonical spelling. */
function isIpv4Mapped(address: string): boolean {
  return new URL(`http://[${address}]/`).hostname.startsWith('[::ffff:');
}
