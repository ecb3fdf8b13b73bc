import { cidr, holds, type Cidr } from './cidr';
import type { Placement, Rule, Subnet, Topology } from './topology';

/** A DB instance, as far as the network knows it. */
export interface Database extends Placement {
  readonly identifier: string;
  /** What a rule may call its port. More than one only where the sandbox had to choose another than was asked for. */
  readonly ports: readonly number[];
  readonly publiclyAccessible: boolean;
}

/** Somebody to a security group: members of groups, and addresses. */
interface Peer {
  readonly groupIds: readonly string[];
  readonly ranges: readonly Cidr[];
}

/** Nobody knows the addresses of AWS's own networks, so that a rule has to hold all. */
const ANYWHERE: Peer = { groupIds: [], ranges: [cidr('0.0.0.0/0')] };
const HTTPS = 443;

/**
 * What keeps a function from an API of AWS, in words; undefined when nothing does. `from` is undefined for a function outside
 * of any VPC. A function runs in any of its subnets, so all of them have to have a way.
 */
export function obstacleToApi(
  network: Topology,
  from: Placement | undefined,
  region: string,
  service: string,
): string | undefined {
  if (!from) return undefined;
  const source = sourceOf(network, from);
  if ('obstacle' in source) return source.obstacle;
  const endpoints = network.endpoints(source.vpcId, region, service);
  // Its private DNS name hides the public addresses from the whole VPC, from subnets with a NAT gateway too.
  const byName = endpoints.find(({ isGateway, answersByName }) => !isGateway && answersByName);
  if (byName) {
    const obstacle = obstacleBetween(network, source, byName, [HTTPS]);
    return obstacle && `its way there is the endpoint ${network.label(byName.id)}, and ${obstacle}`;
  }
  const tables = endpoints.filter(({ isGateway }) => isGateway).flatMap(({ routeTableIds }) => routeTableIds);
  for (const subnet of source.subnets) {
    const isRouted = tables.includes(network.routeTable(subnet.id) ?? '');
    const obstacle = isRouted
      ? obstacleToLeaving(network, source, [HTTPS], ANYWHERE, `${service} through its gateway endpoint`)
      : obstacleFromSubnet(network, source, subnet, [HTTPS]);
    if (obstacle === undefined) continue;
    if (isRouted) return obstacle;
    const [nameless] = endpoints.filter(({ isGateway }) => !isGateway);
    const endpoint = nameless
      ? `the endpoint ${network.label(nameless.id)} has no private DNS name`
      : `${network.label(source.vpcId)} has no endpoint for ${service}`;
    return `${endpoint}, and ${obstacle}`;
  }
  return undefined;
}

/** What keeps a function from a host on the internet. */
export function obstacleToInternet(
  network: Topology,
  from: Placement | undefined,
  port: number,
): string | undefined {
  if (!from) return undefined;
  const source = sourceOf(network, from);
  if ('obstacle' in source) return source.obstacle;
  for (const subnet of source.subnets) {
    const obstacle = obstacleFromSubnet(network, source, subnet, [port]);
    if (obstacle !== undefined) return obstacle;
  }
  return undefined;
}

/** What keeps a function from a DB instance. */
export function obstacleToDatabase(
  network: Topology,
  from: Placement | undefined,
  database: Database,
): string | undefined {
  const target = sourceOf(network, database);
  if ('obstacle' in target) return `of the instance, ${target.obstacle}`;
  const source = from && sourceOf(network, from);
  if (source && 'obstacle' in source) return source.obstacle;
  // Inside its VPC the name of a public instance leads to its private address.
  if (source?.vpcId === target.vpcId) return obstacleBetween(network, source, database, database.ports);
  const where = source
    ? `the function is in ${network.label(source.vpcId)} and the instance in ${network.label(target.vpcId)}`
    : 'the function is outside of any VPC';
  if (!database.publiclyAccessible) return `${where}, and the instance is not publicly accessible`;
  for (const subnet of target.subnets)
    if (network.wayOut(subnet.id)?.by !== 'internet gateway')
      return `${where}, and ${network.label(subnet.id)} of the instance has no route to an internet gateway`;
  const addresses: Cidr[] = [];
  for (const subnet of source?.subnets ?? []) {
    const obstacle = source && obstacleFromSubnet(network, source, subnet, database.ports);
    if (obstacle !== undefined) return `${where}, and ${obstacle}`;
    const way = network.wayOut(subnet.id);
    if (way?.by === 'NAT gateway' && way.publicAddress !== undefined)
      addresses.push(cidr(`${way.publicAddress}/32`));
  }
  const peer = addresses.length > 0 ? { groupIds: [], ranges: addresses } : ANYWHERE;
  return obstacleToEntering(network, database, database.ports, peer);
}

interface Source extends Placement {
  readonly vpcId: string;
  readonly subnets: readonly Subnet[];
}

function sourceOf(network: Topology, placement: Placement): Source | { readonly obstacle: string } {
  const unknown = placement.subnetIds.find((id) => !network.subnet(id));
  if (unknown !== undefined)
    return { obstacle: `the subnet ${unknown} is in no template that was deployed here` };
  const subnets = placement.subnetIds.flatMap((id) => network.subnet(id) ?? []);
  const [first] = subnets;
  if (!first) return { obstacle: 'there is no subnet' };
  return { ...placement, subnets, vpcId: first.vpcId };
}

/** Two parts of one VPC reach each other if both sides' security groups let them. */
function obstacleBetween(
  network: Topology,
  from: Source,
  to: Placement,
  ports: readonly number[],
): string | undefined {
  const target = sourceOf(network, to);
  if ('obstacle' in target) return target.obstacle;
  return (
    obstacleToLeaving(network, from, ports, peerOf(target)) ??
    obstacleToEntering(network, to, ports, peerOf(from))
  );
}

/** Addresses are given at will: a rule for a range has to hold the whole subnet. */
function peerOf({ securityGroupIds, subnets }: Source): Peer {
  return { groupIds: securityGroupIds, ranges: subnets.map(({ range }) => range) };
}

function obstacleToLeaving(
  network: Topology,
  { securityGroupIds }: Placement,
  ports: readonly number[],
  to: Peer,
  name = nameOf(network, to),
): string | undefined {
  if (admits(network.egress(securityGroupIds), ports, to)) return undefined;
  return `no egress rule of ${labels(network, securityGroupIds)} lets TCP ${ports.join(' or ')} out to ${name}`;
}

function obstacleToEntering(
  network: Topology,
  { securityGroupIds }: Placement,
  ports: readonly number[],
  from: Peer,
): string | undefined {
  if (admits(network.ingress(securityGroupIds), ports, from)) return undefined;
  return `no ingress rule of ${labels(network, securityGroupIds)} lets TCP ${ports.join(' or ')} in from ${nameOf(network, from)}`;
}

/** From a function's subnet to the internet. */
function obstacleFromSubnet(
  network: Topology,
  source: Source,
  subnet: Subnet,
  ports: readonly number[],
): string | undefined {
  const way = network.wayOut(subnet.id);
  if (!way) return `${network.label(subnet.id)} has no route to the internet through a NAT gateway`;
  if (way.by === 'internet gateway')
    return `${network.label(subnet.id)} leads to an internet gateway, which serves public addresses only, and functions have none`;
  return obstacleToLeaving(network, source, ports, ANYWHERE);
}

function admits(rules: readonly Rule[], ports: readonly number[], peer: Peer): boolean {
  const open = rules.filter((rule) => ports.some((port) => isFor(rule, port)));
  return peer.ranges.every((range) =>
    open.some((rule) =>
      rule.groupId === undefined
        ? rule.range !== undefined && holds(rule.range, range)
        : peer.groupIds.includes(rule.groupId),
    ),
  );
}

function isFor({ protocol, fromPort, toPort }: Rule, port: number): boolean {
  if (protocol === '-1') return true;
  if (protocol !== 'tcp' && protocol !== '6') return false;
  return fromPort !== undefined && toPort !== undefined && fromPort <= port && port <= toPort;
}

function labels(network: Topology, ids: readonly string[]): string {
  return ids.map((id) => network.label(id)).join(' or ');
}

function nameOf(network: Topology, { groupIds, ranges }: Peer): string {
  return [...groupIds.map((id) => network.label(id)), ...ranges.map(({ text }) => text)].join(' or ');
}
