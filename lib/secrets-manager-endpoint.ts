import * as ec2 from 'aws-cdk-lib/aws-ec2';
import { Construct } from 'constructs';

export interface SecretsManagerEndpointProps {
  readonly vpc: ec2.IVpc;
  /** The subnet that gets the endpoint: one, since each costs about 9 dollars a month. Every subnet can reach it. */
  readonly subnet: ec2.ISubnet;
  /**
   * Whether others run in the VPC. The endpoint takes the name of Secrets Manager for the whole VPC: whoever reached it by NAT
   * until now comes here from then on, so every private address is let in. What a caller may read IAM says.
   * @default false
   */
  readonly shared?: boolean;
}

/** Where VPCs are mostly, that of carrier-grade NAT included, which big ones use. */
const PRIVATE_ADDRESSES = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10'];

/** The way from isolated subnets to AWS Secrets Manager, the one AWS API that functions inside the VPC ask. */
export class SecretsManagerEndpoint extends Construct implements ec2.IConnectable {
  readonly connections: ec2.Connections;

  constructor(scope: Construct, id: string, { vpc, subnet, shared = false }: SecretsManagerEndpointProps) {
    super(scope, id);
    const securityGroup = new ec2.SecurityGroup(this, 'SecurityGroup', {
      vpc,
      description: 'Secrets Manager endpoint: lets in the functions that talk to the database',
      allowAllOutbound: false,
    });
    const endpoint = new ec2.InterfaceVpcEndpoint(this, 'Endpoint', {
      vpc,
      service: ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
      subnets: { subnets: [subnet] },
      securityGroups: [securityGroup],
      privateDnsEnabled: true,
      // Open to the whole VPC is the default; the functions are let in one by one.
      open: false,
    });
    this.connections = endpoint.connections;
    if (shared)
      for (const range of PRIVATE_ADDRESSES)
        securityGroup.addIngressRule(ec2.Peer.ipv4(range), ec2.Port.HTTPS, 'Others in this VPC');
  }
}
