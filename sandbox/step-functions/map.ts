import { runBranches } from './branches';
import { fillTemplate, resolveReference } from './environment';
import { EvaluationError, Fatal, RuntimeError } from './errors';
import { newFrame } from './frame';
import type { Json } from './json';
import { evaluateTyped, fill } from './jsonata';
import type { StateRun } from './state';

/** An inline Map runs at most this many iterations at a time. */
const MOST_CONCURRENT = 40;

/** Runs an inline Map state. Answers with the list of the iterations' outputs. */
export async function runMap(state: StateRun): Promise<Json> {
  const { definition, block } = state;
  const { frame, execution } = block;
  const processor = definition.ItemProcessor ?? definition.Iterator;
  if (!processor) throw new RuntimeError('A Map state needs an ItemProcessor.');
  if (processor.ProcessorConfig?.Mode === 'DISTRIBUTED') {
    throw new Fatal(
      'States.Runtime',
      `The sandbox does not implement Distributed Map (state '${state.name}'). See docs/sandbox.md.`,
    );
  }
  const input = state.effectiveInput();
  const concurrency = (await state.numberField('MaxConcurrency', input)) ?? 0;
  if (concurrency < 0) throw new RuntimeError('MaxConcurrency cannot be negative.');
  if (!frame.children) {
    const items = await itemsOf(state, input);
    const inputs: Json[] = [];
    for (const [Index, Value] of items.entries()) inputs.push(await itemInput(state, input, Index, Value));
    state.emit('MapStateStarted', { mapStateStartedEventDetails: { length: items.length } });
    frame.children = items.map((Value, Index) =>
      newFrame(processor.StartAt, inputs[Index] ?? null, frame.previousEventId, { Index, Value }),
    );
  }
  const children = frame.children;
  const details = (index: number): { name: string; index: number } => ({ name: state.name, index });
  const outputs = await runBranches(
    state,
    children.map((child) => ({ block: processor, frame: child })),
    concurrency === 0 ? MOST_CONCURRENT : Math.min(concurrency, MOST_CONCURRENT),
    {
      started: (index, previous) => {
        const child = children[index];
        const id = execution.emit('MapIterationStarted', previous, {
          mapIterationStartedEventDetails: details(index),
        });
        if (child) child.previousEventId = id;
      },
      succeeded: (index) => {
        frame.previousEventId = execution.emit('MapIterationSucceeded', frame.previousEventId, {
          mapIterationSucceededEventDetails: details(index),
        });
      },
      failed: (index) => {
        execution.emit('MapIterationFailed', frame.previousEventId, {
          mapIterationFailedEventDetails: details(index),
        });
      },
      aborted: (index, previous) => {
        execution.emit('MapIterationAborted', previous, {
          mapIterationAbortedEventDetails: details(index),
        });
      },
    },
  );
  execution.emit('MapStateSucceeded', frame.previousEventId);
  return outputs;
}

async function itemsOf(state: StateRun, input: Json): Promise<Json[]> {
  const { Items, ItemsPath } = state.definition;
  const notAList = (value: Json): string =>
    `Map state input must be an array but was: ${JSON.stringify(value)}`;
  if (state.jsonata) {
    const items =
      Items === undefined ? input : await evaluateTyped(Items, 'Items', state.environment(), 'array');
    if (!Array.isArray(items)) throw new EvaluationError(notAList(items));
    return items;
  }
  const items = ItemsPath === undefined ? input : resolveReference(ItemsPath, state.environment({ input }));
  if (!Array.isArray(items)) throw new RuntimeError(notAList(items));
  return items;
}

async function itemInput(state: StateRun, input: Json, Index: number, Value: Json): Promise<Json> {
  const { ItemSelector, Parameters } = state.definition;
  const template = ItemSelector ?? Parameters;
  if (template === undefined) return Value;
  const environment = state.environment({ input });
  const withItem = { ...environment, context: { ...environment.context, Map: { Item: { Index, Value } } } };
  return state.jsonata ? fill(template, 'ItemSelector', withItem) : fillTemplate(template, withItem);
}
