import { z } from 'zod';
import type { NetworkRecord, NetworkRegistry } from '../deploy/network-registry';
import { cidr, type Cidr } from './cidr';

/** Where network interfaces are: those of a function, an instance or an endpoint. */
export interface Placement {
  readonly subnetIds: readonly string[];
  readonly securityGroupIds: readonly string[];
}

export interface Subnet {
  readonly id: string;
  readonly vpcId: string;
  readonly zone: string;
  readonly range: Cidr;
}

/** A rule of a security group: for one range or for the members of one group. */
export interface Rule {
  readonly protocol: string;
  readonly fromPort: number | undefined;
  readonly toPort: number | undefined;
  readonly range: Cidr | undefined;
  readonly groupId: string | undefined;
}

export interface VpcEndpoint extends Placement {
  readonly id: string;
  readonly isGateway: boolean;
  readonly answersByName: boolean;
  readonly routeTableIds: readonly string[];
}

/** Where a subnet sends what is for the internet. */
export type WayOut =
  | { readonly by: 'internet gateway' }
  | { readonly by: 'NAT gateway'; readonly publicAddress: string | undefined };

const text = z.string();
const SubnetShape = z.object({ AvailabilityZone: text, CidrBlock: text, VpcId: text });
const GroupShape = z.object({ VpcId: text });
const RuleShape = z.object({
  IpProtocol: text,
  FromPort: z.number().optional(),
  ToPort: z.number().optional(),
  CidrIp: text.optional(),
  SourceSecurityGroupId: text.optional(),
  DestinationSecurityGroupId: text.optional(),
});
const Inline = z.object({
  SecurityGroupIngress: z.array(RuleShape).default([]),
  SecurityGroupEgress: z.array(RuleShape).optional(),
});
const Attached = RuleShape.extend({ GroupId: text });
const AssociationShape = z.object({ RouteTableId: text, SubnetId: text });
const RouteShape = z.object({
  DestinationCidrBlock: text.optional(),
  GatewayId: text.optional(),
  NatGatewayId: text.optional(),
  RouteTableId: text,
});
const AttachmentShape = z.object({ InternetGatewayId: text.optional(), VpcId: text });
const NatShape = z.object({
  AllocationId: text.optional(),
  ConnectivityType: text.default('public'),
  SubnetId: text,
});
const AddressShape = z.object({ PublicIp: text });
const EndpointShape = z.object({
  PrivateDnsEnabled: z.boolean().default(false),
  RouteTableIds: z.array(text).default([]),
  SecurityGroupIds: z.array(text).default([]),
  ServiceName: text,
  SubnetIds: z.array(text).default([]),
  VpcEndpointType: text.default('Gateway'),
  VpcId: text,
});

const ALL_OUT: Rule = {
  protocol: '-1',
  fromPort: undefined,
  toPort: undefined,
  range: cidr('0.0.0.0/0'),
  groupId: undefined,
};

/** The networks of a registry, read for what decides who reaches whom. Always as the registry is now. */
export class Topology {
  constructor(private readonly registry: NetworkRegistry) {}

  subnet(id: string): Subnet | undefined {
    const record = this.ofType('Subnet', id);
    if (!record) return undefined;
    const { AvailabilityZone: zone, CidrBlock, VpcId: vpcId } = SubnetShape.parse(record.properties);
    return { id, vpcId, zone, range: cidr(CidrBlock) };
  }

  subnetsOf(vpcId: string): Subnet[] {
    const ids = this.registry.list('AWS::EC2::Subnet').map(({ id }) => id);
    return ids.flatMap((id) => this.subnet(id) ?? []).filter((subnet) => subnet.vpcId === vpcId);
  }

  hasInternetGateway(vpcId: string): boolean {
    return this.registry
      .list('AWS::EC2::VPCGatewayAttachment')
      .some(({ properties }) => AttachmentShape.parse(properties).VpcId === vpcId);
  }

  /** The VPC of a security group; none when there is no such group. */
  vpcOfGroup(id: string): string | undefined {
    const record = this.ofType('SecurityGroup', id);
    return record && GroupShape.parse(record.properties).VpcId;
  }

  /** The group that a VPC came with; none when there is no such VPC. */
  defaultGroup(vpcId: string): string | undefined {
    return this.registry
      .list('AWS::EC2::SecurityGroup')
      .find(({ properties }) => properties['VpcId'] === vpcId && properties['GroupName'] === 'default')?.id;
  }

  ingress(groupIds: readonly string[]): Rule[] {
    return groupIds.flatMap((id) => {
      const record = this.ofType('SecurityGroup', id);
      const inline = record ? Inline.parse(record.properties).SecurityGroupIngress : [];
      return [...inline, ...this.attached('SecurityGroupIngress', id)].map(ruleFrom);
    });
  }

  /**
   * A group without rules for what leaves lets everything out, until it gets its first one: CloudFormation then takes that
   * away, even where the template spells it out (aws/aws-cdk#987).
   */
  egress(groupIds: readonly string[]): Rule[] {
    return groupIds.flatMap((id) => {
      const record = this.ofType('SecurityGroup', id);
      if (!record) return [];
      const inline = Inline.parse(record.properties).SecurityGroupEgress?.map(ruleFrom) ?? [ALL_OUT];
      const attached = this.attached('SecurityGroupEgress', id).map(ruleFrom);
      return attached.length === 0 ? inline : [...inline.filter((rule) => !isAllOut(rule)), ...attached];
    });
  }

  /** The endpoints of a VPC for a service of this Region, named as in its endpoint: `secretsmanager`. */
  endpoints(vpcId: string, region: string, service: string): VpcEndpoint[] {
    return this.registry.list('AWS::EC2::VPCEndpoint').flatMap(({ id, properties }) => {
      const endpoint = EndpointShape.parse(properties);
      if (endpoint.VpcId !== vpcId || endpoint.ServiceName !== `com.amazonaws.${region}.${service}`)
        return [];
      const { SecurityGroupIds: own } = endpoint;
      return {
        id,
        isGateway: endpoint.VpcEndpointType === 'Gateway',
        answersByName: endpoint.PrivateDnsEnabled,
        subnetIds: endpoint.SubnetIds,
        securityGroupIds: own.length > 0 ? own : [this.defaultGroup(vpcId)].flatMap((group) => group ?? []),
        routeTableIds: endpoint.RouteTableIds,
      };
    });
  }

  /** The route table of a subnet; none: the VPC's main table, which leads nowhere but into the VPC. */
  routeTable(subnetId: string): string | undefined {
    return this.registry
      .list('AWS::EC2::SubnetRouteTableAssociation')
      .map(({ properties }) => AssociationShape.parse(properties))
      .find(({ SubnetId }) => SubnetId === subnetId)?.RouteTableId;
  }

  /** Where the default route of a subnet leads; undefined where there is none, or where it leads nowhere. */
  wayOut(subnetId: string): WayOut | undefined {
    const route = this.defaultRoute(subnetId);
    if (route?.NatGatewayId !== undefined) return this.wayThrough(route.NatGatewayId);
    return this.isPublic(subnetId) ? { by: 'internet gateway' } : undefined;
  }

  /** An id as people know it: with its name in the template. */
  label(id: string): string {
    const logicalId = this.registry.find(id)?.logicalId;
    return logicalId === undefined ? id : `${id} (${logicalId})`;
  }

  /** A NAT gateway needs a public address, in a public subnet. */
  private wayThrough(natGatewayId: string): WayOut | undefined {
    const record = this.ofType('NatGateway', natGatewayId);
    if (!record) return undefined;
    const { AllocationId, ConnectivityType, SubnetId } = NatShape.parse(record.properties);
    if (ConnectivityType !== 'public' || !this.isPublic(SubnetId)) return undefined;
    const address = this.registry
      .list('AWS::EC2::EIP')
      .find(({ properties }) => properties['AllocationId'] === AllocationId);
    return {
      by: 'NAT gateway',
      publicAddress: address && AddressShape.parse(address.properties).PublicIp,
    };
  }

  /** The default route leads to an internet gateway of the subnet's VPC. */
  private isPublic(subnetId: string): boolean {
    const gateway = this.defaultRoute(subnetId)?.GatewayId;
    const vpcId = this.subnet(subnetId)?.vpcId;
    return this.registry
      .list('AWS::EC2::VPCGatewayAttachment')
      .map(({ properties }) => AttachmentShape.parse(properties))
      .some((one) => gateway !== undefined && one.InternetGatewayId === gateway && one.VpcId === vpcId);
  }

  private defaultRoute(subnetId: string): z.infer<typeof RouteShape> | undefined {
    const table = this.routeTable(subnetId);
    return this.registry
      .list('AWS::EC2::Route')
      .map(({ properties }) => RouteShape.parse(properties))
      .find((route) => route.RouteTableId === table && route.DestinationCidrBlock === '0.0.0.0/0');
  }

  private attached(kind: string, groupId: string): z.infer<typeof RuleShape>[] {
    return this.registry
      .list(`AWS::EC2::${kind}`)
      .map(({ properties }) => Attached.parse(properties))
      .filter(({ GroupId }) => GroupId === groupId);
  }

  private ofType(kind: string, id: string): NetworkRecord | undefined {
    const record = this.registry.find(id);
    return record?.type === `AWS::EC2::${kind}` ? record : undefined;
  }
}

function ruleFrom(shape: z.infer<typeof RuleShape>): Rule {
  return {
    protocol: shape.IpProtocol,
    fromPort: shape.FromPort,
    toPort: shape.ToPort,
    range: shape.CidrIp === undefined ? undefined : cidr(shape.CidrIp),
    groupId: shape.SourceSecurityGroupId ?? shape.DestinationSecurityGroupId,
  };
}

function isAllOut({ protocol, range }: Rule): boolean {
  return protocol === '-1' && range?.text === '0.0.0.0/0';
}
