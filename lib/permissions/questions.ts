import type { PermissionTerms, SomePermissions } from './terms';

/** What hands a person's answer to the recovery that asks. */
export function permissionsOfQuestions(terms: PermissionTerms) {
  return {
    decide: [
      { ...terms.listRecoveries, sid: 'SeeWhoAsks' },
      {
        ...terms.seeRecoveries,
        sid: 'SeeWhatIsAsked',
        actions: ['states:DescribeExecution', 'states:GetExecutionHistory'],
      },
      {
        sid: 'AnswerQuestion',
        actions: ['states:SendTaskSuccess', 'states:SendTaskFailure'],
        resources: ['*'],
        wildcardReason:
          'Step Functions knows no resource for these actions: the token says which task is meant, and only the histories of ' +
          'this machine are read for one.',
      },
    ],
  } satisfies SomePermissions;
}
