import { z } from 'zod';
import { SANDBOX_ACCOUNT } from '../../core/account';
import { ApiError } from '../../core/api';
import { isCidr } from '../../network/cidr';
import { defaultSecurityGroup } from '../../network/default-vpc';
import type { Json, JsonObject } from '../json';
import type { NetworkRegistry } from '../network-registry';
import {
  json,
  number,
  provider,
  tags,
  text,
  texts,
  truth,
  type Created,
  type Provider,
  type ResourceRequest,
} from '../resource';

const range = text.refine(isCidr, 'is no IPv4 range like 10.0.0.0/16');
const RULE = {
  CidrIp: range.optional(),
  CidrIpv6: text.optional(),
  Description: text.optional(),
  FromPort: number.optional(),
  IpProtocol: text,
  ToPort: number.optional(),
};
const Ingress = z.array(z.strictObject({ ...RULE, SourceSecurityGroupId: text.optional() }));
const Egress = z.array(z.strictObject({ ...RULE, DestinationSecurityGroupId: text.optional() }));
const Tags = tags.optional();

/** A provider that records the resource, with an id of AWS's form. */
function recorded(
  prefix: string,
  shape: z.ZodRawShape,
  attributes: (
    id: string,
    properties: JsonObject,
    request: ResourceRequest,
  ) => Record<string, Json> = () => ({}),
  check: (id: string, properties: JsonObject, network: NetworkRegistry) => void = () => undefined,
): Provider {
  return provider(shape, (properties, request): Created => {
    const id = `${prefix}-${request.generatedId}`;
    const plain = z.record(z.string(), json).parse(JSON.parse(JSON.stringify(properties)));
    check(id, plain, request.network);
    const { type, logicalId } = request;
    request.network.add({ type, id, logicalId, properties: plain });
    return { physicalId: id, attributes: attributes(id, plain, request) };
  });
}

/** An address of the range for documentation: nobody is there. */
function publicAddress(generatedId: string): string {
  return `203.0.113.${parseInt(generatedId.slice(0, 4), 16) % 256}`;
}

const PrivateDns = z.object({
  PrivateDnsEnabled: z.literal(true),
  ServiceName: z.string(),
  VpcId: z.string(),
});

/** EC2's refusals of private DNS names for an endpoint. */
function checkPrivateDns(id: string, properties: JsonObject, network: NetworkRegistry): void {
  const named = PrivateDns.safeParse(properties).data;
  if (!named) return;
  const vpc = network.find(named.VpcId)?.properties;
  if (vpc?.['EnableDnsSupport'] === false || vpc?.['EnableDnsHostnames'] !== true)
    throw new ApiError(
      'InvalidParameter',
      `Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to true for ${named.VpcId}`,
    );
  for (const other of network.list('AWS::EC2::VPCEndpoint')) {
    const { ServiceName, VpcId } = PrivateDns.safeParse(other.properties).data ?? {};
    if (other.id !== id && ServiceName === named.ServiceName && VpcId === named.VpcId)
      throw new ApiError(
        'InvalidParameter',
        `private-dns-enabled cannot be set because there is already a conflicting DNS domain for ${ServiceName} in the VPC ${VpcId}`,
      );
  }
}

export const NETWORK_PROVIDERS: Readonly<Record<string, Provider>> = {
  'AWS::EC2::VPC': recorded(
    'vpc',
    {
      CidrBlock: range,
      EnableDnsHostnames: truth.optional(),
      EnableDnsSupport: truth.optional(),
      InstanceTenancy: text.optional(),
      Tags,
    },
    (id, { CidrBlock = '' }, { generatedId, network }) => {
      const group = defaultSecurityGroup(`sg-${generatedId}`, id);
      network.add(group);
      return {
        VpcId: id,
        CidrBlock,
        DefaultSecurityGroup: group.id,
        DefaultNetworkAcl: `acl-${generatedId}`,
      };
    },
  ),
  'AWS::EC2::Subnet': recorded(
    'subnet',
    {
      AvailabilityZone: text.default(`${SANDBOX_ACCOUNT.region}a`),
      CidrBlock: range,
      MapPublicIpOnLaunch: truth.optional(),
      Tags,
      VpcId: text,
    },
    (id, { AvailabilityZone = '', CidrBlock = '', VpcId = '' }) => ({
      SubnetId: id,
      AvailabilityZone,
      CidrBlock,
      VpcId,
    }),
  ),
  'AWS::EC2::RouteTable': recorded('rtb', { Tags, VpcId: text }, (id) => ({ RouteTableId: id })),
  'AWS::EC2::SubnetRouteTableAssociation': recorded(
    'rtbassoc',
    { RouteTableId: text, SubnetId: text },
    (id) => ({ Id: id }),
  ),
  'AWS::EC2::InternetGateway': recorded('igw', { Tags }, (id) => ({ InternetGatewayId: id })),
  'AWS::EC2::VPCGatewayAttachment': recorded('igw-attach', {
    InternetGatewayId: text.optional(),
    VpcId: text,
  }),
  'AWS::EC2::Route': recorded('r', {
    DestinationCidrBlock: text.optional(),
    GatewayId: text.optional(),
    NatGatewayId: text.optional(),
    RouteTableId: text,
  }),
  'AWS::EC2::SecurityGroup': recorded(
    'sg',
    {
      GroupDescription: text,
      GroupName: text.optional(),
      SecurityGroupEgress: Egress.optional(),
      SecurityGroupIngress: Ingress.optional(),
      Tags,
      VpcId: text,
    },
    (id, { VpcId = '' }) => ({ GroupId: id, Id: id, VpcId }),
  ),
  'AWS::EC2::SecurityGroupIngress': recorded(
    'sgr',
    { ...RULE, GroupId: text, SourceSecurityGroupId: text.optional() },
    (id) => ({ Id: id }),
  ),
  'AWS::EC2::SecurityGroupEgress': recorded(
    'sgr',
    { ...RULE, DestinationSecurityGroupId: text.optional(), GroupId: text },
    (id) => ({ Id: id }),
  ),
  'AWS::EC2::VPCEndpoint': recorded(
    'vpce',
    {
      PrivateDnsEnabled: truth.optional(),
      RouteTableIds: texts.optional(),
      SecurityGroupIds: texts.optional(),
      ServiceName: text,
      SubnetIds: texts.optional(),
      Tags,
      VpcEndpointType: text.optional(),
      VpcId: text,
    },
    (id) => ({ Id: id }),
    checkPrivateDns,
  ),
  'AWS::EC2::NatGateway': recorded(
    'nat',
    {
      AllocationId: text.optional(),
      ConnectivityType: z.enum(['private', 'public']).optional(),
      SubnetId: text,
      Tags,
    },
    (id) => ({ NatGatewayId: id }),
  ),
  'AWS::EC2::EIP': provider(
    { Domain: z.literal('vpc').optional(), Tags },
    (_, { type, logicalId, generatedId, network }): Created => {
      const PublicIp = publicAddress(generatedId);
      const AllocationId = `eipalloc-${generatedId}`;
      network.add({ type, id: AllocationId, logicalId, properties: { AllocationId, PublicIp } });
      return { physicalId: PublicIp, attributes: { AllocationId, PublicIp } };
    },
  ),
  'AWS::EC2::FlowLog': recorded(
    'fl',
    {
      DeliverLogsPermissionArn: text.optional(),
      LogDestination: text.optional(),
      LogDestinationType: text.optional(),
      LogGroupName: text.optional(),
      MaxAggregationInterval: number.optional(),
      ResourceId: text,
      ResourceType: text,
      Tags,
      TrafficType: text.optional(),
    },
    (id) => ({ Id: id }),
  ),
};
