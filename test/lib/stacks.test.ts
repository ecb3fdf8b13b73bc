import { z } from 'zod';
import { ENVIRONMENTS, type EnvironmentSettings, type ExistingDatabase } from '../../lib/environments';
import { onlyOf, readable, resourcesOf, synthesise, templateOf, type Template } from './synthesis';

// GIVEN the three environments as they are in the table
const templates = synthesise();
const stack = (name: string): Template => templateOf(templates, name);
const PREFIXES = ['Production', 'Staging', 'Development'] as const;
const databaseStacks = PREFIXES.map((prefix) => [prefix, stack(`${prefix}-Database`)] as const);

/** A database that is there before any stack. */
const EXISTING: ExistingDatabase = {
  vpc: {
    vpcId: 'vpc-0123456789abcdef0',
    availabilityZones: ['eu-central-1a', 'eu-central-1b'],
    subnetIds: ['subnet-0123456789abcdef0', 'subnet-0123456789abcdef1'],
    reachesSecretsManager: true,
  },
  instanceId: 'shop',
  port: 5433,
  securityGroupId: 'sg-0123456789abcdef0',
  masterSecretArn: 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:shop-master-AbCdEf',
  databaseUrlSecretArn: 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:shop-url-AbCdEf',
};

const instanceOf = (template: Template) => onlyOf(template, 'AWS::RDS::DBInstance');

test('there are two stacks per environment', () => {
  expect([...templates.keys()].sort()).toEqual(
    PREFIXES.flatMap((prefix) => [`${prefix}-Database`, `${prefix}-Rollback`]).sort(),
  );
});

describe('the database', () => {
  test.each([
    ['Production', 30],
    ['Staging', 7],
    ['Development', 0],
  ])('of %s has %i days of automated backups, which survive it', (prefix, days) => {
    const { Properties } = instanceOf(stack(`${prefix}-Database`));
    expect(Properties).toMatchObject({ BackupRetentionPeriod: days, DeleteAutomatedBackups: false });
  });

  test.each(databaseStacks)('of %s is encrypted, closed and logged', (_, template) => {
    const { Properties } = instanceOf(template);
    expect(Properties).toMatchObject({
      StorageEncrypted: true,
      PubliclyAccessible: false,
      EnableCloudwatchLogsExports: ['postgresql', 'upgrade'],
      CopyTagsToSnapshot: true,
      StorageType: 'gp3',
      Engine: 'postgres',
    });
    expect(Properties['EngineVersion']).toMatch(/^17\./);
  });

  test.each(databaseStacks)('of %s forces TLS and is ready for logical replication', (prefix, template) => {
    const { Properties } = onlyOf(template, 'AWS::RDS::DBParameterGroup');
    expect(Properties['Family']).toBe('postgres17');
    const parameters = z.record(z.string(), z.string()).parse(Properties['Parameters']);
    expect(parameters).toMatchObject({ 'rds.force_ssl': '1', 'rds.logical_replication': '1' });
    // Megabytes; below what the disk holds, so that a forgotten slot cannot fill it.
    const kept = Number(parameters['max_slot_wal_keep_size']);
    const diskMegabytes = Number(instanceOf(template).Properties['AllocatedStorage']) * 1024;
    expect({ prefix, bounded: kept >= 1024 && kept <= diskMegabytes / 2 }).toEqual({ prefix, bounded: true });
  });

  test('of production is protected from deletion, with its secrets and its stack', () => {
    const production = stack('Production-Database');
    expect(instanceOf(production).Properties['DeletionProtection']).toBe(true);
    for (const type of ['AWS::RDS::DBInstance', 'AWS::SecretsManager::Secret'])
      for (const resource of resourcesOf(production, type))
        expect(resource).toMatchObject({ DeletionPolicy: 'Retain', UpdateReplacePolicy: 'Retain' });
  });

  test('has its master password from a generated secret and from nowhere else', () => {
    for (const [, template] of databaseStacks) {
      const password = readable(instanceOf(template).Properties['MasterUserPassword']);
      expect(password).toMatch(
        /^\{\{resolve:secretsmanager:<MasterSecret[^>]*>:SecretString:password::\}\}$/,
      );
    }
  });
});

describe('an instance that was adopted', () => {
  const adopted = (settings: EnvironmentSettings, instanceIdentifier: string): Template[] => {
    const { database, stackPrefix } = settings;
    if ('existing' in database) throw new Error('The table makes the database.');
    const found = synthesise([{ ...settings, database: { ...database, instanceIdentifier } }]);
    return ['Database', 'Rollback'].map((name) => templateOf(found, `${stackPrefix}-${name}`));
  };
  const ID = 'production-database-rec-0123456789';
  const [database, rollback] = adopted(ENVIRONMENTS.production, ID);
  if (!database || !rollback) throw new Error('There are two stacks.');
  const before = stack('Production-Database');

  test('is another resource of its stack, and everything else of the stack is as before', () => {
    const typesIn = (template: Template, wanted: (id: string) => boolean): string[] =>
      Object.entries(template.Resources)
        .filter(([id]) => wanted(id))
        .map(([, { Type }]) => Type)
        .sort();
    const letGo = typesIn(before, (id) => !(id in database.Resources));
    expect(letGo).toEqual(['AWS::Logs::LogGroup', 'AWS::Logs::LogGroup', 'AWS::RDS::DBInstance']);
    expect(typesIn(database, (id) => !(id in before.Resources))).toEqual(letGo);
    const changed = (id: string): boolean =>
      id in before.Resources &&
      JSON.stringify(before.Resources[id]) !== JSON.stringify(database.Resources[id]);
    expect(typesIn(database, changed)).toEqual(['Custom::ApplicationDatabase']);
    expect(instanceOf(database).Properties).toEqual({
      ...instanceOf(before).Properties,
      DBInstanceIdentifier: ID,
    });
  });

  test('is nothing that the other stack, or an output, depends on', () => {
    expect(rollback).toEqual(stack('Production-Rollback'));
    expect(database.Outputs).toEqual(before.Outputs);
  });

  test('is never deleted by its stack: CloudFormation would not take it otherwise', () => {
    const [staging] = adopted(ENVIRONMENTS.staging, 'staging-database-rec-0123456789');
    if (!staging) throw new Error('There is a database stack.');
    const logs = Object.values(staging.Resources).filter(({ Properties }) =>
      String(Properties['LogGroupName']).startsWith('/aws/rds/instance/staging-database-rec-0123456789/'),
    );
    expect(logs).toHaveLength(2);
    for (const resource of [instanceOf(staging), ...logs])
      expect(resource).toMatchObject({ DeletionPolicy: 'Retain', UpdateReplacePolicy: 'Retain' });
  });
});

describe('the network', () => {
  test.each([...templates])('of %s has no NAT, no internet gateway and no public subnet', (_, template) => {
    const types = Object.values(template.Resources).map(({ Type }) => Type);
    for (const type of ['AWS::EC2::NatGateway', 'AWS::EC2::InternetGateway', 'AWS::EC2::EIP'])
      expect(types).not.toContain(type);
    for (const subnet of resourcesOf(template, 'AWS::EC2::Subnet'))
      expect(subnet.Properties['MapPublicIpOnLaunch']).toBe(false);
  });

  test.each([...templates])('of %s lets nobody in by address', (_, template) => {
    for (const { Properties } of resourcesOf(template, 'AWS::EC2::SecurityGroup'))
      expect(Properties['SecurityGroupIngress']).toBeUndefined();
    for (const { Properties } of resourcesOf(template, 'AWS::EC2::SecurityGroupIngress')) {
      expect(Properties['CidrIp']).toBeUndefined();
      expect(Properties['SourceSecurityGroupId']).toBeDefined();
    }
  });

  test('lets the application reach the database, by a security group of its own', () => {
    const database = stack('Production-Database');
    const ingress = resourcesOf(database, 'AWS::EC2::SecurityGroupIngress').map(
      ({ Properties }) => Properties,
    );
    const [fromApplication] = ingress.filter(
      ({ Description }) => Description === 'PostgreSQL, from the application',
    );
    expect(fromApplication).toMatchObject({ IpProtocol: 'tcp', FromPort: 5432, ToPort: 5432 });
    const source = readable(fromApplication?.['SourceSecurityGroupId']);
    expect(source).toMatch(/^<ApplicationSecurityGroup\w+\.GroupId>$/);
    expect(readable(database.Outputs['ApplicationSecurityGroupId']?.Value)).toBe(source);
  });

  test('no alarm and no schedule names an instance: after a recovery another one is live', () => {
    for (const name of ['Production-Database', 'Production-Rollback', 'Staging-Rollback'])
      for (const [id, { Type, Properties }] of Object.entries(stack(name).Resources))
        if (/^AWS::(CloudWatch::Alarm|Scheduler::|Events::)/.test(Type))
          expect({
            id,
            names: /DBInstanceIdentifier|-database"|RefDatabase/.test(JSON.stringify(Properties)),
          }).toEqual({
            id,
            names: false,
          });
  });

  test('lets the functions that talk to PostgreSQL reach the database and Secrets Manager, and nothing else', () => {
    const production = stack('Production-Rollback');
    const egress = resourcesOf(production, 'AWS::EC2::SecurityGroupEgress').map(
      ({ Properties }) => Properties['Description'],
    );
    expect(egress.sort()).toEqual(['PostgreSQL, also of recovery instances', 'Secrets Manager']);
    const inVpc = resourcesOf(production, 'AWS::Lambda::Function')
      .filter(({ Properties }) => Properties['VpcConfig'] !== undefined)
      .map(({ Properties }) => Properties['FunctionName']);
    expect(inVpc.sort()).toEqual(
      [
        'check-migrations',
        'drain',
        'fence',
        'lift-fence',
        'match-credentials',
        'prove',
        'prove-consumers',
        'record-position',
        'soak',
        'swap',
        'verify',
        'warm',
      ].map((name) => `production-${name}`),
    );
  });
});

describe('the DATABASE_URL secret', () => {
  test.each(databaseStacks)('of %s is made empty', (prefix, template) => {
    const secret = resourcesOf(template, 'AWS::SecretsManager::Secret').find(
      ({ Properties }) => Properties['Name'] === `${prefix.toLowerCase()}/database-url`,
    );
    expect(secret?.Properties).toBeDefined();
    expect(secret?.Properties).not.toHaveProperty('SecretString');
    expect(secret?.Properties).not.toHaveProperty('GenerateSecretString');
  });

  test('is never written by a deploy: no attachment, no rotation, no value composed by CloudFormation', () => {
    for (const template of templates.values())
      for (const type of ['SecretTargetAttachment', 'RotationSchedule'])
        expect(resourcesOf(template, `AWS::SecretsManager::${type}`)).toEqual([]);
  });

  test.each(databaseStacks)(
    'of %s is filled by one custom resource that later deploys leave alone',
    (_, t) => {
      const { Properties } = onlyOf(t, 'Custom::ApplicationDatabase');
      // A property that changed between deploys would call the handler again.
      expect(Object.keys(Properties).sort()).toEqual([
        'ServiceToken',
        'applicationRole',
        'databaseName',
        'host',
        'port',
      ]);
      expect(readable(Properties['host'])).toMatch(/^<Database[^.]*\.Endpoint\.Address>$/);
    },
  );

  test('can be written by six functions only: what fills it, what swaps, and the four that write the claim beside it', () => {
    const writers = [...templates.values()].flatMap((template) =>
      resourcesOf(template, 'AWS::IAM::Policy')
        .filter(({ Properties }) => JSON.stringify(Properties).includes('secretsmanager:PutSecretValue'))
        .map(({ Properties }) => readable(z.array(z.unknown()).parse(Properties['Roles'])[0])),
    );
    const kinds = new Set(
      writers.map((role) => role.replace(/^<(MigrationRollback)?/, '').split('Parts')[0]),
    );
    expect([...kinds].sort()).toEqual([
      'ApplicationDatabaseFunction',
      'CleanUp',
      'Rename',
      'StartRestore',
      'Swap',
      'TakeBack',
    ]);
  });
});

describe('development', () => {
  test('has nothing but the function that answers "skipped"', () => {
    const types = Object.values(stack('Development-Rollback').Resources).map(({ Type }) => Type);
    expect(types.sort()).toEqual([
      'AWS::IAM::Policy',
      'AWS::IAM::Role',
      'AWS::Lambda::Function',
      'AWS::Logs::LogGroup',
    ]);
    const { Properties } = onlyOf(stack('Development-Rollback'), 'AWS::Lambda::Function');
    expect(Properties).toMatchObject({
      FunctionName: 'development-pre-migration-snapshot',
      Environment: { Variables: { ENVIRONMENT: 'development', SNAPSHOT_RETENTION_DAYS: '0' } },
    });
  });
});

describe('drills', () => {
  test('are started every week in production, and nowhere else', () => {
    const schedules = PREFIXES.flatMap((prefix) =>
      resourcesOf(stack(`${prefix}-Rollback`), 'AWS::Scheduler::Schedule'),
    ).filter(({ Properties }) => String(Properties['Name']).endsWith('-drill'));
    expect(schedules.map(({ Properties }) => Properties)).toMatchObject([
      {
        Name: 'production-weekly-drill',
        ScheduleExpression: 'cron(0 5 ? * SUN *)',
        ScheduleExpressionTimezone: 'UTC',
        Target: {
          Input: JSON.stringify({
            mode: 'drill',
            restore: { to: 'latest-snapshot' },
            requestedBy: 'the schedule production-weekly-drill',
            reason: 'to know that a recovery would work',
          }),
        },
      },
    ]);
  });

  test('are missed by the reaper, whose alarm rings', () => {
    const rules = resourcesOf(stack('Production-Rollback'), 'AWS::Lambda::Function').flatMap(
      ({ Properties }) => {
        const { Variables } = z
          .object({ Variables: z.record(z.string(), z.unknown()) })
          .parse(Properties['Environment']);
        return Variables['DRILL_RULES'] ? [readable(Variables['DRILL_RULES'])] : [];
      },
    );
    expect(rules).toEqual([
      expect.stringMatching(/:stateMachine:production-recovery","newestAtMostDays":8\}$/),
    ]);
  });
});

describe('copies in another Region', () => {
  const copies = {
    region: 'eu-west-1',
    preMigrationDays: 30,
    dailyDays: 3,
    weeklyDays: 30,
    keepNewest: 1,
    newestAtMostHours: 48,
  };
  const made = templateOf(synthesise([{ ...ENVIRONMENTS.staging, copies }]), 'Staging-Rollback');
  const namesIn = (template: Template, type: string, name: string) =>
    resourcesOf(template, type).map(({ Properties }) => String(Properties[name]));

  test('are made every hour, where the table says so', () => {
    const schedule = resourcesOf(made, 'AWS::Scheduler::Schedule').find(
      ({ Properties }) => Properties['Name'] === 'staging-copy-snapshots',
    );
    expect(schedule?.Properties).toMatchObject({
      ScheduleExpression: 'cron(45 * * * ? *)',
      Target: { Input: '{"failOnWarning":true}' },
    });
    const rules = resourcesOf(made, 'AWS::Lambda::Function').flatMap(({ Properties }) => {
      const { Variables } = z
        .object({ Variables: z.record(z.string(), z.unknown()) })
        .parse(Properties['Environment']);
      const { COPY_RULES: rule } = Variables;
      return rule === undefined
        ? []
        : [[Properties['FunctionName'], JSON.parse(z.string().parse(rule)) as unknown]];
    });
    expect(rules.map(([name]) => name).sort()).toEqual([
      'staging-bring-back-copy',
      'staging-copy-snapshots',
      'staging-reap-snapshots',
      'staging-restore-points',
    ]);
    for (const [, rule] of rules) expect(rule).toEqual({ ...copies, kmsKeyId: 'alias/aws/rds' });
  });

  test('leave no trace where the table has none', () => {
    const without = stack('Staging-Rollback');
    const of = (type: string, name: string) => namesIn(without, type, name);
    expect(of('AWS::Lambda::Function', 'FunctionName').filter((name) => name.includes('cop'))).toEqual([]);
    expect(of('AWS::Scheduler::Schedule', 'Name').filter((name) => name.includes('cop'))).toEqual([]);
    expect(JSON.stringify(without)).not.toMatch(/CopyDBSnapshot|COPY_RULES|DescribeCopies|eu-west-1/);
  });
});

describe('the vault', () => {
  const rules = {
    account: '222222222222',
    homeAccount: '123456789012',
    preMigrationDays: 30,
    dailyDays: 3,
    weeklyDays: 30,
    keepNewest: 1,
    newestAtMostHours: 48,
  };
  const vault = { ...rules, notify: ['safe@example.com'] };
  const made = synthesise([{ ...ENVIRONMENTS.staging, vault }]);
  const home = templateOf(made, 'Staging-Rollback');
  const there = templateOf(made, 'Vault-Staging');
  const homeRole = (name: string) => `arn:<AWS::Partition>:iam::123456789012:role/staging-${name}`;
  const Statements = z.object({
    Statement: z.array(
      z.object({
        Action: z.union([z.string(), z.array(z.string())]),
        Condition: z.record(z.string(), z.record(z.string(), z.unknown())).optional(),
      }),
    ),
  });
  const principals = (condition: Readonly<Record<string, unknown>> | undefined): string[] =>
    [condition?.['aws:PrincipalArn']].flat().map(readable);

  test('is filled every quarter of an hour, and reaped every hour from within', () => {
    const scheduleOf = (template: Template, name: string) =>
      resourcesOf(template, 'AWS::Scheduler::Schedule').find(({ Properties }) => Properties['Name'] === name)
        ?.Properties;
    const Target = { Input: '{"failOnWarning":true}' };
    expect(scheduleOf(home, 'staging-copy-to-vault')).toMatchObject({
      ScheduleExpression: 'cron(10/15 * * * ? *)',
      Target,
    });
    expect(scheduleOf(there, 'staging-reap-vault')).toMatchObject({
      ScheduleExpression: 'rate(1 hour)',
      Target,
    });
  });

  test('is no stack that `cdk deploy Staging-*` means', () => {
    expect([...made.keys()].filter((name) => !name.startsWith('Staging-'))).toEqual(['Vault-Staging']);
  });

  test('lets the functions in that have business there, by the names that their roles have', () => {
    const trusts = resourcesOf(there, 'AWS::IAM::Role').flatMap(({ Properties }) => {
      const [statement] = Statements.parse(Properties['AssumeRolePolicyDocument']).Statement;
      return Properties['RoleName'] === undefined
        ? []
        : [[Properties['RoleName'], ...principals(statement?.Condition?.['ArnEquals'])]];
    });
    expect(trusts).toEqual([
      ['staging-vault-copy', homeRole('copy-to-vault'), homeRole('bring-back-copy')],
      ['staging-vault-list', homeRole('reap-snapshots'), homeRole('restore-points')],
    ]);
    const named = resourcesOf(home, 'AWS::IAM::Role').flatMap(
      ({ Properties }) => Properties['RoleName'] ?? [],
    );
    expect(named.sort()).toEqual(
      ['bring-back-copy', 'copy-to-vault', 'reap-snapshots', 'restore-points'].map(
        (name) => `staging-${name}`,
      ),
    );
  });

  test('lets nobody from home delete, mark or unmark a copy', () => {
    const policies = resourcesOf(there, 'AWS::IAM::Policy').filter(({ Properties }) =>
      JSON.stringify(Properties['Roles']).match(/CopyRole|ListRole/),
    );
    expect(policies).toHaveLength(2);
    const statements = policies.flatMap(
      ({ Properties }) => Statements.parse(Properties['PolicyDocument']).Statement,
    );
    const actions = statements.flatMap(({ Action }) => Action).filter((action) => action.startsWith('rds:'));
    expect([...new Set(actions)].sort()).toEqual([
      'rds:AddTagsToResource',
      'rds:CopyDBSnapshot',
      'rds:DescribeDBSnapshots',
      'rds:ModifyDBSnapshotAttribute',
    ]);
    for (const { Condition } of statements.filter(({ Action }) => Action.includes('rds:AddTagsToResource')))
      expect(Condition?.['Null']).toEqual({ 'aws:ResourceTag/migration-rollback:environment': 'true' });
  });

  test('has a key that outlives it, and that home may use through RDS only', () => {
    const key = onlyOf(there, 'AWS::KMS::Key');
    expect(key.DeletionPolicy).toBe('Retain');
    expect(onlyOf(there, 'AWS::KMS::Alias').Properties['AliasName']).toBe('alias/staging-vault');
    const [own, ours, ...others] = Statements.parse(key.Properties['KeyPolicy']).Statement;
    expect(own?.Action).toBe('kms:*');
    expect(ours?.Condition?.['StringEquals']).toEqual({
      'kms:ViaService': { 'Fn::Join': ['', ['rds.', { Ref: 'AWS::Region' }, '.amazonaws.com']] },
    });
    expect(principals(ours?.Condition?.['ArnEquals'])).toEqual([
      homeRole('copy-to-vault'),
      homeRole('bring-back-copy'),
    ]);
    expect(others).toEqual([]);
  });

  test('is told to the functions of both accounts in the same words', () => {
    const told = [home, there].flatMap((template) =>
      resourcesOf(template, 'AWS::Lambda::Function').flatMap(({ Properties }) => {
        const { Variables } = z
          .object({ Variables: z.record(z.string(), z.unknown()) })
          .parse(Properties['Environment']);
        const { VAULT_RULES: json } = Variables;
        return json === undefined
          ? []
          : [[Properties['FunctionName'], JSON.parse(readable(json)) as unknown] as const];
      }),
    );
    expect(told.map(([name]) => name).sort()).toEqual([
      'staging-bring-back-copy',
      'staging-copy-to-vault',
      'staging-reap-snapshots',
      'staging-reap-vault',
      'staging-restore-points',
    ]);
    for (const [, rule] of told)
      expect(rule).toEqual({
        ...rules,
        kmsKeyId: 'arn:<AWS::Partition>:kms:<AWS::Region>:222222222222:alias/staging-vault',
      });
  });

  test('leaves no trace where the table has none', () => {
    expect(JSON.stringify(stack('Staging-Rollback'))).not.toMatch(/VAULT|vault|passing-\*|kms:/i);
    expect(templates.has('Vault-Staging')).toBe(false);
  });
});

describe('functions', () => {
  const functions = (template: Template) => resourcesOf(template, 'AWS::Lambda::Function');

  test('that talk to PostgreSQL trust the certificate authorities of RDS', () => {
    const inVpc = [...templates.values()]
      .flatMap(functions)
      .filter(({ Properties }) => Properties['VpcConfig']);
    expect(inVpc.length).toBeGreaterThan(0);
    for (const { Properties } of inVpc)
      expect(Properties).toMatchObject({
        Environment: { Variables: { NODE_EXTRA_CA_CERTS: '/var/runtime/ca-cert.pem' } },
      });
  });

  test('keep their logs for a limited time', () => {
    for (const template of templates.values())
      for (const { Properties } of resourcesOf(template, 'AWS::Logs::LogGroup'))
        expect(Number(Properties['RetentionInDays'])).toBeGreaterThan(0);
  });

  test('get the retention of snapshots of their environment', () => {
    const days = (name: string) =>
      functions(stack(name)).map(
        ({ Properties }) =>
          z
            .object({ Variables: z.object({ SNAPSHOT_RETENTION_DAYS: z.string() }) })
            .parse(Properties['Environment']).Variables.SNAPSHOT_RETENTION_DAYS,
      );
    expect(new Set(days('Production-Rollback'))).toEqual(new Set(['90']));
    expect(new Set(days('Staging-Rollback'))).toEqual(new Set(['7']));
  });

  test('people in the table are told by mail', () => {
    const told = synthesise([{ ...ENVIRONMENTS.staging, notify: ['night@example.com'] }]);
    const subscription = onlyOf(templateOf(told, 'Staging-Rollback'), 'AWS::SNS::Subscription');
    expect(subscription.Properties).toMatchObject({ Protocol: 'email', Endpoint: 'night@example.com' });
  });

  test('outputs say what people and CI need', () => {
    const outputs = Object.keys(stack('Production-Rollback').Outputs).join(' ');
    for (const output of ['RecoveryMachineArn', 'PreMigrationSnapshotFunction', 'DatabaseUrlSecretArn'])
      expect(outputs).toContain(output);
  });
});

describe('the dashboard', () => {
  /** Everything that its graphs show. */
  function shown(template: Template): string[] {
    const { Properties } = onlyOf(template, 'AWS::CloudWatch::Dashboard');
    const Body = z.object({
      widgets: z.array(z.object({ properties: z.object({ metrics: z.array(z.unknown()).optional() }) })),
    });
    const { widgets } = Body.parse(JSON.parse(readable(Properties['DashboardBody'])));
    return widgets.flatMap(({ properties }) =>
      (properties.metrics ?? []).map((each) => JSON.stringify(each)),
    );
  }
  const searches = (template: Template): string[] =>
    shown(template).filter((each) => each.includes('SEARCH'));

  test.each(['production', 'staging'])('of %s finds whatever is live by the words of its name', (name) => {
    const template = stack(`${name === 'production' ? 'Production' : 'Staging'}-Rollback`);
    const { Properties } = onlyOf(template, 'AWS::CloudWatch::Dashboard');
    expect(Properties['DashboardName']).toBe(`${name}-database`);
    const found = searches(template);
    expect(found.join('\n')).toMatch(
      /FreeStorageSpace[^]*CPUUtilization[^]*DatabaseConnections[^]*ReadLatency/,
    );
    // In quotes it would be this one instance, and none that takes its place.
    for (const search of found) {
      expect(search).toContain(` DBInstanceIdentifier=${name}-database'`);
      expect(search).not.toMatch(/["']production-database/);
    }
    // Fifty metrics are free: while a recovery runs there are two instances.
    const ofRds = found.join().match(/MetricName=/g)?.length ?? 0;
    expect(2 * ofRds + shown(template).length - found.length).toBeLessThanOrEqual(50);
  });

  test('of a database that exists already, which a recovery made, finds the ones after it', () => {
    const { production } = ENVIRONMENTS;
    const existing = { ...EXISTING, instanceId: 'shop-rec-0123456789' };
    const made = templateOf(synthesise([{ ...production, database: { existing } }]), 'Production-Rollback');
    for (const search of searches(made)) expect(search).toContain(" DBInstanceIdentifier=shop'");
  });
});

describe('an idle environment', () => {
  /** Dollars per month of 730 hours in eu-central-1. What costs nothing while idle is listed with 0. */
  const PRICES: Readonly<Record<string, (properties: Record<string, unknown>) => number>> = {
    'AWS::EC2::VPCEndpoint': (properties) =>
      properties['VpcEndpointType'] === 'Interface'
        ? z.array(z.unknown()).parse(properties['SubnetIds']).length * 0.012 * 730
        : 0,
    'AWS::SecretsManager::Secret': () => 0.4,
    'AWS::KMS::Key': () => 1,
    'AWS::CloudWatch::Alarm': () => 0.1,
    // The first three of an account; each one more is 3 dollars.
    'AWS::CloudWatch::Dashboard': () => 0,
  };
  /** The database itself, and what is paid by use. */
  const FREE = [
    'AWS::CDK::Metadata',
    'AWS::EC2::RouteTable',
    'AWS::EC2::SecurityGroup',
    'AWS::EC2::SecurityGroupEgress',
    'AWS::EC2::SecurityGroupIngress',
    'AWS::EC2::Subnet',
    'AWS::EC2::SubnetRouteTableAssociation',
    'AWS::EC2::VPC',
    'AWS::Events::Rule',
    'AWS::IAM::Policy',
    'AWS::IAM::Role',
    'AWS::Lambda::EventInvokeConfig',
    'AWS::Lambda::Function',
    'AWS::Lambda::Permission',
    'AWS::Logs::LogGroup',
    'AWS::RDS::DBInstance',
    'AWS::RDS::DBParameterGroup',
    'AWS::RDS::DBSubnetGroup',
    'AWS::S3::Bucket',
    'AWS::S3::BucketPolicy',
    'AWS::SNS::Subscription',
    'AWS::SNS::Topic',
    'AWS::SNS::TopicPolicy',
    'AWS::SQS::Queue',
    'AWS::SQS::QueuePolicy',
    'AWS::Scheduler::Schedule',
    'AWS::StepFunctions::StateMachine',
    'Custom::ApplicationDatabase',
  ];

  test.each(PREFIXES)('%s costs less than 10 dollars a month beyond its database', (prefix) => {
    const resources = [`${prefix}-Database`, `${prefix}-Rollback`].flatMap((name) =>
      Object.values(stack(name).Resources),
    );
    const unpriced = resources
      .map(({ Type }) => Type)
      .filter((type) => !FREE.includes(type) && !PRICES[type]);
    expect(unpriced).toEqual([]);
    const dollars = resources.reduce(
      (sum, { Type, Properties }) => sum + (PRICES[Type]?.(Properties) ?? 0),
      0,
    );
    expect(dollars).toBeGreaterThan(8);
    expect(dollars).toBeLessThan(10);
  });

  test('all environments together have no more dashboards than are free', () => {
    const dashboards = [...templates.keys()].flatMap((name) =>
      resourcesOf(stack(name), 'AWS::CloudWatch::Dashboard'),
    );
    expect(dashboards).toHaveLength(2);
  });
});

describe('a database that exists already', () => {
  const settings = (change: Partial<ExistingDatabase> = {}): EnvironmentSettings => ({
    ...ENVIRONMENTS.production,
    database: { existing: { ...EXISTING, ...change } },
  });

  test('gets functions and machine, and none of its own parts is made', () => {
    // WHEN
    const made = synthesise([settings()]);
    // THEN
    expect([...made.keys()]).toEqual(['Production-Rollback']);
    const rollback = templateOf(made, 'Production-Rollback');
    for (const type of ['AWS::RDS::DBInstance', 'AWS::SecretsManager::Secret', 'AWS::EC2::VPCEndpoint'])
      expect(resourcesOf(rollback, type)).toEqual([]);
    expect(
      resourcesOf(rollback, 'AWS::EC2::SecurityGroupIngress').map(({ Properties }) => Properties),
    ).toEqual([expect.objectContaining({ GroupId: 'sg-0123456789abcdef0', FromPort: 5433, ToPort: 5433 })]);
  });

  test('gets an endpoint for Secrets Manager where its network has no way there, which lets in the others of the VPC, too', () => {
    const made = synthesise([settings({ vpc: { ...EXISTING.vpc, reachesSecretsManager: false } })]);
    const rollback = templateOf(made, 'Production-Rollback');
    const { Properties } = onlyOf(rollback, 'AWS::EC2::VPCEndpoint');
    expect(Properties['SubnetIds']).toEqual(['subnet-0123456789abcdef0']);
    // The endpoint takes the name of Secrets Manager for all of the VPC: whoever went by NAT comes here from then on.
    const letIn = z.array(z.object({ CidrIp: z.string(), FromPort: z.literal(443) }));
    const ranges = (template: Template): string[] =>
      resourcesOf(template, 'AWS::EC2::SecurityGroup')
        .flatMap((group) => letIn.optional().parse(group.Properties['SecurityGroupIngress']) ?? [])
        .map(({ CidrIp }) => CidrIp);
    expect(ranges(rollback)).toEqual(['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10']);
    expect(ranges(stack('Production-Database'))).toEqual([]);
  });

  test('in a VPC that exists already, the database is made there', () => {
    const made = synthesise([{ ...ENVIRONMENTS.staging, vpc: EXISTING.vpc }]);
    const database = templateOf(made, 'Staging-Database');
    expect(resourcesOf(database, 'AWS::EC2::VPC')).toEqual([]);
    expect(onlyOf(database, 'AWS::RDS::DBSubnetGroup').Properties['SubnetIds']).toEqual([
      'subnet-0123456789abcdef0',
      'subnet-0123456789abcdef1',
    ]);
  });
});
