import type {
  $SchemaRef,
  StaticErrorSchema,
  StaticListSchema,
  StaticOperationSchema,
  StaticStructureSchema,
} from '@smithy/types';

const NAMESPACE = 'com.amazonaws.cloudformation';

// How the SDK numbers built-in types, and lists of text.
const TEXT = 0;
const NUMBER = 1;
const TRUTH = 2;
const TIME = 4;
const TEXTS = 64 | TEXT;

type Members = Readonly<Record<string, $SchemaRef>>;

/** A structure; the first `required` members must be given. */
function structure(name: string, members: Members, required = 0): StaticStructureSchema {
  return [3, NAMESPACE, name, 0, Object.keys(members), Object.values(members), required];
}

function list(item: StaticStructureSchema): StaticListSchema {
  return [1, NAMESPACE, `${item[2]}s`, 0, item];
}

/** `required`: how many of the first members of the input must be given. */
function operation(name: string, input: Members, required: number, output: Members): StaticOperationSchema {
  return [
    9,
    NAMESPACE,
    name,
    0,
    structure(`${name}Input`, input, required),
    structure(`${name}Output`, output),
  ];
}

function failure(name: string, queryCode: string, status: number): StaticErrorSchema {
  const traits = { error: 'client', httpError: status, awsQueryError: [queryCode, status] } as const;
  return [-3, NAMESPACE, name, traits, ['Message'], [TEXT]];
}

const Tags = list(structure('Tag', { Key: TEXT, Value: TEXT }, 2));
const Parameters = list(
  structure('Parameter', {
    ParameterKey: TEXT,
    ParameterValue: TEXT,
    UsePreviousValue: TRUTH,
    ResolvedValue: TEXT,
  }),
);
const DeploymentConfig = structure('DeploymentConfig', { Mode: TEXT, DisableRollback: TRUTH });

const stack = { StackName: TEXT } as const;
const page = { NextToken: TEXT } as const;

const Stacks = list(
  structure('Stack', {
    StackId: TEXT,
    StackName: TEXT,
    Description: TEXT,
    Parameters,
    CreationTime: TIME,
    LastUpdatedTime: TIME,
    StackStatus: TEXT,
    StackStatusReason: TEXT,
    DisableRollback: TRUTH,
    NotificationARNs: TEXTS,
    Outputs: list(
      structure('Output', { OutputKey: TEXT, OutputValue: TEXT, Description: TEXT, ExportName: TEXT }),
    ),
    RoleARN: TEXT,
    Tags,
    EnableTerminationProtection: TRUTH,
  }),
);

const Changes = list(
  structure('Change', {
    Type: TEXT,
    ResourceChange: structure('ResourceChange', {
      PolicyAction: TEXT,
      Action: TEXT,
      LogicalResourceId: TEXT,
      PhysicalResourceId: TEXT,
      ResourceType: TEXT,
      Replacement: TEXT,
      Scope: TEXTS,
      Details: list(
        structure('ResourceChangeDetail', {
          Target: structure('ResourceTargetDefinition', {
            Attribute: TEXT,
            Name: TEXT,
            RequiresRecreation: TEXT,
            Path: TEXT,
            BeforeValue: TEXT,
            AfterValue: TEXT,
            AttributeChangeType: TEXT,
          }),
          Evaluation: TEXT,
          ChangeSource: TEXT,
        }),
      ),
    }),
  }),
);

const changeSet = { ChangeSetName: TEXT, StackName: TEXT } as const;
const resource = {
  LogicalResourceId: TEXT,
  PhysicalResourceId: TEXT,
  ResourceType: TEXT,
  ResourceStatus: TEXT,
} as const;

/**
 * What the sandbox has of CloudFormation on the wire, written as the SDK's clients carry their models. What is not here is refused
 * by name.
 */
export const CLOUDFORMATION_MODEL = {
  DescribeStacks$: operation('DescribeStacks', { ...stack, ...page }, 0, { Stacks }),
  ListStacks$: operation('ListStacks', { ...page, StackStatusFilter: TEXTS }, 0, {
    StackSummaries: list(
      structure('StackSummary', {
        StackId: TEXT,
        StackName: TEXT,
        TemplateDescription: TEXT,
        CreationTime: TIME,
        LastUpdatedTime: TIME,
        StackStatus: TEXT,
        StackStatusReason: TEXT,
      }),
    ),
  }),
  GetTemplate$: operation('GetTemplate', { ...changeSet, TemplateStage: TEXT }, 0, {
    TemplateBody: TEXT,
    StagesAvailable: TEXTS,
  }),
  DescribeStackResources$: operation(
    'DescribeStackResources',
    { ...stack, LogicalResourceId: TEXT, PhysicalResourceId: TEXT },
    0,
    {
      StackResources: list(
        structure('StackResource', { StackName: TEXT, StackId: TEXT, ...resource, Timestamp: TIME }),
      ),
    },
  ),
  ListStackResources$: operation('ListStackResources', { ...stack, ...page }, 1, {
    StackResourceSummaries: list(
      structure('StackResourceSummary', { ...resource, LastUpdatedTimestamp: TIME }),
    ),
  }),
  DescribeStackEvents$: operation('DescribeStackEvents', { ...stack, ...page }, 1, {
    StackEvents: list(
      structure('StackEvent', {
        StackId: TEXT,
        EventId: TEXT,
        StackName: TEXT,
        ...resource,
        Timestamp: TIME,
        ResourceStatusReason: TEXT,
        ClientRequestToken: TEXT,
      }),
    ),
    ...page,
  }),
  CreateChangeSet$: operation(
    'CreateChangeSet',
    {
      StackName: TEXT,
      ChangeSetName: TEXT,
      TemplateBody: TEXT,
      TemplateURL: TEXT,
      ChangeSetType: TEXT,
      Description: TEXT,
      ClientToken: TEXT,
      Parameters,
      Capabilities: TEXTS,
      RoleARN: TEXT,
      NotificationARNs: TEXTS,
      Tags,
      IncludeNestedStacks: TRUTH,
      ImportExistingResources: TRUTH,
      DeploymentConfig,
    },
    2,
    { Id: TEXT, StackId: TEXT },
  ),
  DescribeChangeSet$: operation(
    'DescribeChangeSet',
    { ...changeSet, ...page, IncludePropertyValues: TRUTH },
    1,
    {
      ChangeSetName: TEXT,
      ChangeSetId: TEXT,
      StackId: TEXT,
      StackName: TEXT,
      Description: TEXT,
      CreationTime: TIME,
      ExecutionStatus: TEXT,
      Status: TEXT,
      StatusReason: TEXT,
      Capabilities: TEXTS,
      Changes,
      IncludeNestedStacks: TRUTH,
      ImportExistingResources: TRUTH,
      DeploymentConfig,
    },
  ),
  ListChangeSets$: operation('ListChangeSets', { ...stack, ...page }, 1, {
    Summaries: list(
      structure('ChangeSetSummary', {
        StackId: TEXT,
        StackName: TEXT,
        ChangeSetId: TEXT,
        ChangeSetName: TEXT,
        ExecutionStatus: TEXT,
        Status: TEXT,
        StatusReason: TEXT,
        CreationTime: TIME,
        Description: TEXT,
      }),
    ),
  }),
  DeleteChangeSet$: operation('DeleteChangeSet', changeSet, 1, {}),
  ExecuteChangeSet$: operation(
    'ExecuteChangeSet',
    { ...changeSet, ClientRequestToken: TEXT, DisableRollback: TRUTH },
    1,
    {},
  ),
  UpdateTerminationProtection$: operation(
    'UpdateTerminationProtection',
    { EnableTerminationProtection: TRUTH, StackName: TEXT },
    2,
    { StackId: TEXT },
  ),
  DeleteStack$: [
    9,
    NAMESPACE,
    'DeleteStack',
    0,
    structure('DeleteStackInput', { StackName: TEXT, ClientRequestToken: TEXT, RoleARN: TEXT }, 1),
    'unit',
  ] satisfies StaticOperationSchema,
  DetectStackDrift$: operation('DetectStackDrift', stack, 1, { StackDriftDetectionId: TEXT }),
  DescribeStackDriftDetectionStatus$: operation(
    'DescribeStackDriftDetectionStatus',
    { StackDriftDetectionId: TEXT },
    1,
    {
      StackId: TEXT,
      StackDriftDetectionId: TEXT,
      StackDriftStatus: TEXT,
      DetectionStatus: TEXT,
      DriftedStackResourceCount: NUMBER,
      Timestamp: TIME,
    },
  ),
  DescribeStackResourceDrifts$: operation('DescribeStackResourceDrifts', { ...stack, ...page }, 1, {
    StackResourceDrifts: list(
      structure('StackResourceDrift', {
        StackId: TEXT,
        LogicalResourceId: TEXT,
        PhysicalResourceId: TEXT,
        ResourceType: TEXT,
        PropertyDifferences: list(
          structure('PropertyDifference', {
            PropertyPath: TEXT,
            ExpectedValue: TEXT,
            ActualValue: TEXT,
            DifferenceType: TEXT,
          }),
        ),
        StackResourceDriftStatus: TEXT,
        Timestamp: TIME,
      }),
    ),
  }),
  // What the CDK asks for when a change set fails: there are neither hooks nor validations here.
  DescribeEvents$: operation(
    'DescribeEvents',
    { ...changeSet, ...page, Filters: structure('EventFilter', { FailedEvents: TRUTH }) },
    0,
    { OperationEvents: list(structure('OperationEvent', { EventId: TEXT })) },
  ),
  ListHookResults$: operation('ListHookResults', { TargetType: TEXT, TargetId: TEXT, ...page }, 0, {
    HookResults: list(structure('HookResultSummary', { HookResultId: TEXT, Status: NUMBER })),
  }),
  AlreadyExistsException$: failure('AlreadyExistsException', 'AlreadyExistsException', 400),
  ChangeSetNotFoundException$: failure('ChangeSetNotFoundException', 'ChangeSetNotFound', 404),
  InvalidChangeSetStatusException$: failure('InvalidChangeSetStatusException', 'InvalidChangeSetStatus', 400),
  InsufficientCapabilitiesException$: failure(
    'InsufficientCapabilitiesException',
    'InsufficientCapabilitiesException',
    400,
  ),
} as const;
