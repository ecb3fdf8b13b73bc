import { DEFAULT_VPC, defaultNetwork } from '../network/default-vpc';
import type { JsonObject } from './json';

export interface NetworkRecord {
  /** CloudFormation's type, e.g. `AWS::EC2::Subnet`. */
  readonly type: string;
  readonly id: string;
  /** What the template calls it, for people. */
  readonly logicalId?: string;
  readonly properties: JsonObject;
}

/**
 * The networks of the sandbox: the default VPC, and what the templates have, resolved. Who can reach whom is decided from this
 * at each connection (`sandbox/network`). Plain data.
 */
export class NetworkRegistry {
  private records: NetworkRecord[] = defaultNetwork();

  /** A record with the same id is replaced: a deployment that failed makes the same ids again. */
  add(record: NetworkRecord): void {
    this.remove(record.id);
    this.records.push(record);
  }

  /** Takes a record away, as if the template did not have it. */
  remove(id: string): NetworkRecord | undefined {
    const removed = this.find(id);
    this.records = this.records.filter((record) => record !== removed);
    return removed;
  }

  find(id: string): NetworkRecord | undefined {
    return this.records.find((record) => record.id === id);
  }

  /** All of a type, e.g. `AWS::EC2::SecurityGroupIngress`. */
  list(type: string): readonly NetworkRecord[] {
    return this.records.filter((record) => record.type === type);
  }

  /**
   * True once a template has brought a VPC. Until then nobody can have real subnets and security groups, and made-up ids are
   * taken for what they are: somebody does not care.
   */
  get isKnown(): boolean {
    return this.list('AWS::EC2::VPC').some(({ id }) => id !== DEFAULT_VPC);
  }

  save(): NetworkRecord[] {
    return this.records;
  }

  load(records: readonly NetworkRecord[]): void {
    this.records = [...records];
  }
}
