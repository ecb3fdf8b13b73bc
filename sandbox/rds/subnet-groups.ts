import type {
  CreateDBSubnetGroupMessage,
  DeleteDBSubnetGroupMessage,
  DescribeDBSubnetGroupsMessage,
  ModifyDBSubnetGroupMessage,
} from '@aws-sdk/client-rds';
import { ApiError, type Operation } from '../core/api';
import { DEFAULT_VPC } from '../network/default-vpc';
import { Topology } from '../network/topology';
import { describeSubnetGroup } from './describe';
import { invalidValue, subnetGroupNotFound } from './errors';
import { required } from './identifiers';
import { operation } from './operation';
import { page } from './paging';
import { vpcOf } from './placement';
import type { Rds } from './rds';
import type { SubnetGroupRecord } from './state';
import { givenTags } from './tags';

export function subnetGroupOperations(rds: Rds): Record<string, Operation> {
  const { subnetGroups, instances } = rds.state;
  const find = (name: string | undefined): SubnetGroupRecord => {
    const id = required(name, 'DBSubnetGroupName').toLowerCase();
    const group = subnetGroups.get(id);
    if (!group) throw subnetGroupNotFound(id);
    return group;
  };
  return {
    ...operation<CreateDBSubnetGroupMessage>(
      'CreateDBSubnetGroup',
      ['DBSubnetGroupName', 'DBSubnetGroupDescription', 'SubnetIds', 'Tags'],
      (input) => {
        const name = required(input.DBSubnetGroupName, 'DBSubnetGroupName').toLowerCase();
        if (name === 'default' || !/^[a-z0-9 ._-]{1,255}$/.test(name)) {
          throw invalidValue(`The parameter DBSubnetGroupName is not valid: ${name}`);
        }
        if (subnetGroups.has(name)) {
          throw new ApiError(
            'DBSubnetGroupAlreadyExistsFault',
            `The DB subnet group '${name}' already exists.`,
          );
        }
        const subnetIds = input.SubnetIds ?? [];
        checkSubnets(rds, subnetIds);
        const group: SubnetGroupRecord = {
          name,
          description: required(input.DBSubnetGroupDescription, 'DBSubnetGroupDescription'),
          subnetIds,
          tags: givenTags(input.Tags),
        };
        subnetGroups.set(name, group);
        return { DBSubnetGroup: describeSubnetGroup(rds, group) };
      },
    ),
    ...operation<ModifyDBSubnetGroupMessage>(
      'ModifyDBSubnetGroup',
      ['DBSubnetGroupName', 'DBSubnetGroupDescription', 'SubnetIds'],
      (input) => {
        const group = find(input.DBSubnetGroupName);
        const subnetIds = input.SubnetIds ?? [];
        checkSubnets(rds, subnetIds);
        checkChange(rds, group, subnetIds);
        const changed = {
          ...group,
          subnetIds,
          description: input.DBSubnetGroupDescription ?? group.description,
        };
        subnetGroups.set(group.name, changed);
        return { DBSubnetGroup: describeSubnetGroup(rds, changed) };
      },
    ),
    ...operation<DescribeDBSubnetGroupsMessage>(
      'DescribeDBSubnetGroups',
      ['DBSubnetGroupName', 'MaxRecords', 'Marker'],
      (input) => {
        const name = input.DBSubnetGroupName;
        const { items, Marker } = page(name === undefined ? [...subnetGroups.values()] : [find(name)], input);
        return { DBSubnetGroups: items.map((group) => describeSubnetGroup(rds, group)), Marker };
      },
    ),
    ...operation<DeleteDBSubnetGroupMessage>('DeleteDBSubnetGroup', ['DBSubnetGroupName'], (input) => {
      const { name } = find(input.DBSubnetGroupName);
      if ([...instances.values()].some(({ settings }) => settings.subnetGroupName === name)) {
        throw new ApiError(
          'InvalidDBSubnetGroupStateFault',
          `Cannot delete the subnet group '${name}' because at least one database instance is still using it.`,
        );
      }
      subnetGroups.delete(name);
      return {};
    }),
  };
}

/**
 * Refuses subnets that can't make a group.
 *
 * @throws InvalidSubnet, InvalidParameterValue, DBSubnetGroupDoesNotCoverEnoughAZs
 */
function checkSubnets(rds: Rds, subnetIds: readonly string[]): void {
  if (subnetIds.length === 0) throw new ApiError('InvalidSubnet', 'Subnet IDs are required.');
  const topology = new Topology(rds.network);
  const subnets = subnetIds.map((id) => topology.subnet(id));
  const unknown = subnetIds.filter((_, index) => !subnets[index]);
  if (rds.network.isKnown && unknown.length > 0) {
    throw invalidValue(`Some input subnets in :[${unknown.join(', ')}] are invalid.`);
  }
  if (new Set(subnets.map((subnet) => subnet?.vpcId)).size > 1) {
    throw new ApiError('InvalidSubnet', `The subnets [${subnetIds.join(', ')}] are not all in a common VPC.`);
  }
  // Made-up subnets are each in a zone of its own.
  const zones = new Set(subnets.map((subnet, index) => subnet?.zone ?? String(index)));
  if (zones.size < 2) {
    throw new ApiError(
      'DBSubnetGroupDoesNotCoverEnoughAZs',
      `The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement. Current AZ coverage: ${[...zones].join(', ')}. Add subnets to cover at least 2 AZs.`,
    );
  }
}

/**
 * Refuses to take a group to another VPC, or a subnet from an instance in it.
 *
 * @throws InvalidParameterValue, SubnetAlreadyInUse
 */
function checkChange(rds: Rds, group: SubnetGroupRecord, subnetIds: readonly string[]): void {
  const topology = new Topology(rds.network);
  if (subnetIds.some((id) => (topology.subnet(id)?.vpcId ?? DEFAULT_VPC) !== vpcOf(rds, group.name))) {
    throw invalidValue('The new Subnets are not in the same Vpc as the existing subnet group');
  }
  const zones = subnetIds.map((id) => topology.subnet(id)?.zone);
  for (const id of group.subnetIds.filter((old) => !subnetIds.includes(old))) {
    const zone = topology.subnet(id)?.zone;
    const used = [...rds.state.instances.values()].some(
      ({ settings }) => settings.subnetGroupName === group.name && settings.availabilityZone === zone,
    );
    if (used && !zones.includes(zone)) {
      throw new ApiError(
        'SubnetAlreadyInUse',
        `The subnet ${id} is in use by a DB instance in ${zone ?? ''}.`,
      );
    }
  }
}
