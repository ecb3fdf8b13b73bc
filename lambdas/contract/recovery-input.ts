import * as z from 'zod/mini';
import { ACCEPTABLE_CHECKS } from './checks';
import { saying, snapshotName, text } from './texts';

/** What the operator types into the console. */

/** Where to go back to, as the operator says it. */
export const RestoreRequest = z.discriminatedUnion('to', [
  z.strictObject({ to: z.literal('latest-pre-migration-snapshot') }),
  z.strictObject({ to: z.literal('latest-snapshot') }),
  z.strictObject({ to: z.literal('before-migration'), migration: text(255) }),
  z.strictObject({ to: z.literal('snapshot'), snapshotId: snapshotName }),
  z.strictObject({ to: z.literal('time'), time: z.iso.datetime({ offset: true }) }),
]);
export type RestoreRequest = z.infer<typeof RestoreRequest>;

/** How the operator wants the restored database looked at (`verify` of the input). */
const VerifyRequest = z.strictObject({
  /** Reads every B-tree index in full, where the extension amcheck is there. */
  amcheck: z._default(z.boolean(), false),
  /** Names of checks whose failure is only reported. Which the team's own are only Verify knows: they are named as files. */
  accept: z._default(
    z
      .array(
        text(200).check(
          z.refine(
            (name) => ACCEPTABLE_CHECKS.includes(name) || /^[a-z0-9][a-z0-9_-]*\.sql$/.test(name),
            `one of ${ACCEPTABLE_CHECKS.map((name) => `"${name}"`).join(', ')}, or the file name of one of the team's own checks, as "orders-have-lines.sql"`,
          ),
        ),
      )
      .check(z.maxLength(50)),
    [],
  ),
});

/** What is to be read before the cutover, so that it is fast behind it (`warm` of the input). */
export const WarmRequest = z
  .strictObject({
    /** Tables, each with its indexes, or single indexes: `name` or `schema.name`. */
    tables: z._default(z.array(text(200)).check(z.maxLength(100)), []),
    /** So much of their blocks is read before the cutover. */
    percent: z._default(z.int().check(z.minimum(1), z.maximum(100)), 100),
    /** So much of the whole storage RDS has loaded before the cutover; left out: it is not waited for. */
    storagePercent: z.optional(z.int().check(z.minimum(1), z.maximum(100))),
  })
  .check((context) => {
    if (context.value.tables.length === 0 && context.value.storagePercent === undefined)
      context.issues.push({
        code: 'custom',
        path: ['tables'],
        message: 'at least one table, or "storagePercent" beside it',
        input: context.value.tables,
      });
  });

/** What the machine is started for. */
export const MODES = ['plan', 'recover', 'drill', 'undo', 'clean-up', 'rename'] as const;

const MODES_WITH_NAME: readonly string[] = ['recover', 'undo', 'clean-up', 'rename'];

const OF_NO_OLD_INSTANCE = [
  'retire',
  'keepDays',
  'approveCutover',
  'approveRetirement',
  'soakMinutes',
  'soakAlarms',
  'warm',
];

/** Fields that change nothing in a mode: who writes one expects something else. */
const MEANINGLESS: Readonly<Record<string, readonly string[]>> = {
  drill: OF_NO_OLD_INSTANCE,
  undo: ['restore', 'verify', 'warm'],
  'clean-up': ['restore', 'verify', ...OF_NO_OLD_INSTANCE],
  rename: ['restore', 'verify', ...OF_NO_OLD_INSTANCE],
};

const WellFormedInput = z
  .strictObject({
    mode: z._default(z.enum(MODES), 'plan'),
    restore: z._default(RestoreRequest, { to: 'latest-pre-migration-snapshot' }),
    reason: z.optional(saying(1000)),
    requestedBy: z.optional(saying(200)),
    /** Left out: `delete`; of an undo `keep`. */
    retire: z.optional(z.enum(['delete', 'keep'])),
    /** For how many days an old instance that is kept is wanted; then people are reminded of it, and nothing else happens. */
    keepDays: z.optional(z.int().check(z.minimum(1), z.maximum(365))),
    verify: z._default(VerifyRequest, { amcheck: false, accept: [] }),
    /** Whether a person has to approve. What the environment asks for can be added to, not waived. */
    approveCutover: z.optional(z.boolean()),
    approveRetirement: z.optional(z.boolean()),
    /** For so long the new database is watched before the old instance goes; 0: not at all. Left out: as the environment has it. */
    soakMinutes: z.optional(z.int().check(z.minimum(0), z.maximum(1440))),
    /** CloudWatch alarms that must not ring then, besides those of the environment. */
    soakAlarms: z.optional(z.array(text(255)).check(z.maxLength(50))),
    /** Left out: the cutover does not wait. */
    warm: z.optional(WarmRequest),
  })
  .check((context) => {
    const { mode, retire = mode === 'undo' ? 'keep' : 'delete' } = context.value;
    if (context.value.keepDays !== undefined && retire !== 'keep')
      context.issues.push({
        code: 'custom',
        path: ['keepDays'],
        message: 'something only with "retire": "keep"',
        input: context.value.keepDays,
      });
    if (!MODES_WITH_NAME.includes(mode)) return;
    for (const field of ['reason', 'requestedBy'] as const) {
      if (context.value[field] === undefined)
        context.issues.push({
          code: 'custom',
          path: [field],
          message: `a text: it is needed to ${mode}`,
          input: undefined,
        });
    }
  });

/** What the operator types into the console; `{}` plans and changes nothing. */
export const RecoveryInput = z.pipe(
  z.unknown().check((context) => {
    const given = z.safeParse(z.looseObject({ mode: z.optional(z.string()) }), context.value).data ?? {};
    const { mode = 'plan' } = given;
    for (const field of Object.keys(given).filter((name) => MEANINGLESS[mode]?.includes(name)))
      context.issues.push({
        code: 'custom',
        path: [field],
        message: `no such field in mode "${mode}"`,
        input: context.value,
      });
  }),
  WellFormedInput,
);
export type RecoveryInput = z.infer<typeof RecoveryInput>;
