import { ApiError } from '../core/api';
import { DEFAULT_VPC } from '../network/default-vpc';
import type { Database } from '../network/reach';
import { Topology, type Placement } from '../network/topology';
import { DEFAULT_SUBNET_GROUP } from './defaults';
import { invalidCombination, invalidValue } from './errors';
import type { Rds } from './rds';
import type { InstanceSettings } from './state';

/** Where instances are: in the VPC of their subnet group, behind security groups. */

export function subnetIdsOf(rds: Rds, subnetGroupName: string): readonly string[] {
  const group = rds.state.subnetGroups.get(subnetGroupName);
  if (group) return group.subnetIds;
  return new Topology(rds.network).subnetsOf(DEFAULT_VPC).map(({ id }) => id);
}

/** The VPC of a subnet group. One that stands in no template is taken for the default VPC. */
export function vpcOf(rds: Rds, subnetGroupName: string): string {
  const topology = new Topology(rds.network);
  const vpcs = subnetIdsOf(rds, subnetGroupName).map((id) => topology.subnet(id)?.vpcId);
  return vpcs.find((vpc) => vpc !== undefined) ?? DEFAULT_VPC;
}

/** What an instance gets that asks for neither: the security group of its VPC, and a public address in the default VPC only. */
export function defaultPlacement(
  rds: Rds,
  subnetGroupName = DEFAULT_SUBNET_GROUP,
): Pick<InstanceSettings, 'securityGroupIds' | 'publiclyAccessible'> {
  const name = subnetGroupName.toLowerCase();
  const group = new Topology(rds.network).defaultGroup(vpcOf(rds, name));
  return {
    securityGroupIds: group === undefined ? [] : [group],
    publiclyAccessible: name === DEFAULT_SUBNET_GROUP,
  };
}

/**
 * Refuses a place that an instance can't have: security groups of another VPC, a public address without a way to it.
 *
 * @throws InvalidParameterValue, InvalidParameterCombination, InvalidVPCNetworkStateFault
 */
export function checkPlacement(
  rds: Rds,
  { securityGroupIds, subnetGroupName, publiclyAccessible }: InstanceSettings,
): void {
  if (!rds.network.isKnown) return;
  const topology = new Topology(rds.network);
  const vpc = vpcOf(rds, subnetGroupName);
  if (publiclyAccessible && !topology.hasInternetGateway(vpc)) {
    throw new ApiError(
      'InvalidVPCNetworkStateFault',
      'Cannot create a publicly accessible DBInstance. The specified VPC has no internet gateway attached. Update the VPC and then try again',
    );
  }
  for (const id of securityGroupIds) {
    const own = topology.vpcOfGroup(id);
    if (own === undefined) throw invalidValue(`Invalid security group , groupId= ${id}, groupName=.`);
    if (own !== vpc) {
      throw invalidCombination(
        `The DB instance and EC2 security group are in different VPCs. The DB instance is in ${vpc} and the EC2 security group is in ${own}`,
      );
    }
  }
}

/** The instance whose server listens there, as the network sees it. */
export function databaseAt(rds: Rds, host: string, port: number): Database | undefined {
  const instances = [...rds.state.instances.values()];
  const instance = instances.find(({ address }) => address?.host === host && address.port === port);
  if (!instance) return undefined;
  const { identifier, settings } = instance;
  // Where a server could not have the port that was asked for, templates have learned another one from an endpoint.
  const shown = instances.flatMap((other) =>
    other.settings.port === settings.port && other.address ? other.address.port : [],
  );
  return {
    identifier,
    ports: [...new Set([settings.port, ...shown])],
    publiclyAccessible: settings.publiclyAccessible,
    ...placementOf(rds, settings),
  };
}

function placementOf(rds: Rds, { subnetGroupName, securityGroupIds }: InstanceSettings): Placement {
  return { subnetIds: subnetIdsOf(rds, subnetGroupName), securityGroupIds };
}
