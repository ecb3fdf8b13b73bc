import { ApiError } from '../core/api';
import type { NetworkRegistry } from '../deploy/network-registry';
import { obstacleToApi, obstacleToDatabase, obstacleToInternet, type Database } from './reach';
import { Topology, type Placement } from './topology';

/** What a function connects to: an API of AWS by the name in a signature, or whoever listens at an address. */
export type Destination = { readonly service: string } | { readonly host: string; readonly port: number };

export interface NetworkOptions {
  readonly registry: NetworkRegistry;
  readonly region: string;
  /** Where the sandbox answers for all of AWS. */
  readonly endpoint: string;
  /** The DB instance whose server listens there. */
  readonly databaseAt: (host: string, port: number) => Database | undefined;
  readonly log: (line: string) => void;
}

/** Decides which connections of functions are made. The log says who could not reach whom, and why. */
export class Network {
  readonly topology: Topology;

  constructor(private readonly options: NetworkOptions) {
    this.topology = new Topology(options.registry);
  }

  /** `from` is where the function's network interfaces are; undefined outside of any VPC. */
  admits(functionName: string, from: Placement | undefined, to: Destination): boolean {
    const { name, obstacle } = this.look(from, to);
    if (obstacle === undefined) return true;
    this.options.log(`network: the function ${functionName} can't reach ${name}: ${obstacle}`);
    return false;
  }

  /**
   * Refuses a place for a function that Lambda refuses.
   *
   * @throws InvalidParameterValueException
   */
  checkPlacement(placement: Placement | undefined): void {
    const { topology } = this;
    if (!placement) return;
    const { subnetIds, securityGroupIds } = placement;
    if (securityGroupIds.length === 0)
      throw refused('SubnetIds and SecurityIds must coexist or be both empty list.');
    if (!this.options.registry.isKnown) return;
    const missing = subnetIds.find((id) => !topology.subnet(id));
    if (missing !== undefined)
      throw refused(
        `Error occurred while DescribeSubnets. EC2 Error Code: InvalidSubnetID.NotFound. EC2 Error Message: The subnet ID '${missing}' does not exist`,
      );
    const missingGroup = securityGroupIds.find((id) => topology.vpcOfGroup(id) === undefined);
    if (missingGroup !== undefined)
      throw refused(
        `Error occurred while DescribeSecurityGroups. EC2 Error Code: InvalidGroup.NotFound. EC2 Error Message: The security group '${missingGroup}' does not exist`,
      );
    const vpcs = [
      ...subnetIds.map((id) => topology.subnet(id)?.vpcId),
      ...securityGroupIds.map((id) => topology.vpcOfGroup(id)),
    ];
    if (new Set(vpcs).size > 1) throw refused('The subnets and security groups must belong to the same VPC.');
  }

  private look(from: Placement | undefined, to: Destination): { name: string; obstacle: string | undefined } {
    const { topology } = this;
    const { region, databaseAt } = this.options;
    if ('service' in to)
      return { name: to.service, obstacle: obstacleToApi(topology, from, region, to.service) };
    const { host, port } = to;
    const database = databaseAt(host, port);
    if (database) {
      const name = `the DB instance ${database.identifier} (${host}:${port})`;
      return { name, obstacle: obstacleToDatabase(topology, from, database) };
    }
    const name = `${host}:${port}`;
    if (this.isApi(host, port)) {
      const obstacle = obstacleToInternet(topology, from, 443);
      return {
        name: `AWS (${name})`,
        obstacle:
          obstacle &&
          `no signature tells for which service this is, so that no endpoint counts, and ${obstacle}`,
      };
    }
    // What a function starts itself listens on its own loopback.
    if (isLoopback(host)) return { name, obstacle: undefined };
    const service = serviceAt(host, region);
    return service === undefined
      ? { name, obstacle: obstacleToInternet(topology, from, port) }
      : { name: `${service} (${name})`, obstacle: obstacleToApi(topology, from, region, service) };
  }

  private isApi(host: string, port: number): boolean {
    const { hostname, port: own } = new URL(this.options.endpoint);
    return port === Number(own) && (host === hostname || host === 'localhost');
  }
}

function refused(message: string): ApiError {
  return new ApiError('InvalidParameterValueException', message);
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** `bucket.s3.eu-central-1.amazonaws.com` → `s3` */
function serviceAt(host: string, region: string): string | undefined {
  const end = `.${region}.amazonaws.com`;
  return host.endsWith(end) ? host.slice(0, -end.length).split('.').at(-1) : undefined;
}
