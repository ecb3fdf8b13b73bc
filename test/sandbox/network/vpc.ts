import { NetworkRegistry } from '../../../sandbox/deploy/network-registry';
import type { JsonObject } from '../../../sandbox/deploy/json';

/** A registry with one VPC, made from the resources that a template would have. */
export class Vpc {
  readonly registry = new NetworkRegistry();
  private count = 0;

  constructor(readonly id = 'vpc-1') {
    this.add('VPC', { CidrBlock: '10.0.0.0/16', EnableDnsHostnames: true, EnableDnsSupport: true }, id);
  }

  add(kind: string, properties: JsonObject, id = `${kind.toLowerCase()}-${++this.count}`): string {
    this.registry.add({ type: `AWS::EC2::${kind}`, id, properties });
    return id;
  }

  /** A subnet whose default route leads there; without a target it has a route table of its own and no default route. */
  subnet(id: string, block: string, target: JsonObject = {}): string {
    this.add('Subnet', { AvailabilityZone: 'eu-central-1a', CidrBlock: block, VpcId: this.id }, id);
    const table = this.add('RouteTable', { VpcId: this.id }, `rtb-of-${id}`);
    this.add('SubnetRouteTableAssociation', { RouteTableId: table, SubnetId: id });
    if (Object.keys(target).length > 0)
      this.add('Route', { DestinationCidrBlock: '0.0.0.0/0', RouteTableId: table, ...target });
    return id;
  }

  internetGateway(): string {
    const id = this.add('InternetGateway', {}, 'igw-1');
    this.add('VPCGatewayAttachment', { InternetGatewayId: id, VpcId: this.id });
    return id;
  }

  /** A NAT gateway with a public address in a subnet. */
  natGateway(SubnetId: string, PublicIp = '203.0.113.7'): string {
    this.add('EIP', { AllocationId: 'eipalloc-1', PublicIp }, 'eipalloc-1');
    return this.add('NatGateway', { AllocationId: 'eipalloc-1', SubnetId }, 'nat-1');
  }

  /** A security group; `egress` left out as in a template that says nothing. */
  group(id: string, rules: { ingress?: JsonObject[]; egress?: JsonObject[] } = {}): string {
    this.add(
      'SecurityGroup',
      {
        VpcId: this.id,
        ...(rules.ingress && { SecurityGroupIngress: rules.ingress }),
        ...(rules.egress && { SecurityGroupEgress: rules.egress }),
      },
      id,
    );
    return id;
  }
}

export function tcp(port: number, peer: JsonObject, toPort = port): JsonObject {
  return { IpProtocol: 'tcp', FromPort: port, ToPort: toPort, ...peer };
}
