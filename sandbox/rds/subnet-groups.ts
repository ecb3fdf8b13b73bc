import type {
  CreateDBSubnetGroupMessage,
  DeleteDBSubnetGroupMessage,
  DescribeDBSubnetGroupsMessage,
} from '@aws-sdk/client-rds';
import { ApiError, type Operation } from '../core/api';
import { describeSubnetGroup } from './describe';
import { invalidValue, subnetGroupNotFound } from './errors';
import { required } from './identifiers';
import { operation } from './operation';
import { page } from './paging';
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
        if (subnetIds.length < 2) {
          throw new ApiError(
            'DBSubnetGroupDoesNotCoverEnoughAZs',
            'The DB subnet group doesn’t meet Availability Zone (AZ) coverage requirement. Please edit DB subnet group to add a subnet that covers at least 2 AZs.',
          );
        }
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
