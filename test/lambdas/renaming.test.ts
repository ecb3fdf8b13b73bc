import type { DBInstance } from '@aws-sdk/client-rds';
import { findBegunRename, renameMarks } from '../../lambdas/begun-rename';
import { nameBefore, refuseRename } from '../../lambdas/renaming';
import { writeMarks } from '../../lambdas/tags';

const LIVE: DBInstance = {
  DBInstanceIdentifier: 'orders-rec-0123456789',
  DbiResourceId: 'db-NEW',
  DBInstanceStatus: 'available',
  Endpoint: { Address: 'orders-rec-0123456789.c1.rds.amazonaws.com', Port: 5432 },
  TagList: writeMarks({ role: 'live', environment: 'production', 'recovery-id': '0123456789' }),
};
const refusal = (change: Partial<DBInstance>, others: DBInstance[] = []): string => {
  const instance = { ...LIVE, ...change };
  try {
    refuseRename(instance, nameBefore(instance) ?? '', [instance, ...others], 'production');
    return 'not refused';
  } catch (error) {
    return String(error);
  }
};

test.each([
  ['nothing is in the way', {}, [], /^not refused$/],
  ['it has replicas', { ReadReplicaDBInstanceIdentifiers: ['reader'] }, [], /has read replicas.*reader/],
  ['it is a replica', { ReadReplicaSourceDBInstanceIdentifier: 'other' }, [], /is one: other/],
  [
    'the stack has adopted it',
    {
      TagList: [
        ...(LIVE.TagList ?? []),
        { Key: 'aws:cloudformation:stack-name', Value: 'Production-Database' },
      ],
    },
    [],
    /stack Production-Database has adopted/,
  ],
  [
    'it belongs to another environment',
    { TagList: writeMarks({ role: 'live', environment: 'staging' }) },
    [],
    /not as live/,
  ],
  ['it has no tags of ours', { TagList: [] }, [], /tagged "nothing"/],
  ['it is backed up', { DBInstanceStatus: 'backing-up' }, [], /it is "backing-up"/],
  [
    'parameters wait for a restart',
    { DBParameterGroups: [{ DBParameterGroupName: 'own', ParameterApplyStatus: 'pending-reboot' }] },
    [],
    /group own waits for a restart/,
  ],
  ['a change waits', { PendingModifiedValues: { DBInstanceClass: 'db.m7g.large' } }, [], /pending: DBInst/],
  [
    'the old instance is being deleted',
    {},
    [{ DBInstanceIdentifier: 'orders', DBInstanceStatus: 'deleting' }],
    /orders is in use.*Wait until it is gone/,
  ],
  [
    'its name may have been cut off',
    { DBInstanceIdentifier: `${'o'.repeat(48)}-rec-0123456789` },
    [],
    /not certain.*npm run adopt/,
  ],
])('whether it may be renamed where %s', (_, change, others, expected) => {
  expect(refusal(change, others)).toMatch(expected);
});

describe('a rename that was begun', () => {
  const address = {
    instanceId: 'orders-rec-0123456789',
    resourceId: 'db-NEW',
    host: 'orders-rec-0123456789.c1.rds.amazonaws.com',
    port: 5432,
  };
  const marked = {
    ...LIVE,
    TagList: [...(LIVE.TagList ?? []), ...renameMarks(LIVE, address, new Date('2026-11-22T10:00:00Z'))],
  };
  const { Endpoint: _, ...without } = marked;

  test.each([
    ['refused by RDS: it has its name and does nothing', marked, undefined],
    ['asked for', { ...marked, PendingModifiedValues: { DBInstanceIdentifier: 'orders' } }, 'by RDS'],
    ['under way', { ...without, DBInstanceStatus: 'renaming' }, 'by RDS'],
    ['done', { ...marked, DBInstanceIdentifier: 'orders' }, 'by RDS'],
  ])('is known by its tags: %s', (_name, instance, found) => {
    const other = { DBInstanceIdentifier: 'other', TagList: [] };
    const rename = findBegunRename([other, instance], 'ORDERS-rec-0123456789.c1.rds.amazonaws.com.');
    expect(rename?.from.instanceId).toBe(found && 'orders-rec-0123456789');
    expect(rename?.askedAt).toBe(found && '2026-11-22T10:00:00.000Z');
  });

  test('is known by the new address, too, until it is finished', () => {
    const Endpoint = { Address: 'orders.c1.rds.amazonaws.com', Port: 5432 };
    const done = { ...marked, DBInstanceIdentifier: 'orders', Endpoint };
    expect(findBegunRename([done], Endpoint.Address)).toBeDefined();
    expect(findBegunRename([{ ...done, TagList: LIVE.TagList }], Endpoint.Address)).toBeUndefined();
    expect(findBegunRename([done], 'elsewhere.c1.rds.amazonaws.com')).toBeUndefined();
  });

  test.each([
    ['retired by a recovery', { role: 'retired', 'recovery-id': 'later' }],
    ['taken back by an undo', { role: 'live', 'recovery-id': 'undo' }],
  ] as const)('is nothing to an instance that was %s meanwhile', (_name, marks) => {
    const Endpoint = { Address: 'orders.c1.rds.amazonaws.com', Port: 5432 };
    const keys = writeMarks(marks).map(({ Key }) => Key);
    const TagList = [...marked.TagList.filter(({ Key }) => !keys.includes(Key)), ...writeMarks(marks)];
    const done = { ...marked, DBInstanceIdentifier: 'orders', Endpoint };
    expect(findBegunRename([done], Endpoint.Address)).toBeDefined();
    expect(findBegunRename([{ ...done, TagList }], Endpoint.Address)).toBeUndefined();
    expect(findBegunRename([{ ...done, TagList }], address.host)).toBeUndefined();
  });
});
