import * as rds from '@aws-sdk/client-rds';
import { serviceModel } from '../../../sandbox/wire/model';
import { structureOf } from './arbitrary';
import { scripted, serve, type Served } from './served';
import fc from '../../fast-check';

type RdsCommand = Parameters<rds.RDSClient['send']>[0];

/** The client's command for an operation, by name. */
function commandFor(operation: string, input: object): RdsCommand {
  const exported: unknown = Object.entries(rds).find(([name]) => name === `${operation}Command`)?.[1];
  if (!isCommandClass(exported)) throw new Error(`The SDK has no ${operation}Command.`);
  return new exported(input);
}

function isCommandClass(value: unknown): value is new (input: object) => RdsCommand {
  return typeof value === 'function';
}

const model = serviceModel('rds');
const operations = [...(model?.operations.values() ?? [])];

// The SDK itself adds a signed URL to these.
const PRESIGNING =
  /^(Copy|CreateDBInstanceReadReplica|CreateDBCluster$|StartDBInstanceAutomatedBackupsReplication)/;

describe('the query protocol, with the whole RDS model', () => {
  const received: object[] = [];
  let answer: object = {};
  const script = scripted(
    'rds',
    Object.fromEntries(
      operations.map(({ name }) => [
        name,
        (input) => {
          received.push(input);
          return answer;
        },
      ]),
    ),
  );
  let served: Served<{ rds: typeof script }>;
  let client: rds.RDSClient;

  beforeAll(async () => {
    served = await serve(() => ({ rds: script }));
    client = new rds.RDSClient(served.client);
  });
  afterAll(async () => {
    client.destroy();
    await served.close();
  });

  const withInput = operations.filter(({ name }) => !PRESIGNING.test(name));
  it.each(withInput.map((operation) => [operation.name, operation] as const))(
    '%s: what the client sends is what arrives',
    async (name, { input: shape }) => {
      if (shape.kind !== 'structure') return;
      await fc.assert(
        fc.asyncProperty(structureOf(shape), async (input) => {
          answer = {};
          await client.send(commandFor(name, input));
          expect(received.at(-1)).toEqual(input);
        }),
        { numRuns: 5 },
      );
    },
  );

  it.each(
    operations.filter(({ name }) => name.startsWith('Describe')).map((each) => [each.name, each] as const),
  )(
    '%s: what the service answers is what the client reads',
    async (name, { input: inputShape, output: shape }) => {
      if (shape.kind !== 'structure' || inputShape.kind !== 'structure') return;
      const [input] = fc.sample(structureOf(inputShape), { numRuns: 1, seed: 1 });
      await fc.assert(
        fc.asyncProperty(structureOf(shape), async (output) => {
          answer = output;
          const { $metadata, ...read } = await client.send(commandFor(name, input ?? {}));
          expect($metadata.httpStatusCode).toBe(200);
          expect(read).toEqual(output);
        }),
        { numRuns: 5 },
      );
    },
  );
});
