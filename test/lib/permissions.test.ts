import { AwsSolutionsChecks } from 'cdk-nag';
import { Stack, Validations } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import { z } from 'zod';
import { addEnvironment } from '../../lib/environment-stacks';
import { ENVIRONMENTS } from '../../lib/environments';
import { allow } from '../../lib/permissions/permission';
import { readable, resourcesOf, synthesise, templateOf, withApp } from './synthesis';

const list = z.union([z.array(z.unknown()), z.unknown().transform((value) => [value])]);
const Statement = z.object({
  Sid: z.string().optional(),
  Effect: z.enum(['Allow', 'Deny']),
  Action: list,
  Resource: list,
  Condition: z.record(z.string(), z.record(z.string(), z.unknown())).default({}),
});
const Policy = z.object({ PolicyDocument: z.object({ Statement: z.array(Statement) }) });

// GIVEN the policies of production
const rollback = templateOf(synthesise([ENVIRONMENTS.production]), 'Production-Rollback');
const statements = resourcesOf(rollback, 'AWS::IAM::Policy').flatMap(
  ({ Properties }) => Policy.parse(Properties).PolicyDocument.Statement,
);
const allowed = statements
  .filter(({ Effect }) => Effect === 'Allow')
  .flatMap(({ Action, Resource, Condition, Sid }) =>
    Action.map((action) => ({
      sid: Sid,
      action: String(action),
      resources: Resource.map(readable),
      Condition,
    })),
  );

test('no role has a policy of AWS, which would allow more than is asked', () => {
  for (const { Properties } of resourcesOf(rollback, 'AWS::IAM::Role'))
    expect(Properties['ManagedPolicyArns']).toBeUndefined();
});

test('no action is written with a wildcard', () => {
  expect(allowed.map(({ action }) => action).filter((action) => action.includes('*'))).toEqual([]);
});

test('"*" as a whole resource stands only where AWS knows no narrower one', () => {
  const services = allowed.filter(({ resources }) => resources.includes('*')).map(({ sid }) => sid);
  expect([...new Set(services)].sort()).toEqual([
    'AnswerQuestion',
    'LambdaMakesInterfaces',
    'LookAtAlarms',
    'ReadQuota',
    'SeeAlarms',
    'WriteLog',
  ]);
});

test('instances are changed and deleted only if they carry the tags of this system and environment', () => {
  const changes = allowed.filter(
    ({ action, resources }) =>
      /^rds:(Modify|Delete|Reboot)/.test(action) && resources.some((resource) => resource.includes(':db:')),
  );
  expect(changes.length).toBeGreaterThan(3);
  // What is live is renamed, and neither deleted nor restarted.
  expect(changes.filter(({ sid }) => sid === 'RenameLive').map(({ action }) => action)).toEqual([
    'rds:ModifyDBInstance',
  ]);
  for (const { sid, Condition } of changes) {
    expect(sid === 'RenameLive' ? ['live'] : ['recovery-instance', 'taken-back', 'retired']).toContain(
      Condition['StringEquals']?.['aws:ResourceTag/migration-rollback:role'],
    );
    expect(Condition['StringEquals']?.['aws:ResourceTag/migration-rollback:environment']).toBe('production');
  }
});

test('instances and snapshots are made only with the tags of this system', () => {
  const makes = allowed.filter(({ action }) => action.startsWith('rds:Restore'));
  expect(makes).toHaveLength(2);
  for (const { Condition } of makes)
    expect(Condition['StringEquals']).toEqual({
      'aws:RequestTag/migration-rollback:role': 'recovery-instance',
      'aws:RequestTag/migration-rollback:environment': 'production',
    });
});

test('every statement about secrets names the secret', () => {
  const secrets = allowed.filter(({ action }) => action.startsWith('secretsmanager:'));
  expect(secrets.length).toBeGreaterThan(10);
  for (const { resources } of secrets) for (const resource of resources) expect(resource).not.toContain('*');
});

test('cdk-nag has no finding that is not acknowledged', () => {
  withApp((app) => {
    const { production, staging, development } = ENVIRONMENTS;
    // Copies are off in the table.
    const copies = {
      region: 'eu-west-1',
      preMigrationDays: 7,
      dailyDays: 3,
      weeklyDays: 7,
      keepNewest: 1,
      newestAtMostHours: 48,
    };
    const vault = {
      ...{ account: '222222222222', homeAccount: '123456789012', notify: [] },
      ...{ preMigrationDays: 7, dailyDays: 3, weeklyDays: 7, keepNewest: 1, newestAtMostHours: 48 },
    };
    for (const settings of [production, { ...staging, copies, vault }, development])
      addEnvironment(app, settings);
    Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
    expect(() => app.synth()).not.toThrow();
  });
});

test('a wildcard without a reason, or in an action, is refused at synthesis', () => {
  withApp((app) => {
    const role = new iam.Role(new Stack(app, 'Stack'), 'Role', {
      assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com'),
    });
    expect(() => {
      allow(role, [{ sid: 'Everything', actions: ['rds:DeleteDBInstance'], resources: ['*'] }]);
    }).toThrow('Everything allows *. Name the resource, or give a wildcardReason.');
    expect(() => {
      allow(role, [
        { sid: 'All', actions: ['rds:*'], resources: ['arn:aws:rds:eu-central-1:123456789012:db:x'] },
      ]);
    }).toThrow('All allows rds:*. Name each action.');
  });
});
