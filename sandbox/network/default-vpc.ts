import { SANDBOX_ACCOUNT } from '../core/account';
import type { NetworkRecord } from '../deploy/network-registry';

export const DEFAULT_VPC = 'vpc-00000000';
const DEFAULT_SECURITY_GROUP = 'sg-00000000';

const ROUTE_TABLE = 'rtb-00000000';
const GATEWAY = 'igw-00000000';
const ANYWHERE = '0.0.0.0/0';

/** The group that every VPC comes with: its members reach each other, and may connect to anywhere. */
export function defaultSecurityGroup(id: string, vpcId: string): NetworkRecord {
  return {
    type: 'AWS::EC2::SecurityGroup',
    id,
    properties: {
      GroupDescription: 'default VPC security group',
      GroupName: 'default',
      VpcId: vpcId,
      SecurityGroupIngress: [{ IpProtocol: '-1', SourceSecurityGroupId: id }],
      SecurityGroupEgress: [{ IpProtocol: '-1', CidrIp: ANYWHERE }],
    },
  };
}

/** The default VPC that every account has: public subnets in three zones. */
export function defaultNetwork(): NetworkRecord[] {
  const record = (type: string, id: string, properties: NetworkRecord['properties']): NetworkRecord => ({
    type: `AWS::EC2::${type}`,
    id,
    properties,
  });
  return [
    record('VPC', DEFAULT_VPC, {
      CidrBlock: '172.31.0.0/16',
      EnableDnsHostnames: true,
      EnableDnsSupport: true,
    }),
    defaultSecurityGroup(DEFAULT_SECURITY_GROUP, DEFAULT_VPC),
    record('InternetGateway', GATEWAY, {}),
    record('VPCGatewayAttachment', 'igw-attach-00000000', {
      InternetGatewayId: GATEWAY,
      VpcId: DEFAULT_VPC,
    }),
    record('RouteTable', ROUTE_TABLE, { VpcId: DEFAULT_VPC }),
    record('Route', 'r-00000000', {
      DestinationCidrBlock: ANYWHERE,
      GatewayId: GATEWAY,
      RouteTableId: ROUTE_TABLE,
    }),
    ...['a', 'b', 'c'].flatMap((zone, index) => [
      record('Subnet', `subnet-0000000${zone}`, {
        AvailabilityZone: SANDBOX_ACCOUNT.region + zone,
        CidrBlock: `172.31.${index * 16}.0/20`,
        MapPublicIpOnLaunch: true,
        VpcId: DEFAULT_VPC,
      }),
      record('SubnetRouteTableAssociation', `rtbassoc-0000000${zone}`, {
        RouteTableId: ROUTE_TABLE,
        SubnetId: `subnet-0000000${zone}`,
      }),
    ]),
  ];
}
