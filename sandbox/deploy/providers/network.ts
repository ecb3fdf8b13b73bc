import { z } from 'zod';
import type { Json, JsonObject } from '../json';
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

const RULE = {
  CidrIp: text.optional(),
  CidrIpv6: text.optional(),
  Description: text.optional(),
  FromPort: number.optional(),
  IpProtocol: text,
  ToPort: number.optional(),
};
const Ingress = z.array(
  z.strictObject({ ...RULE, SourceSecurityGroupId: text.optional(), SourcePrefixListId: text.optional() }),
);
const Egress = z.array(
  z.strictObject({
    ...RULE,
    DestinationSecurityGroupId: text.optional(),
    DestinationPrefixListId: text.optional(),
  }),
);
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
): Provider {
  return provider(shape, (properties, request): Created => {
    const id = `${prefix}-${request.generatedId}`;
    const plain = z.record(z.string(), json).parse(JSON.parse(JSON.stringify(properties)));
    request.network.add({ type: request.type, id, properties: plain });
    return { physicalId: id, attributes: attributes(id, plain, request) };
  });
}

export const NETWORK_PROVIDERS: Readonly<Record<string, Provider>> = {
  'AWS::EC2::VPC': recorded(
    'vpc',
    {
      CidrBlock: text,
      EnableDnsHostnames: truth.optional(),
      EnableDnsSupport: truth.optional(),
      InstanceTenancy: text.optional(),
      Tags,
    },
    (id, { CidrBlock = '' }, { generatedId }) => ({
      VpcId: id,
      CidrBlock,
      DefaultSecurityGroup: `sg-${generatedId}`,
      DefaultNetworkAcl: `acl-${generatedId}`,
    }),
  ),
  'AWS::EC2::Subnet': recorded(
    'subnet',
    {
      AvailabilityZone: text.optional(),
      CidrBlock: text,
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
      // As on AWS: a group that says nothing lets everything out.
      SecurityGroupEgress: Egress.default([{ IpProtocol: '-1', CidrIp: '0.0.0.0/0' }]),
      SecurityGroupIngress: Ingress.default([]),
      Tags,
      VpcId: text,
    },
    (id, { VpcId = '' }) => ({ GroupId: id, Id: id, VpcId }),
  ),
  'AWS::EC2::SecurityGroupIngress': recorded(
    'sgr',
    { ...RULE, GroupId: text, SourcePrefixListId: text.optional(), SourceSecurityGroupId: text.optional() },
    (id) => ({ Id: id }),
  ),
  'AWS::EC2::SecurityGroupEgress': recorded(
    'sgr',
    {
      ...RULE,
      DestinationPrefixListId: text.optional(),
      DestinationSecurityGroupId: text.optional(),
      GroupId: text,
    },
    (id) => ({ Id: id }),
  ),
  'AWS::EC2::VPCEndpoint': recorded(
    'vpce',
    {
      PolicyDocument: json.optional(),
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
