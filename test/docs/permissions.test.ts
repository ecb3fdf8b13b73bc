import { z } from 'zod';
import { ENVIRONMENTS } from '../../lib/environments';
import { readable, resourcesOf, synthesise, templateOf } from '../lib/synthesis';
import { sectionsOf } from './markdown';

/** docs/permissions.md says in words what the synthesised policies allow. */
const rows = sectionsOf('docs/permissions.md').flatMap((section) => section.rows);

/** How the page says that an action is allowed. */
const WORDS: Readonly<Record<string, RegExp>> = {
  'cloudwatch:DescribeAlarms': /see all alarms and dashboards/,
  'cloudwatch:GetDashboard': /see all alarms and dashboards/,
  'cloudwatch:ListDashboards': /see all alarms and dashboards/,
  'ecs:DescribeServices': /describe and update the ECS services/,
  'ecs:UpdateService': /describe and update the ECS services/,
  'events:PutEvents': /event of a cutover/,
  'iam:PassRole': /role for monitoring/,
  'lambda:InvokeFunction': /call (check-migrations|lift-fence)/,
  'rds:AddTagsToResource':
    /tagged (pre-migration|scheduled|safety)|restore .* tagged|in tags|mark|put the tags/,
  'rds:CreateDBSnapshot': /make snapshots|snapshot and delete/,
  'rds:DeleteDBInstance': /delete (only )?instances|snapshot and delete/,
  'rds:DeleteDBSnapshot': /delete snapshots/,
  'rds:DescribeAccountAttributes': /quotas/,
  'rds:DescribeDBInstanceAutomatedBackups': /backup window/,
  'rds:DescribeDBInstances': /describe instances/,
  'rds:DescribeDBSnapshots': /describe instances(,| and) snapshots/,
  'rds:ModifyDBInstance': /modify/,
  'rds:RebootDBInstance': /reboot/,
  'rds:RemoveTagsFromResource': /markers|correct the quarantine|take the (mark of a rename|day .*) off/,
  'rds:RestoreDBInstanceFromDBSnapshot': /restore snapshots/,
  'rds:RestoreDBInstanceToPointInTime': /automated backups to instances/,
  's3:PutObject': /put documents/,
  'secretsmanager:DescribeSecret': /see the versions of both secrets/,
  'secretsmanager:GetSecretValue': /read (the|both)|read, stage|read and relabel/,
  'secretsmanager:PutSecretValue': /write the claim|stage/,
  'secretsmanager:UpdateSecretVersionStage': /pin them|relabel|move the claim/,
  'sqs:SendMessage': /send its failures/,
  'states:DescribeExecution': /recovery.* runs|see (an|the) execution/,
  'states:DescribeStateMachine': /last recovery or drill/,
  'states:GetExecutionHistory': /histor/,
  'states:ListExecutions': /executions of the machine|last recovery or drill/,
  'states:SendTaskFailure': /answer tasks/,
  'states:SendTaskSuccess': /answer tasks/,
};

const Reference = z.union([z.string(), z.record(z.string(), z.unknown())]);
const Policy = z.object({
  Roles: z.array(Reference),
  PolicyDocument: z.object({
    Statement: z.array(z.object({ Effect: z.string(), Action: z.union([z.string(), z.array(z.string())]) })),
  }),
});

// GIVEN the functions of production, with a service among the consumers
const { production } = ENVIRONMENTS;
const consumers = [{ cluster: 'shop', service: 'web' }];
const template = templateOf(
  synthesise([
    { ...production, recovery: production.recovery ? { ...production.recovery, consumers } : null },
  ]),
  'Production-Rollback',
);
const policies = resourcesOf(template, 'AWS::IAM::Policy').map(({ Properties }) => Policy.parse(Properties));

/** What a function's role may, beside what every function may: write its log, and be in the VPC. */
function actionsOf(role: string): string[] {
  const actions = policies
    .filter(({ Roles }) => Roles.some((one) => role === readable(one).replace(/>$/, '.Arn>')))
    .flatMap(({ PolicyDocument }) => PolicyDocument.Statement)
    .flatMap(({ Effect, Action }) => (Effect === 'Allow' ? Action : []));
  return [...new Set(actions)].filter((action) => !/^(logs|ec2):/.test(action)).sort();
}

test('the page says of every function what it may, and nothing that it may not', () => {
  const functions = resourcesOf(template, 'AWS::Lambda::Function').map(({ Properties }) => ({
    name: readable(Properties['FunctionName']).replace('production-', ''),
    actions: actionsOf(readable(Properties['Role'])),
  }));
  expect(functions.length).toBeGreaterThan(25);
  for (const { name, actions } of functions) {
    const said = rows.find(([names = '']) => names.split(', ').includes(name))?.[1] ?? 'not on the page';
    const meant = Object.keys(WORDS).filter((action) => WORDS[action]?.test(said));
    expect({ name, said, actions: meant.sort() }).toEqual({ name, said, actions });
  }
});
