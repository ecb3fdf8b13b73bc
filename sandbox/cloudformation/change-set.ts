import type { PlannedChange } from '../deploy/plan';

/** What a deployment would do. When it has been done, it and all others of the stack are gone, as on AWS. Plain data. */
export interface ChangeSet {
  readonly id: string;
  readonly name: string;
  readonly stackName: string;
  readonly type: 'CREATE' | 'UPDATE';
  readonly description: string | undefined;
  readonly clientToken: string | undefined;
  readonly createdAt: Date;
  readonly templateText: string;
  readonly importExistingResources: boolean;
  readonly capabilities: readonly string[];
  readonly changes: readonly PlannedChange[];
  readonly status: 'CREATE_COMPLETE' | 'FAILED';
  readonly executionStatus: ExecutionStatus;
  readonly statusReason: string | undefined;
}

export type ExecutionStatus =
  | 'AVAILABLE'
  | 'UNAVAILABLE'
  | 'EXECUTE_IN_PROGRESS'
  | 'EXECUTE_FAILED'
  // Another one has been executed meanwhile.
  | 'OBSOLETE';

/** As ListChangeSets has it. */
export function summaryOf(changeSet: ChangeSet, stackId: string): object {
  const { statusReason, description } = changeSet;
  return {
    ChangeSetName: changeSet.name,
    ChangeSetId: changeSet.id,
    StackId: stackId,
    StackName: changeSet.stackName,
    CreationTime: changeSet.createdAt,
    ExecutionStatus: changeSet.executionStatus,
    Status: changeSet.status,
    ...(description !== undefined && { Description: description }),
    ...(statusReason !== undefined && { StatusReason: statusReason }),
  };
}

/** As DescribeChangeSet has it. */
export function describeChange(
  { action, logicalId, type, physicalId, properties }: PlannedChange,
  withValues: boolean,
): object {
  const value = (name: string, json: unknown): object =>
    withValues && json !== undefined
      ? { [name]: typeof json === 'string' ? json : JSON.stringify(json) }
      : {};
  return {
    Type: 'Resource',
    ResourceChange: {
      Action: action,
      LogicalResourceId: logicalId,
      ResourceType: type,
      ...(physicalId !== undefined && { PhysicalResourceId: physicalId }),
      // Only what is retained may go.
      ...(action === 'Remove' && { PolicyAction: 'Retain' }),
      ...(action === 'Modify' && {
        // Only custom resources are updated, which say for themselves what becomes of them.
        Replacement: 'False',
        Scope: ['Properties'],
      }),
      Details: properties.map(({ name, before, after, dynamic }) => ({
        Target: {
          Attribute: 'Properties',
          Name: name,
          RequiresRecreation: 'Never',
          Path: `/Properties/${name}`,
          AttributeChangeType: before === undefined ? 'Add' : after === undefined ? 'Remove' : 'Modify',
          ...value('BeforeValue', before),
          ...value('AfterValue', after),
        },
        Evaluation: dynamic ? 'Dynamic' : 'Static',
        ChangeSource: dynamic ? 'ResourceAttribute' : 'DirectModification',
      })),
    },
  };
}
