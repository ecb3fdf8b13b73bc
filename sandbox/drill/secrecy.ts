import { GetSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { paginateGetExecutionHistory } from '@aws-sdk/client-sfn';
import { z } from 'zod';
import type { Check } from '../../lambdas/contract/checks';
import type { RecoveryRun } from './recovery';
import { ENVIRONMENT, type Stage } from './stage';

const MasterSecret = z.object({ password: z.string() });

/**
 * Looks for the passwords of the database in all that a recovery leaves for people to read: the history of the execution,
 * the logs of the functions and the messages.
 */
export async function noPasswordIsLeft(
  stage: Pick<Stage, 'sandbox' | 'databaseUrl'>,
  run: Pick<RecoveryRun, 'executionArn'>,
): Promise<Check> {
  const passwords = await passwordsOf(stage);
  const { lambda, sns } = stage.sandbox;
  const texts = new Map<string, string>([
    ['the history of the execution', await historyOf(stage, run)],
    ['the messages', JSON.stringify(sns.messages)],
    ...lambda.list().map(({ name }) => [`the log of ${name}`, lambda.logs(name).join('\n')] as const),
  ]);
  const places = [...texts].filter(([, text]) => passwords.some((password) => text.includes(password)));
  return {
    name: 'No password is in the history, the logs or the messages',
    ok: places.length === 0,
    detail:
      places.length === 0
        ? `looked for ${passwords.length} spellings in ${texts.size} places`
        : `found in ${places.map(([place]) => place).join(', ')}`,
  };
}

/** As they are, as they stand in a URL, and as either stands in JSON that is a text in JSON, several times over. */
async function passwordsOf(stage: Pick<Stage, 'sandbox' | 'databaseUrl'>): Promise<string[]> {
  const { url } = await stage.databaseUrl();
  const { SecretString = '' } = await stage.sandbox
    .clients()
    .secrets.send(new GetSecretValueCommand({ SecretId: `${ENVIRONMENT}/database-master` }));
  const encoded = new URL(url).password;
  const { password } = MasterSecret.parse(JSON.parse(SecretString));
  const plain = [encoded, decodeURIComponent(encoded), password, encodeURIComponent(password)];
  const inJson = (text: string): string => JSON.stringify(text).slice(1, -1);
  const spellings = new Set(plain);
  // A function's event is a text in the input of a state, which is a text in its event, which is looked at as JSON.
  for (let depth = 0; depth < 4; depth++) for (const text of [...spellings]) spellings.add(inJson(text));
  return [...spellings];
}

async function historyOf(
  stage: Pick<Stage, 'sandbox'>,
  { executionArn }: Pick<RecoveryRun, 'executionArn'>,
): Promise<string> {
  const client = stage.sandbox.clients().stepFunctions;
  let text = '';
  for await (const { events } of paginateGetExecutionHistory({ client }, { executionArn }))
    text += JSON.stringify(events);
  return text;
}
