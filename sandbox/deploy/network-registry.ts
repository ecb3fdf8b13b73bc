import type { JsonObject } from './json';

export interface NetworkRecord {
  /** CloudFormation's type, e.g. `AWS::EC2::Subnet`. */
  readonly type: string;
  readonly id: string;
  readonly properties: JsonObject;
}

/** The networks of the sandbox as the templates have them, resolved: who could reach whom is decided from this. Plain data. */
export class NetworkRegistry {
  private readonly records: NetworkRecord[] = [];

  add(record: NetworkRecord): void {
    this.records.push(record);
  }

  find(id: string): NetworkRecord | undefined {
    return this.records.find((record) => record.id === id);
  }

  /** All of a type, e.g. `AWS::EC2::SecurityGroupIngress`. */
  list(type: string): readonly NetworkRecord[] {
    return this.records.filter((record) => record.type === type);
  }
}
