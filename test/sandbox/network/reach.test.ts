import { cidr, holds } from '../../../sandbox/network/cidr';
import {
  obstacleToApi,
  obstacleToDatabase,
  obstacleToInternet,
  type Database,
} from '../../../sandbox/network/reach';
import { Topology, type Placement } from '../../../sandbox/network/topology';
import { tcp, Vpc } from './vpc';

const REGION = 'eu-central-1';
const ISOLATED: Placement = { subnetIds: ['subnet-a', 'subnet-b'], securityGroupIds: ['sg-function'] };
const OUTSIDE = undefined;

/** A VPC with two isolated subnets, a function's security group and a database's, both with no rules of their own. */
function isolated(): Vpc {
  const vpc = new Vpc();
  vpc.subnet('subnet-a', '10.0.0.0/24');
  vpc.subnet('subnet-b', '10.0.1.0/24');
  vpc.group('sg-function');
  vpc.group('sg-database');
  return vpc;
}

/** The same with a public subnet, and the isolated ones led through a NAT gateway in it. */
function withNat(): Vpc {
  const vpc = isolated();
  vpc.subnet('subnet-public', '10.0.9.0/24', { GatewayId: vpc.internetGateway() });
  const NatGatewayId = vpc.natGateway('subnet-public');
  for (const id of ISOLATED.subnetIds)
    vpc.add('Route', { DestinationCidrBlock: '0.0.0.0/0', RouteTableId: `rtb-of-${id}`, NatGatewayId });
  return vpc;
}

function endpoint(vpc: Vpc, more: object = {}): string {
  return vpc.add(
    'VPCEndpoint',
    {
      PrivateDnsEnabled: true,
      SecurityGroupIds: ['sg-endpoint'],
      ServiceName: 'com.amazonaws.eu-central-1.secretsmanager',
      SubnetIds: ['subnet-a'],
      VpcEndpointType: 'Interface',
      VpcId: vpc.id,
      ...more,
    },
    'vpce-1',
  );
}

describe('an API of AWS', () => {
  const reach = (vpc: Vpc, from: Placement | undefined = ISOLATED, service = 'secretsmanager') =>
    obstacleToApi(new Topology(vpc.registry), from, REGION, service);

  test('is reached from outside of any VPC', () => {
    expect(obstacleToApi(new Topology(isolated().registry), OUTSIDE, REGION, 'rds')).toBeUndefined();
  });

  test('is not reached from isolated subnets without an endpoint', () => {
    expect(reach(isolated())).toBe(
      'vpc-1 has no endpoint for secretsmanager, and subnet-a has no route to the internet through a NAT gateway',
    );
  });

  test('is reached through an interface endpoint that lets the function in, and no other API is', () => {
    const vpc = isolated();
    vpc.group('sg-endpoint', { ingress: [tcp(443, { SourceSecurityGroupId: 'sg-function' })] });
    endpoint(vpc);
    expect(reach(vpc)).toBeUndefined();
    expect(reach(vpc, ISOLATED, 'rds')).toMatch(/^vpc-1 has no endpoint for rds, and subnet-a has no route/);
  });

  test.each([
    ['another service', { ServiceName: 'com.amazonaws.eu-central-1.rds' }, /^vpc-1 has no endpoint/],
    ['another Region', { ServiceName: 'com.amazonaws.eu-west-1.secretsmanager' }, /^vpc-1 has no endpoint/],
    ['another VPC', { VpcId: 'vpc-00000000' }, /^vpc-1 has no endpoint/],
    ['no name', { PrivateDnsEnabled: false }, /^the endpoint vpce-1 has no private DNS name, and subnet-a/],
    ['no subnet', { SubnetIds: [] }, /^its way there is the endpoint vpce-1, and there is no subnet$/],
    [
      'the default group of the VPC',
      { SecurityGroupIds: [] },
      /and no ingress rule of sg-default lets TCP 443 in from sg-function or 10\.0\.0\.0\/24 or 10\.0\.1\.0\/24$/,
    ],
  ])('is not reached through an endpoint with %s', (_, more, obstacle) => {
    const vpc = isolated();
    vpc.add(
      'SecurityGroup',
      {
        VpcId: vpc.id,
        GroupName: 'default',
        SecurityGroupIngress: [{ IpProtocol: '-1', SourceSecurityGroupId: 'sg-default' }],
      },
      'sg-default',
    );
    vpc.group('sg-endpoint', { ingress: [tcp(443, { CidrIp: '10.0.0.0/16' })] });
    endpoint(vpc, more);
    expect(reach(vpc)).toMatch(obstacle);
  });

  test.each([
    ['any address', [{ IpProtocol: '-1', CidrIp: '0.0.0.0/0' }], true],
    ['the VPC', [tcp(443, { CidrIp: '10.0.0.0/16' })], true],
    [
      'its two subnets one by one',
      [tcp(443, { CidrIp: '10.0.0.0/24' }), tcp(443, { CidrIp: '10.0.1.0/24' })],
      true,
    ],
    ['one of its subnets', [tcp(443, { CidrIp: '10.0.0.0/24' })], false],
    ['half of a subnet', [tcp(443, { CidrIp: '10.0.0.0/25' }), tcp(443, { CidrIp: '10.0.1.0/24' })], false],
    ['another port', [tcp(80, { CidrIp: '10.0.0.0/16' })], false],
    ['a range of ports', [tcp(400, { CidrIp: '10.0.0.0/16' }, 500)], true],
    ['UDP', [{ IpProtocol: 'udp', FromPort: 443, ToPort: 443, CidrIp: '10.0.0.0/16' }], false],
    ['IPv6', [{ IpProtocol: '-1', CidrIpv6: '::/0' }], false],
    ['another group', [tcp(443, { SourceSecurityGroupId: 'sg-database' })], false],
  ])('whose endpoint lets in %s', (_, ingress, reached) => {
    const vpc = isolated();
    vpc.group('sg-endpoint', { ingress });
    endpoint(vpc);
    expect(reach(vpc) === undefined).toBe(reached);
  });

  test('is reached through a NAT gateway, unless the endpoint takes its name', () => {
    const vpc = withNat();
    expect(reach(vpc)).toBeUndefined();
    vpc.group('sg-endpoint');
    endpoint(vpc);
    expect(reach(vpc)).toMatch(
      /its way there is the endpoint vpce-1, and no ingress rule of sg-endpoint lets TCP 443 in/,
    );
    expect(reach(vpc, ISOLATED, 'rds')).toBeUndefined();
  });

  test('is not reached from a public subnet: a function has no public address', () => {
    expect(reach(withNat(), { subnetIds: ['subnet-public'], securityGroupIds: ['sg-function'] })).toMatch(
      /subnet-public leads to an internet gateway, which serves public addresses only, and functions have none$/,
    );
  });

  test('is not reached if one of the subnets has no way', () => {
    const vpc = withNat();
    vpc.subnet('subnet-c', '10.0.2.0/24');
    const subnetIds = [...ISOLATED.subnetIds, 'subnet-c'];
    expect(reach(vpc, { ...ISOLATED, subnetIds })).toMatch(/and subnet-c has no route/);
  });

  test.each([
    ['in a subnet without a way out', { SubnetId: 'subnet-a', AllocationId: 'eipalloc-1' }],
    ['that is private', { SubnetId: 'subnet-public', ConnectivityType: 'private' }],
  ])('is not reached through a NAT gateway %s', (_, properties) => {
    const vpc = withNat();
    vpc.add('NatGateway', properties, 'nat-1');
    expect(reach(vpc)).toMatch(/subnet-a has no route/);
  });

  test('is not reached through an internet gateway that is attached to nothing', () => {
    const vpc = withNat();
    for (const { id } of vpc.registry.list('AWS::EC2::VPCGatewayAttachment'))
      if (id !== 'igw-attach-00000000') vpc.registry.remove(id);
    expect(reach(vpc)).toMatch(/subnet-a has no route/);
  });

  test('is not reached through a NAT gateway if the group lets nothing out', () => {
    const vpc = withNat();
    vpc.group('sg-function', { egress: [tcp(443, { CidrIp: '10.0.0.0/16' })] });
    expect(reach(vpc)).toMatch(/no egress rule of sg-function lets TCP 443 out to 0\.0\.0\.0\/0$/);
  });

  test('with a gateway endpoint is reached from the subnets whose route table has it', () => {
    const vpc = isolated();
    const gateway = {
      VpcEndpointType: 'Gateway',
      ServiceName: 'com.amazonaws.eu-central-1.s3',
      PrivateDnsEnabled: false,
      SecurityGroupIds: [],
      SubnetIds: [],
    };
    endpoint(vpc, { ...gateway, RouteTableIds: ['rtb-of-subnet-a', 'rtb-of-subnet-b'] });
    expect(reach(vpc, ISOLATED, 's3')).toBeUndefined();
    endpoint(vpc, { ...gateway, RouteTableIds: ['rtb-of-subnet-a'] });
    expect(reach(vpc, ISOLATED, 's3')).toMatch(/and subnet-b has no route/);
  });

  test('is not reached from a subnet that nobody deployed', () => {
    expect(reach(isolated(), { ...ISOLATED, subnetIds: ['subnet-z'] })).toBe(
      'the subnet subnet-z is in no template that was deployed here',
    );
  });
});

describe('rules for what leaves', () => {
  const reach = (vpc: Vpc) => obstacleToInternet(new Topology(vpc.registry), ISOLATED, 8080);

  test.each([
    ['nothing said', undefined, [], true],
    ['everything, spelt out', [{ IpProtocol: '-1', CidrIp: '0.0.0.0/0' }], [], true],
    ['none of them', [], [], false],
    [
      "CDK's rule for nothing",
      [{ IpProtocol: 'icmp', CidrIp: '255.255.255.255/32', FromPort: 252, ToPort: 86 }],
      [],
      false,
    ],
    // What CloudFormation does when a rule comes from elsewhere.
    ['nothing said, and a rule of its own', undefined, [tcp(5432, { CidrIp: '10.0.0.0/16' })], false],
    [
      'everything, and a rule of its own',
      [{ IpProtocol: '-1', CidrIp: '0.0.0.0/0' }],
      [tcp(5432, { CidrIp: '10.0.0.0/16' })],
      false,
    ],
    ['nothing said, and a fitting rule of its own', undefined, [tcp(8080, { CidrIp: '0.0.0.0/0' })], true],
  ])('%s', (_, egress, attached, reached) => {
    const vpc = withNat();
    vpc.group('sg-function', egress && { egress });
    for (const rule of attached) vpc.add('SecurityGroupEgress', { GroupId: 'sg-function', ...rule });
    expect(reach(vpc) === undefined).toBe(reached);
  });
});

describe('a DB instance', () => {
  const DATABASE: Database = {
    identifier: 'orders',
    ports: [5432],
    publiclyAccessible: false,
    subnetIds: ['subnet-a', 'subnet-b'],
    securityGroupIds: ['sg-database'],
  };
  const reach = (vpc: Vpc, from: Placement | undefined, more: Partial<Database> = {}) =>
    obstacleToDatabase(new Topology(vpc.registry), from, { ...DATABASE, ...more });
  const letIn = (vpc: Vpc, rule: object): void => {
    vpc.add('SecurityGroupIngress', { GroupId: 'sg-database', ...tcp(5432, { ...rule }) });
  };

  test('lets in whom its group lets in', () => {
    const vpc = isolated();
    expect(reach(vpc, ISOLATED)).toBe(
      'no ingress rule of sg-database lets TCP 5432 in from sg-function or 10.0.0.0/24 or 10.0.1.0/24',
    );
    letIn(vpc, { SourceSecurityGroupId: 'sg-function' });
    expect(reach(vpc, ISOLATED)).toBeUndefined();
    expect(reach(vpc, { ...ISOLATED, securityGroupIds: ['sg-database'] })).toMatch(/no ingress rule/);
    expect(reach(vpc, ISOLATED, { ports: [5433] })).toMatch(/lets TCP 5433 in/);
  });

  test('is reached if the own group lets out to it', () => {
    const vpc = isolated();
    letIn(vpc, { SourceSecurityGroupId: 'sg-function' });
    vpc.add('SecurityGroupEgress', {
      GroupId: 'sg-function',
      ...tcp(443, { DestinationSecurityGroupId: 'sg-database' }),
    });
    expect(reach(vpc, ISOLATED)).toBe(
      'no egress rule of sg-function lets TCP 5432 out to sg-database or 10.0.0.0/24 or 10.0.1.0/24',
    );
    vpc.add('SecurityGroupEgress', {
      GroupId: 'sg-function',
      ...tcp(5432, { DestinationSecurityGroupId: 'sg-database' }),
    });
    expect(reach(vpc, ISOLATED)).toBeUndefined();
  });

  test('in the default group lets in nobody but its members', () => {
    const vpc = isolated();
    vpc.group('sg-default', { ingress: [{ IpProtocol: '-1', SourceSecurityGroupId: 'sg-default' }] });
    const inDefault = { securityGroupIds: ['sg-default'] };
    expect(reach(vpc, ISOLATED, inDefault)).toMatch(/no ingress rule of sg-default/);
    expect(reach(vpc, { ...ISOLATED, ...inDefault }, inDefault)).toBeUndefined();
  });

  test('is not reached from outside of its VPC, whatever its group says', () => {
    const vpc = isolated();
    letIn(vpc, { CidrIp: '0.0.0.0/0' });
    expect(reach(vpc, OUTSIDE)).toBe(
      'the function is outside of any VPC, and the instance is not publicly accessible',
    );
    expect(reach(vpc, { subnetIds: ['subnet-0000000a'], securityGroupIds: ['sg-00000000'] })).toBe(
      'the function is in vpc-00000000 and the instance in vpc-1, and the instance is not publicly accessible',
    );
  });

  test('with a public address is reached from outside if its subnets are public and its group lets the world in', () => {
    const vpc = withNat();
    letIn(vpc, { CidrIp: '0.0.0.0/0' });
    const open = { publiclyAccessible: true, subnetIds: ['subnet-public'] };
    expect(reach(vpc, OUTSIDE, { publiclyAccessible: true })).toMatch(
      /subnet-a of the instance has no route to an internet/,
    );
    expect(reach(vpc, OUTSIDE, open)).toBeUndefined();
  });

  test('with a public address lets in a NAT gateway by its address', () => {
    const vpc = withNat();
    letIn(vpc, { CidrIp: '203.0.113.7/32' });
    const elsewhere = {
      publiclyAccessible: true,
      subnetIds: ['subnet-0000000a', 'subnet-0000000b'],
    };
    expect(reach(vpc, OUTSIDE, elsewhere)).toMatch(/lets TCP 5432 in from 0\.0\.0\.0\/0$/);
    expect(reach(vpc, ISOLATED, elsewhere)).toBeUndefined();
  });
});

test('a rule for a range holds what lies in it', () => {
  expect(cidr('10.0.7.9/16')).toMatchObject({ first: 0x0a000000, last: 0x0a00ffff });
  expect(holds(cidr('0.0.0.0/0'), cidr('255.255.255.255/32'))).toBe(true);
  expect(holds(cidr('10.0.0.0/17'), cidr('10.0.0.0/16'))).toBe(false);
  for (const wrong of ['10.0.0.0', '10.0.0/8', '10.0.0.256/8', '10.0.0.0/33', 'a.b.c.d/8'])
    expect(() => cidr(wrong)).toThrow(`"${wrong}" is no IPv4 range`);
});
