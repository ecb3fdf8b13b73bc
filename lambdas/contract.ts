import * as z from 'zod/mini';

/**
 * What travels between the state machine, CI and the functions. Identifiers and secret version ids only: never a URL,
 * never a password. Every handler parses its event with these schemas; inside, types hold.
 *
 * Written with zod/mini: the same schemas and `.parse` at a fifth of the size in every bundle.
 */

/** A string of 1 to `length` characters, blanks around it not counted. */
const text = (length: number) => z.string().check(z.trim(), z.minLength(1), z.maxLength(length));
/** A URL with a password in it, somewhere in a text. A port is none. */
export const URL_WITH_PASSWORD = /[a-z][a-z0-9+.-]*:\/\/[^\s:/@]*:(?!\d{1,5}(?:[/?#\s]|$))\S+@/i;
/** What a person says: it is kept in histories, tags and records, and sent to people. */
const saying = (length: number) =>
  text(length).check(
    z.refine(
      (value) => !URL_WITH_PASSWORD.test(value),
      'a text without a password (change that one: it was sent)',
    ),
  );
/** Of a snapshot in this account and Region, not the ARN of one elsewhere. Automated ones are named `rds:…`. */
const snapshotName = text(255).check(
  z.regex(
    /^(?:rds:)?[A-Za-z][A-Za-z0-9-]*$/,
    'the name of a snapshot in this account and Region: letters, digits and hyphens, no ARN',
  ),
);

export const ENVIRONMENTS = ['production', 'staging', 'development'] as const;
export type EnvironmentName = (typeof ENVIRONMENTS)[number];

/** An ECS service that reads DATABASE_URL when its tasks start. */
const Consumer = z.object({ cluster: z.string(), service: z.string() });
export type Consumer = z.infer<typeof Consumer>;

/** How the recoveries of an environment are carried out; from the table of environments, handed to a function as JSON. */
const RecoveryRules = z.object({
  /** A person approves before the secret is moved. */
  approveCutover: z.boolean(),
  /** A person approves before the old instance is deleted. */
  approveRetirement: z.boolean(),
  /** Restarted after the swap. */
  consumers: z.array(Consumer),
  /** How long the new database is watched before the old instance goes, where nobody says; left out: not at all. */
  soakMinutes: z.optional(z.int()),
  /** CloudWatch alarms that are watched then. */
  soakAlarms: z.optional(z.array(z.string())),
});
export type RecoveryRules = z.infer<typeof RecoveryRules>;

/** @param json of the function's setting RECOVERY_RULES */
export function readRecoveryRules(json: string): RecoveryRules {
  return RecoveryRules.parse(JSON.parse(json));
}

/** What a person is asked while a recovery runs. */
export const QUESTIONS = ['cutover', 'retirement', 'rename'] as const;
export type Question = (typeof QUESTIONS)[number];

/** How a question was answered; what a recovery keeps of it. */
export const Decision = z.object({
  question: z.enum(QUESTIONS),
  decision: z.enum(['approved', 'rejected', 'no answer']),
  /** Null where nobody answered. */
  by: z.nullable(z.string()),
  reason: z.nullable(z.string()),
  /** ISO 8601. */
  at: z.string(),
});
export type Decision = z.infer<typeof Decision>;

/** Where to go back to, as the operator says it. */
export const RestoreRequest = z.discriminatedUnion('to', [
  z.strictObject({ to: z.literal('latest-pre-migration-snapshot') }),
  z.strictObject({ to: z.literal('latest-snapshot') }),
  z.strictObject({ to: z.literal('before-migration'), migration: text(255) }),
  z.strictObject({ to: z.literal('snapshot'), snapshotId: snapshotName }),
  z.strictObject({ to: z.literal('time'), time: z.iso.datetime({ offset: true }) }),
]);
export type RestoreRequest = z.infer<typeof RestoreRequest>;

/** The built-in checks of Verify that compare what was read, in order. */
export const COMPARING_CHECKS = [
  'no failed migration',
  'migrations as recorded',
  'pending migrations are absent',
  'migrations of their time',
  'schema as recorded',
  'no invalid index',
  'sequences ahead of their columns',
  'rows as recorded',
  'rows as in the live database',
  'unlogged tables',
] as const;
const ACCEPTABLE_CHECKS = [...COMPARING_CHECKS, 'amcheck'];

/** How the operator wants the restored database looked at and made ready (`verify` and `warm` of the input). */
export const VerifyRequest = z.strictObject({
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
/** The same of a recovery that was planned: another version of this system may have planned it. */
const PlannedVerify = z.object({ amcheck: z.boolean(), accept: z.array(z.string()) });

/** What the machine is started for. */
const MODES = ['plan', 'recover', 'drill', 'undo', 'clean-up', 'rename'] as const;
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

/** For how many days an old instance is kept where nobody says: two weekends. */
export const KEEP_DAYS = 14;

/** What was written down with a snapshot about the database, for Verify to compare with; absent is what was not. */
export const RecordedState = z.object({
  schemaFingerprint: z.optional(z.string()),
  /** A digest for each kind of object. */
  schemaKinds: z.optional(z.record(z.string(), z.string())),
  /** A digest over the migrations that were applied, how many, and the newest. */
  applied: z.optional(z.object({ count: z.int(), last: z.nullable(z.string()), digest: z.string() })),
  /** Rows of the biggest tables: exact up to a thousand, estimated above. */
  rows: z.optional(z.record(z.string(), z.int())),
});
export type RecordedState = z.infer<typeof RecordedState>;

/** A restore point that was found to exist. */
export const RestorePoint = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('snapshot'),
    snapshotId: z.string(),
    /** The last transaction inside it (SnapshotDatabaseTime), ISO 8601. */
    databaseTime: z.string(),
    /** Migrations that were pending when it was taken and so must not be in it; null where that is not known. */
    pendingMigrations: z.nullable(z.array(z.string())),
    recorded: z.optional(RecordedState),
    /** Versions of the two secrets when it was begun, pinned by a label: their passwords are those inside it. */
    secretVersions: z.optional(
      z.object({ databaseUrl: z.optional(z.string()), master: z.optional(z.string()) }),
    ),
  }),
  z.object({
    kind: z.literal('time'),
    time: z.string(),
    /** Migrations that were started after it, or pending then by a marker, and so must not be in it; null: not known. */
    pendingMigrations: z.nullable(z.array(z.string())),
    /** Versions of the two secrets that the snapshots before and after it have pinned: the passwords of then may be theirs. */
    secretVersionsAround: z.optional(
      z.object({ databaseUrl: z.array(z.string()), master: z.array(z.string()) }),
    ),
  }),
]);
export type RestorePoint = z.infer<typeof RestorePoint>;

export const InstanceAddress = z.object({
  instanceId: z.string(),
  /** DbiResourceId: the identity that a rename does not change. */
  resourceId: z.string(),
  host: z.string(),
  port: z.int(),
});
export type InstanceAddress = z.infer<typeof InstanceAddress>;

/**
 * What Plan decides and every later state gets as `recovery`. Of an undo the recovery instance is the one that was retired; of a rename
 * it is the live one under its new name. All names are derived from `id`.
 */
export const Recovery = z.object({
  id: z.string(),
  /** Of the machine: it has the claim (recovery-claim.ts) as long as it runs. */
  execution: z.object({ arn: z.string(), startTime: z.string() }),
  environment: z.enum(ENVIRONMENTS),
  mode: z.enum(MODES),
  reason: z.nullable(z.string()),
  requestedBy: z.nullable(z.string()),
  retire: z.enum(['delete', 'keep']),
  keepDays: z._default(z.int(), KEEP_DAYS),
  verify: z._default(PlannedVerify, { amcheck: false, accept: [] }),
  approveCutover: z.boolean(),
  approveRetirement: z.boolean(),
  warm: z._default(z.nullable(WarmRequest), null),
  soakMinutes: z._default(z.int(), 0),
  soakAlarms: z._default(z.array(z.string()), []),
  /** The live instance, found from the secret. */
  live: z.extend(InstanceAddress, {
    /** `gone`: it was deleted. `dead`: RDS says that it cannot bring it back. Nobody can write to either. */
    state: z.enum(['there', 'dead', 'gone']),
  }),
  /** The snapshot with the settings of a live instance that is gone, or was not finished and replaced one that is gone. */
  settingsSnapshotId: z.nullable(z.string()),
  /** The version of the DATABASE_URL secret that named it: the swap is refused if another is current by then. */
  secretVersionId: z.string(),
  restorePoint: RestorePoint,
  recoveryInstanceId: z.string(),
  safetySnapshotId: z.string(),
  /** Of an undo: the recovery that made the live instance, and the instance that it retired. */
  undoes: z.optional(z.object({ recoveryId: z.string(), instance: InstanceAddress })),
  /** Of a rename: whether an earlier execution had RDS begin it, so that nobody is asked again. */
  rename: z.optional(z.object({ begun: z.boolean() })),
  finalSnapshotId: z.string(),
});
export type Recovery = z.infer<typeof Recovery>;

export const Check = z.object({ name: z.string(), ok: z.boolean(), detail: z.string() });
export type Check = z.infer<typeof Check>;

// --- One section per function: <Name>Event is what it gets, <Name>Result what it answers. ---

export const PlanEvent = z.object({
  execution: z.object({ arn: z.string(), name: z.string(), startTime: z.string() }),
  input: z.unknown(),
});
/** What a recovery left that does not run any more. */
export interface Leftover {
  what: 'recovery instance' | 'instance taken back' | 'instance that was live' | 'fence';
  instanceId: string;
  recoveryId: string;
  /** Name of its execution, and how it ended; null: Step Functions does not know it (any more). */
  execution: { name: string; status: string } | null;
  /** When the recovery began, or the instance was made. ISO 8601; null: not known. */
  since: string | null;
  /** What mode clean-up does with it. */
  cleanUp: 'deletes' | 'retires' | 'opens' | 'leaves';
  /** Why that, and what a person can do. */
  why: string;
}

/**
 * What knows an instance by its name, and so looks at nothing of the one that takes its place: the first hundred of each; null: not
 * known.
 */
export interface NamedBy {
  alarms: string[] | null;
  dashboards: string[] | null;
}

interface UsedQuota {
  used: number;
  quota: number;
}
export interface PlanResult {
  recovery: Recovery;
  /** Everything that a person needs to decide. */
  plan: {
    /** The same in words, one short line each. */
    summary: string[];
    live: { instanceId: string; status: string };
    /** Why this restore point. */
    why: string;
    restorePointAgeMinutes: number;
    /** Minutes of writes that the recovery gives up, if it were done now; of a live instance that is gone up to its end, where that is known. */
    lossWindowMinutes: number;
    /** What else would do. */
    alternatives: { restore: RestoreRequest; time: string; why: string }[];
    migrations: {
      /** Null where that is not known. */
      goAway: string[] | null;
      stay: { count: number; newest: string | null } | null;
    };
    toBeMade: { instances: string[]; snapshots: string[] };
    /** Null where RDS does not say. */
    quotas: { instances: UsedQuota; snapshots: UsedQuota; storageGiB: UsedQuota } | null;
    /** By the earlier recoveries of this machine, from start to end; null where there was none. */
    expectedMinutes: { median: number; shortest: number; longest: number; recoveries: number } | null;
    /** Settings that a restore does not take and that are changed afterwards. */
    modifiedAfterwards: string[];
    /** Settings that come from the backup and differ from the live instance's. */
    asInBackup: { name: string; live: string; backup: string }[];
    /** What the second instance costs a day; null where the table of environments has no price of its class. */
    costPerDay: { amount: number; currency: string; priceOf: string } | null;
    /** Old instances of earlier recoveries that were to be kept until a day which is over, each with what to do. */
    keptTooLong: string[];
    /** What names the live instance, and will not follow; null of a drill. */
    namedBy: NamedBy | null;
    /**
     * That the live instance serves and its own recovery was stopped before it had all its settings: they are taken from what it
     * replaced, or a snapshot of that; null: not known. Null as a whole where it is finished.
     */
    unfinished: { recoveryId: string; settingsFrom: string | null } | null;
    /** What could not be found out, and why. */
    notKnown: string[];
    /** What recoveries left that do not run any more; null where that is not known, or where the mode is not plan. */
    leftovers: Leftover[] | null;
    /** The exact input that cleans up; null where there is nothing to. */
    inputToCleanUp: unknown;
    /** The newest recovery, if it can be undone; null where it cannot, or where the mode is not plan. */
    undo: {
      recoveryId: string;
      /** Would be live again. */
      instanceId: string;
      /** The cutover: what was written since, minutes of it, would stay in what is live now. */
      asOf: string;
      lossWindowMinutes: number;
      /** The exact input that does it. */
      inputToUndo: unknown;
    } | null;
    /** That the live instance has another name than before any recovery; null where it has not, or where the mode is not plan. */
    rename: {
      to: string;
      /** One did not come to its end behind its swap: services may not have been restarted. It is gone on with. */
      begun: boolean;
      /** Why not now; null: it can be. */
      notNow: string | null;
      /** Minutes without a database: measured by earlier renames, or what RDS documents. */
      outageMinutes: number;
      /** The exact input that does it. */
      inputToRename: unknown;
    } | null;
    /** The exact input that carries this plan out. */
    inputToRecover: unknown;
  };
}

/** What Plan answers of an undo. */
export interface PlanUndoResult {
  recovery: Recovery;
  plan: {
    summary: string[];
    why: string;
    /** Minutes of writes, those since the cutover, that the application has no more afterwards. */
    lossWindowMinutes: number;
    /** What names the live instance, and will not follow. */
    namedBy: NamedBy;
  };
}

/** What Plan answers of a clean-up. */
export interface PlanCleanUpResult {
  recovery: Recovery;
  plan: { summary: string[]; leftovers: Leftover[] };
}

/** What Plan answers of a rename. */
export interface PlanRenameResult {
  recovery: Recovery;
  plan: {
    summary: string[];
    from: { instanceId: string; host: string };
    /** Null: the address that RDS will make of the name is not known. */
    to: { instanceId: string; host: string | null };
    /** Minutes without a database: measured by earlier renames, or what RDS documents. */
    outageMinutes: number;
    /** Have to be restarted afterwards, and are. */
    consumers: Consumer[];
    /** What names the instance as it is called now, and will not follow. */
    namedBy: NamedBy;
  };
}

const RecoveryEvent = z.object({ recovery: Recovery });
/** Of a step that must not meet what a function does that was cut off before a redrive: how often the execution has been redriven. */
const RedrivenEvent = z.object({ recovery: Recovery, redrives: z._default(z.int(), 0) });
const OnRecoveryInstance = z.object({ recovery: Recovery, instance: InstanceAddress });
/** Where an earlier version of the machine, whose executions may still be under way or redriven, sent the recovery only. */
const MaybeOnRecoveryInstance = z.object({ recovery: Recovery, instance: z.optional(InstanceAddress) });

export const StartRestoreEvent = RecoveryEvent;
export interface StartRestoreResult {
  instanceId: string;
}

/** Asks for a snapshot of the live instance as it is now, and does not wait for it. That none is taken stops no recovery. */
export const TakeSafetySnapshotEvent = RecoveryEvent;
export type TakeSafetySnapshotResult = { taken: true; snapshotId: string } | { taken: false; reason: string };

/** Of an undo, instead of StartRestore. */
export const TakeBackEvent = RecoveryEvent;
export interface TakeBackResult {
  instanceId: string;
}

/** Undoes TakeBack, and never deletes. */
export const GiveBackEvent = RecoveryEvent;
export interface GiveBackResult {
  instanceId: string;
  /** Whether it is marked retired now. */
  retired: boolean;
}

/** Throws InstanceNotReady until the instance is up; the machine asks again. */
export const CheckRestoredInstanceEvent = RecoveryEvent;
export type CheckRestoredInstanceResult = InstanceAddress;

/** The first thing done on a recovery instance, before anything writes to it: what exactly does the copy hold? */
export const RecordPositionEvent = OnRecoveryInstance;
export type RecordPositionResult = {
  /** Whether the master user gets in with a password that is known. If not, RDS has to set one before anything else. */
  masterUserKnown: boolean;
} & (
  | {
      recorded: true;
      snapshotXmax: string;
      lastReplayLsn: string | null;
      currentLsn: string;
      timeline: number;
    }
  | { recorded: false; reason: string }
);

/**
 * What serving needs: asks for what differs and throws SettingsNotMatched until nothing does; the machine asks again. RDS
 * takes no change during a first backup, so where there is nothing to change that backup is not waited for.
 */
export const MatchSettingsEvent = z.object({
  recovery: Recovery,
  instance: InstanceAddress,
  masterUserKnown: z.boolean(),
});
export interface MatchSettingsResult {
  settings: { name: string; live: string; recovery: string; equal: boolean; note?: string }[];
}

export const MatchCredentialsEvent = OnRecoveryInstance;
export interface MatchCredentialsResult {
  applicationRole: string;
  applicationPassword: 'already current' | 'set to the current one';
  /** Of an undo: what was found behind the fence. */
  checks?: Check[];
}

/** A check of Verify. A failed one of severity `error` blocks the cutover, of severity `warning` it is only reported. */
export interface VerificationCheck extends Check {
  severity: 'error' | 'warning';
}

const TakenAway = z.object({ name: z.string(), checksum: z.optional(z.string()) });
type TakenAway = z.infer<typeof TakenAway>;

export const VerifyEvent = OnRecoveryInstance;
export interface VerifyResult {
  checks: VerificationCheck[];
  /** Newest last, as recorded in the recovery instance. */
  migrations: string[];
  /** In the live database but not in the recovery instance; null where the live database could not be read. */
  migrationsTakenAway: string[] | null;
  /** The same of every project in the database, with the first digits of the checksums that were applied. */
  quarantine: TakenAway[] | null;
}

/** How far the tables are warm, and where to go on. */
export const WarmResult = z.object({
  percent: z.int(),
  /** False: the machine calls again. */
  enough: z.boolean(),
  blocksRead: z.int(),
  /** `pg_prewarm`, or `queries`, which cannot read indexes. */
  method: z.string(),
  /** What could not be read, and why. */
  leftOut: z.array(z.string()),
  calls: z.int(),
  /** Where to go on, and the relations before it that were refused. */
  next: z.object({ relation: z.int(), block: z.int(), refused: z.array(z.int()) }),
});
export type WarmResult = z.infer<typeof WarmResult>;
/** Reads on where `warmth`, the result of the call before it, says. */
export const WarmEvent = z.object({
  recovery: Recovery,
  instance: InstanceAddress,
  warmth: z.nullable(WarmResult),
});

/** Throws NotHydratedYet until RDS has loaded as much of the storage as asked for; the machine asks again. */
export const HydrateEvent = RecoveryEvent;
export interface HydrateResult {
  percent: number;
}

/**
 * The end of a drill: throws DiscardNotFinished until the recovery instance is gone (the machine asks again), then publishes
 * what was measured.
 */
export const EndDrillEvent = z.object({
  recovery: Recovery,
  /** When the instance was there, and when it was verified. ISO 8601. */
  restoredAt: z.string(),
  verifiedAt: z.string(),
  /** How many checks of Verify said yes, and how many did not. */
  checks: z.object({ passed: z.int(), notPassed: z.int() }),
});
export interface EndDrillResult {
  discarded: 'gone';
  instanceId: string;
  /** From the start to the restored instance. */
  restoreSeconds: number;
  /** From the start to the verified instance: a recovery would fence and swap now. */
  recoverySeconds: number;
  checks: { passed: number; notPassed: number };
}

/**
 * Before the swap: nobody but this system may connect to the old database any more. Throws SessionsNotEnded until nobody
 * is connected either; the machine asks again.
 */
export const FenceEvent = RecoveryEvent;
export interface FenceResult {
  fenced: readonly string[];
  /** Databases of RDS itself, which nobody may change. */
  notFenced: readonly string[];
  checks: Check[];
  /** Transactions that were prepared and not committed: nobody can commit them behind the fence. */
  preparedTransactions: number;
}

/** Undoes Fence where the recovery is abandoned. */
export const LiftFenceEvent = RecoveryEvent;
export const LiftFenceResult = z.object({
  /** False where there was no fence (any more), or where it has to stay. */
  lifted: z.boolean(),
  reason: z.string(),
  /** Of an undo: why the instance that was taken back could not be fenced again; null: it is fenced. */
  stillOpen: z.nullable(z.string()),
});
export type LiftFenceResult = z.infer<typeof LiftFenceResult>;

export const SwapEvent = OnRecoveryInstance;
export interface SwapResult {
  versionId: string;
  previousVersionId: string;
}

export const ProveEvent = z.object({
  recovery: Recovery,
  instance: InstanceAddress,
  /** The secret version that Swap made current. */
  versionId: z.string(),
});
export interface ProveResult {
  checks: Check[];
}

export const RestartConsumersEvent = z.extend(MaybeOnRecoveryInstance, {
  /** The secret version that Swap made current, and when, ISO 8601. */
  versionId: z.string(),
  swappedAt: z.string(),
});
export interface RestartConsumersResult {
  services: { cluster: string; service: string; deploymentId: string }[];
}

/** Throws ConsumersNotConnected until the application has a session on the new instance; the machine asks again. */
export const ProveConsumersEvent = OnRecoveryInstance;
export type ProveConsumersResult = { expected: false } | { expected: true; sessions: number };

/**
 * After the cutover: marks it as proven, with what exactly it took away, so that deployments can go on; then gives the new instance the
 * rest of the settings, once RDS takes changes. Throws SettingsNotMatched likewise.
 */
export const FinishSettingsEvent = z.object({
  recovery: Recovery,
  instance: InstanceAddress,
  /** What Verify found; null, or left out: not known, and what the restore points say stands. */
  quarantine: z.optional(z.nullable(z.array(TakenAway))),
});
export type FinishSettingsResult = MatchSettingsResult;

/** Undoes a swap as far as it went. Throws StoppedRecoveryAtWork while a Fence or Swap of before a redrive may be at work. */
export const SwapBackEvent = RedrivenEvent;
export interface SwapBackResult {
  /** True when AWSCURRENT had been moved (and is back now): the recovery instance may have taken writes, so it is kept. */
  wasSwapped: boolean;
}

/** Throws StillConnected while anybody but this system has a session on the old instance; the machine asks again. */
export const DrainEvent = MaybeOnRecoveryInstance;
export interface DrainResult {
  sessions: 0;
  /** When that was seen, ISO 8601. */
  at: string;
}

/** What has been seen while the recovery soaks, and what the next look is compared with. */
export const SoakResult = z.object({
  /** Of the first look, and when it is over. ISO 8601. */
  since: z.string(),
  until: z.string(),
  looks: z.int(),
  /** Null is what could not be seen so far. */
  first: z.object({
    deadlocks: z.nullable(z.int()),
    /** Rows of the old database that had been changed until then. */
    oldWrites: z.nullable(z.number()),
    /** Of the application, on the new database. */
    sessions: z.nullable(z.int()),
  }),
  /** Transactions of the new database that had ended at the last look. */
  last: z.nullable(z.object({ commits: z.int(), rollbacks: z.int() })),
  /** What was not as it should be at the last look, and at how many looks in a row. */
  findings: z.array(z.object({ what: z.string(), detail: z.string(), looks: z.int() })),
  /** Those that count, in words: people are asked. */
  problems: z.array(z.string()),
  /** False: the machine looks again, after so many seconds. */
  enough: z.boolean(),
  pauseSeconds: z.int(),
});
export type SoakResult = z.infer<typeof SoakResult>;
/** One look; `soak` is the result of the one before it. */
export const SoakEvent = z.object({
  recovery: Recovery,
  instance: InstanceAddress,
  /** Whether consumers had to come to the new instance for the cutover to be proven. */
  sessionsExpected: z.boolean(),
  /** As CloudWatch told the machine, which can be reached from outside the VPC only. */
  alarms: z.union([
    z.object({
      seen: z.array(z.object({ name: z.string(), state: z.string(), since: z.optional(z.string()) })),
    }),
    z.object({ problem: z.string() }),
  ]),
  soak: z.nullable(SoakResult),
});

/**
 * Throws RetirementNotFinished until the old instance is gone and its final snapshot available; the machine asks again. Throws
 * DrainOutdated where it would delete now and Drain has looked too long ago; the machine goes back to Drain.
 */
export const RetireEvent = z.object({
  recovery: Recovery,
  /** When Drain saw that nobody was connected, ISO 8601; null: before the execution was redriven. */
  drainedAt: z.nullable(z.iso.datetime({ offset: true })),
});
export type RetireResult =
  | { retired: 'deleted'; instanceId: string; finalSnapshotId: string }
  /** Null: marked by hand, or of before there was a date. */
  | { retired: 'kept'; instanceId: string; keepUntil: string | null }
  /** It was gone before the recovery began. */
  | { retired: 'gone'; instanceId: string };

/**
 * The end of an execution that a redrive goes on from: it throws the first error, so that the execution ends FAILED with it,
 * unless the execution has been redriven since.
 */
export const FailEvent = z.object({
  error: z.string(),
  cause: z.string(),
  /** The state that a redrive goes on with. */
  goesOnWith: z.string(),
  /** How often the execution had been redriven when the error happened, and how often it has been by now. */
  redrives: z.object({ then: z.int(), now: z.int() }),
});
export interface FailResult {
  goesOnWith: string;
}

/** Throws DiscardNotFinished until the recovery instance is gone; the machine asks again. */
export const DiscardEvent = RecoveryEvent;
export interface DiscardResult {
  /** It is not there (any more): whether it was deleted or never made cannot be told from its absence. */
  discarded: 'gone';
  instanceId: string;
}

/** Of mode clean-up: throws DiscardNotFinished until what is to be deleted is gone; the machine asks again. */
export const CleanUpEvent = RecoveryEvent;
export interface CleanUpResult {
  /** What is left alone, and why. */
  left: Leftover[];
}

/**
 * Claims the database and has RDS rename the live instance; throws RenameRefused before that, NotRenamedYet until it is up under its new
 * name; the machine asks again.
 */
export const RenameEvent = RedrivenEvent;
export interface RenameResult {
  instance: InstanceAddress;
  /** When RDS was asked, and took the old address away. ISO 8601. */
  askedAt: string;
}

/** The end of a rename, once the application is back: takes the marks off, and asks for a snapshot that knows the new address. */
export const FinishRenameEvent = z.object({
  recovery: Recovery,
  instance: InstanceAddress,
  /** When RDS was asked, and when the application was seen again. ISO 8601. */
  askedAt: z.string(),
  backAt: z.string(),
});
export interface FinishRenameResult {
  /** The application had no database. */
  outage: { from: string; until: string; seconds: number };
  snapshot: TakeSafetySnapshotResult;
}

/** What a person answers to a question of a recovery. */
export const DecideEvent = z.strictObject({
  /** Name or ARN. Left out: the one recovery that asks this. */
  execution: z.optional(text(300)),
  question: z.enum(QUESTIONS),
  decision: z.enum(['approve', 'reject']),
  by: saying(200),
  reason: saying(1000),
});
export interface DecideResult {
  /** Name of the execution. */
  execution: string;
  recorded: Decision;
  /** False where the same decision had been made before: by whom, `recorded` says. */
  isNew: boolean;
}

const Migration = z.strictObject({
  name: text(255),
  /** SHA-256 of migration.sql in hex. */
  checksum: z.optional(
    z.string().check(z.regex(/^[0-9a-f]{64}$/, '64 hexadecimal digits, as sha256sum prints them')),
  ),
});

/** What CI sends before every migration, and, with `outcome`, after it. */
export const PreMigrationSnapshotEvent = z.strictObject({
  deploymentId: text(200),
  /**
   * The migrations of the project. Those that the database has are left out here; where none is left, no snapshot is taken.
   * Left out: what is pending is not known.
   */
  migrations: z.optional(z.array(Migration).check(z.maxLength(2000))),
  /** Schema of the migration table. Left out: the `schema` in DATABASE_URL, else `public`. */
  schema: z.optional(text(63)),
  /** `point-in-time`: no snapshot where the automated backups reach up to now. */
  restorePoint: z.optional(z.enum(['snapshot', 'point-in-time'])),
  commit: z.optional(z.string().check(z.maxLength(200))),
  actor: z.optional(z.string().check(z.maxLength(200))),
  runUrl: z.optional(z.string().check(z.maxLength(256))),
  /** How the migration ended; recorded with the restore point. */
  outcome: z.optional(z.enum(['succeeded', 'failed'])),
});
export type PreMigrationSnapshotEvent = z.infer<typeof PreMigrationSnapshotEvent>;

/** The input of the recovery machine that goes back to this restore point. */
interface GoBack {
  recoveryInput: {
    mode: 'recover';
    restore: RestoreRequest;
    reason: string;
    requestedBy: string;
  };
  /** What CI should print: migrations that were mended after a quarantine, a quota that is nearly used up. */
  notes: string[];
}
/** Only `available` (and `skipped`) let the pipeline go on. */
export type PreMigrationSnapshotResult =
  | {
      status: 'creating';
      snapshotId: string;
      instanceId: string;
      progressPercent: number;
      /** Why it was not begun yet. */
      waitingFor?: string;
    }
  | ({
      status: 'available';
      snapshotId: string;
      instanceId: string;
      databaseTime: string;
      expiresAt: string;
    } & GoBack)
  | ({ status: 'available'; time: string; instanceId: string } & GoBack)
  | { status: 'skipped'; reason: string }
  | { status: 'refused'; error: string; reason: string; hint: string }
  | { status: 'recorded'; outcome: 'succeeded' | 'failed' };

/** What the gate asks the function inside the VPC. */
export const CheckMigrationsEvent = z.object({
  migrations: z.nullable(z.array(z.object({ name: z.string(), checksum: z.optional(z.string()) }))),
  schema: z.nullable(z.string()),
});
export const CheckMigrationsResult = z.object({
  /** Those of the event that the database does not have; null where the event has none. */
  pending: z.nullable(z.array(z.string())),
  /** Those of the event that were applied with another content. */
  changed: z.array(z.string()),
  /** Recorded as failed in the migration table of this project. */
  failed: z.array(z.string()),
  /** Recorded as failed in tables of other projects, as schema.name. */
  failedElsewhere: z.array(z.string()),
  applied: z.object({ count: z.int(), last: z.nullable(z.string()), digest: z.string() }),
  /** What was applied, and what failed and was not resolved, in the order in which it was started. */
  history: z.array(
    z.object({
      name: z.string(),
      /** By Prisma's own record, ISO 8601; null where the migration table does not say. */
      startedAt: z.nullable(z.string()),
    }),
  ),
  /** Sessions that hold Prisma's migration lock, in words, and whether nobody seems to be behind them. */
  lockHolders: z.array(z.object({ session: z.string(), pid: z.int(), stale: z.boolean() })),
  schemaFingerprint: z.string(),
  schemaKinds: z._default(z.record(z.string(), z.string()), {}),
  /** Rows of the biggest tables, see RecordedState. */
  rows: z._default(z.record(z.string(), z.int()), {}),
});
export type CheckMigrationsResult = z.infer<typeof CheckMigrationsResult>;
/** Instead, where a fence keeps everybody out: the recovery that raised it. */
export const FencedOut = z.object({ fencedBy: z.string() });
export type FencedOut = z.infer<typeof FencedOut>;

/** How long snapshots stay that do not say it themselves; from the table of environments. */
const RetentionRules = z.object({
  /** Days for which every scheduled snapshot stays. */
  dailyDays: z.int().check(z.minimum(1)),
  /** Days for which one scheduled snapshot a week stays. */
  weeklyDays: z.int().check(z.minimum(1)),
  /** So many of the newest good snapshots stay, however old they are. */
  keepNewest: z.int().check(z.minimum(1)),
  /** The newest good snapshot is never older than this, or people are told. */
  newestAtMostHours: z.int().check(z.minimum(1)),
});
export type RetentionRules = z.infer<typeof RetentionRules>;

/** That a recovery works is known from one that worked: a drill, or a real one. */
const DrillRules = z.object({
  /** ARN. */
  machine: z.string(),
  /** The newest recovery or drill that succeeded is never older than this, or people are told. */
  newestAtMostDays: z.int().check(z.minimum(1)),
});
export type DrillRules = z.infer<typeof DrillRules>;

/** The same for the rules of drills; undefined where there are none. */
export function readDrillRules(json: string | undefined): DrillRules | undefined {
  return json === undefined ? undefined : DrillRules.parse(JSON.parse(json));
}

/** What an instance costs, from the table of environments: no function asks AWS for prices, and discounts are not in them. */
const InstancePrice = z.object({
  /** As RDS writes it: db.t4g.medium. A live instance of another class has no price. */
  instanceClass: z.string(),
  /** Of an instance without a standby. */
  perHour: z.number().check(z.positive()),
  storagePerGibMonth: z.number().check(z.nonnegative()),
  currency: z.string(),
  /** Where and when it was looked up. */
  priceOf: z.string(),
});
export type InstancePrice = z.infer<typeof InstancePrice>;

/** The price as the stack hands it to a function: as JSON. */
export function readInstancePrice(json: string | undefined): InstancePrice | undefined {
  return json === undefined ? undefined : InstancePrice.parse(JSON.parse(json));
}

/** The rules as the stack hands them to a function: as JSON. */
export function readRetentionRules(json: string): RetentionRules {
  return RetentionRules.parse(JSON.parse(json));
}

/** How long copies of snapshots stay. */
const CopyRetention = z.extend(RetentionRules, {
  /** Days that the copy of a pre-migration snapshot is kept, from when the snapshot was taken. */
  preMigrationDays: z.int().check(z.minimum(1)),
});
export type CopyRetention = z.infer<typeof CopyRetention>;

/** Where copies of snapshots go, and how long they stay there; from the table of environments. */
const CopyRules = z.extend(CopyRetention, {
  /** Another Region of this account. */
  region: z.string(),
  /** Key of that Region: ARN or alias. */
  kmsKeyId: z.string(),
});
export type CopyRules = z.infer<typeof CopyRules>;

/** The same for the rules of copies. */
export function readCopyRules(json: string): CopyRules {
  return CopyRules.parse(JSON.parse(json));
}

/** The account that snapshots are copied to as well, in the Region of the database, and how long they stay there. */
const VaultRules = z.extend(CopyRetention, {
  account: z.string(),
  /** The account of the database. */
  homeAccount: z.string(),
  /** The key of the vault, which home may use, too: ARN of its alias. */
  kmsKeyId: z.string(),
});
export type VaultRules = z.infer<typeof VaultRules>;

/** The same for the rules of the vault. */
export function readVaultRules(json: string): VaultRules {
  return VaultRules.parse(JSON.parse(json));
}

/** `by-hand`: a snapshot of the live instance that this system did not take. */
const LISTED_KINDS = ['pre-migration', 'scheduled', 'safety', 'final', 'by-hand', 'point-in-time'] as const;
/** What a person asks the catalogue; everything narrows. */
export const RestorePointsEvent = z.strictObject({
  kind: z.optional(z.enum(LISTED_KINDS)),
  /** Points that were made with this migration pending. */
  migration: z.optional(text(255)),
  /** Points of this moment or later. */
  since: z.optional(z.iso.datetime({ offset: true })),
  /** The newest so many. */
  limit: z._default(z.int().check(z.minimum(1), z.maximum(5000)), 1000),
});
export const ListedRestorePoint = z.object({
  kind: z.enum(LISTED_KINDS),
  /** Id of the snapshot; of a point in time the id of the deployment. */
  id: z.string(),
  /** The last transaction in it, ISO 8601. */
  time: z.string(),
  ageHours: z.number(),
  /** `available`, or why one cannot go back to it now. */
  status: z.string(),
  /** The migrations that were pending. */
  migrations: z.array(z.string()),
  outcome: z.nullable(z.string()),
  commit: z.nullable(z.string()),
  actor: z.nullable(z.string()),
  sizeGiB: z.nullable(z.number()),
  expiresAt: z.nullable(z.string()),
  /** Why it is still there, or that the next run of the reaper deletes it. */
  why: z.string(),
  /** Its copies in other places; `account` where that is another account. */
  copies: z.array(
    z.object({
      region: z.string(),
      account: z.optional(z.string()),
      status: z.string(),
      expiresAt: z.nullable(z.string()),
    }),
  ),
  restore: RestoreRequest,
});
export const RestorePointsResult = z.object({
  environment: z.enum(ENVIRONMENTS),
  /** The instance that the secret names, or named when it was still there; null where nobody knows which one that was. */
  liveInstanceId: z.nullable(z.string()),
  /** What is wrong with it: it is gone, broken for good, or not to be found. Null: nothing. */
  liveProblem: z.nullable(z.string()),
  /** Every second between can be gone back to; null where there are no automated backups, or where it is not known whose. */
  window: z.nullable(z.object({ from: z.string(), to: z.string() })),
  /** Newest first. */
  points: z.array(ListedRestorePoint),
  /** Where there may be copies that are not in the list, and why. */
  notListed: z.array(z.string()),
});
export type RestorePointsResult = z.infer<typeof RestorePointsResult>;

/** A person lets a migration that a recovery took away pass the gate unchanged. */
export const LiftQuarantineEvent = z.strictObject({
  migration: text(255),
  requestedBy: saying(200),
  reason: saying(1000),
});
export interface LiftQuarantineResult {
  migration: string;
  instanceId: string;
  /** The recovery that took it away. */
  recoveryId: string;
  /** Of the first who asked, as far as a tag holds it. */
  lift: { by: string; at: string; reason: string };
  stillInQuarantine: string[];
}

/** What the schedule sends; a person may leave all of it out. */
export const ReapSnapshotsEvent = z.strictObject({
  /** Says what would be deleted, and deletes nothing. */
  dryRun: z._default(z.boolean(), false),
  /** Throws RetentionWarning when there is a warning, so that the alarm goes off. */
  failOnWarning: z._default(z.boolean(), false),
});
export interface ReapSnapshotsResult {
  dryRun: boolean;
  /** `region` where it is a copy in another Region. */
  deleted: { snapshotId: string; region?: string; why: string }[];
  kept: { snapshotId: string; region?: string; why: string }[];
  /** Ids of secret versions that no snapshot needs any more. */
  secretVersionsReleased: string[];
  warnings: string[];
}

export const ScheduledSnapshotEvent = z.strictObject({
  /** When the schedule was due. */
  scheduledTime: z.iso.datetime({ offset: true }),
  /** Of the schedule: it says which day that is. */
  timeZone: text(64),
});
export type ScheduledSnapshotResult =
  | { status: 'creating' | 'available'; snapshotId: string }
  | { status: 'waiting'; snapshotId: string; reason: string };

/** What the schedule sends; a person may leave all of it out. */
export const CopySnapshotsEvent = z.strictObject({
  /** Throws SnapshotsNotCopied when a copy could not be begun, so that the alarm goes off. */
  failOnWarning: z._default(z.boolean(), false),
});
export interface CopySnapshotsResult {
  region: string;
  /** Copies that this call asked for. */
  begun: string[];
  /** Copies that RDS makes now. */
  underWay: string[];
  /** Copies that one can go back to. */
  available: number;
  /** The next calls begin them: only so many are made at a time. */
  waiting: number;
  notCopied: { snapshotId: string; why: string }[];
}

/** What the schedule sends; a person may leave all of it out. */
export const CopyToVaultEvent = z.strictObject({
  /** Throws SnapshotsNotCopied when a copy could not be begun, so that the alarm goes off. */
  failOnWarning: z._default(z.boolean(), false),
});
export interface CopyToVaultResult {
  account: string;
  /** Snapshots of which this call asked for a passing copy here, under the key of the vault. */
  prepared: string[];
  /** Copies in the vault that this call asked for. */
  begun: string[];
  /** Snapshots of which RDS makes one of the two copies now. */
  underWay: string[];
  /** Copies in the vault that one can go back to. */
  available: number;
  /** The next calls begin them: only so many are made at a time. */
  waiting: number;
  /** Passing copies that this call deleted, since nobody needs them any more. */
  cleared: string[];
  notCopied: { snapshotId: string; why: string }[];
}

/** What the schedule of the vault sends; a person may leave all of it out. */
export const ReapVaultEvent = z.strictObject({
  /** Says what would be deleted, and deletes nothing. */
  dryRun: z._default(z.boolean(), false),
  /** Throws RetentionWarning when there is a warning, so that the alarm goes off. */
  failOnWarning: z._default(z.boolean(), false),
});
export interface ReapVaultResult {
  dryRun: boolean;
  deleted: { snapshotId: string; why: string }[];
  kept: { snapshotId: string; why: string }[];
  warnings: string[];
}

/** A person wants a copy back where the database is, to recover from it. Asked again until it is `available`. */
export const BringBackCopyEvent = z.strictObject({
  /** Left out: the newest copy. */
  snapshotId: z.optional(snapshotName),
  /** The other Region, or the vault. Left out: wherever it is, the Region first. */
  from: z.optional(z.enum(['region', 'vault'])),
  /** Left out: the key that the database had. */
  kmsKeyId: z.optional(text(2048)),
});
export type BringBackCopyResult =
  /** `source`: ARN of the copy that it is made of, where RDS says so. */
  | { status: 'copying'; snapshotId: string; source: string | null; progressPercent: number }
  | { status: 'available'; snapshotId: string; restore: RestoreRequest };

/** What EventBridge says of an execution that has ended, of which this is enough; a person may send it, too. */
export const WriteRecordEvent = z.object({ executionArn: text(2048) });
export type WriteRecordResult =
  | {
      recorded: true;
      /** Name of the execution, and its status when it was looked at. */
      execution: string;
      status: string;
      /** Where the page for people is, and the document for programs: `s3://…`. */
      page: string;
      json: string;
    }
  | { recorded: false; execution: string; reason: string };

/** The functions: kebab-case name = file in `lambdas` = step in `lambdas/steps` = physical name after `<env>-`. */
export const FUNCTIONS = [
  'pre-migration-snapshot',
  'plan',
  'start-restore',
  'take-safety-snapshot',
  'take-back',
  'give-back',
  'check-restored-instance',
  'record-position',
  'match-settings',
  'match-credentials',
  'verify',
  'end-drill',
  'warm',
  'hydrate',
  'fence',
  'swap',
  'prove',
  'restart-consumers',
  'prove-consumers',
  'finish-settings',
  'swap-back',
  'lift-fence',
  'drain',
  'soak',
  'retire',
  'discard',
  'clean-up',
  'rename',
  'finish-rename',
  'fail',
  'decide',
] as const;
export type FunctionName = (typeof FUNCTIONS)[number];

/** The functions around restore points that are no states of the machine; named in the same way. */
export type RestorePointFunctionName =
  'check-migrations' | 'scheduled-snapshot' | 'reap-snapshots' | 'restore-points' | 'lift-quarantine';

/** The functions of an environment whose snapshots are copied to another Region or account; named in the same way. */
export type CopyFunctionName = 'copy-snapshots' | 'copy-to-vault' | 'bring-back-copy';

/** The function that keeps the retention of the vault, in the account of the vault. */
export const VAULT_FUNCTION = 'reap-vault';

/** The function that an event of EventBridge calls when an execution has ended. */
export const RECORD_FUNCTION = 'write-record';

/** Errors that mean "not yet": the state machine waits and asks again. Every RollbackError but these, STOPPED_NOT_YET and PASSING_ERRORS is final. */
export const NOT_YET_ERRORS = {
  'check-restored-instance': 'InstanceNotReady',
  'match-settings': 'SettingsNotMatched',
  'match-credentials': 'CredentialsNotReady',
  'end-drill': 'DiscardNotFinished',
  hydrate: 'NotHydratedYet',
  fence: 'SessionsNotEnded',
  rename: 'NotRenamedYet',
  swap: 'NewAddressNotReached',
  'finish-settings': 'SettingsNotMatched',
  'prove-consumers': 'ConsumersNotConnected',
  'finish-rename': 'InstanceBusy',
  drain: 'StillConnected',
  retire: 'RetirementNotFinished',
  discard: 'DiscardNotFinished',
  'clean-up': 'DiscardNotFinished',
} as const satisfies Partial<Record<FunctionName, string>>;

/**
 * One more that means "not yet", whatever else they wait for: of all that claim the database or plan to (take-claim.ts), and of what goes
 * back behind a redrive (cut-off.ts).
 */
export const STOPPED_NOT_YET = {
  error: 'StoppedRecoveryAtWork',
  functions: ['plan', 'start-restore', 'take-back', 'clean-up', 'rename', 'swap-back'],
} as const satisfies { error: string; functions: readonly FunctionName[] };

/**
 * Errors that pass by themselves: the state machine asks again, with backoff. AWS is busy, a server restarts, a rotation is
 * half done.
 */
export const PASSING_ERRORS = ['AwsUnavailable', 'DatabaseUnreachable', 'OldInstanceUnreachable'] as const;

/** The functions inside the VPC: they talk to PostgreSQL, and of AWS to Secrets Manager only (its endpoint is the one we pay for). */
export const DATABASE_FUNCTIONS = [
  'record-position',
  'match-credentials',
  'verify',
  'warm',
  'fence',
  'lift-fence',
  'swap',
  'prove',
  'prove-consumers',
  'drain',
  'soak',
] as const satisfies readonly FunctionName[];

/** The environment variables that every function gets. */
export const FunctionSettings = z.object({
  ENVIRONMENT: z.enum(ENVIRONMENTS),
  /** ARN of the DATABASE_URL secret. Absent in development, where nothing is backed up. */
  DATABASE_URL_SECRET_ID: z.optional(z.string()),
  /** ARN of the master user's secret: JSON with `username` and `password`. */
  MASTER_SECRET_ID: z.optional(z.string()),
  /** Days that a pre-migration (and final) snapshot is kept; 0: none is made. */
  SNAPSHOT_RETENTION_DAYS: z.coerce.number().check(z.int(), z.minimum(0)),
  /** JSON, see readRetentionRules (functions around snapshots only). */
  RETENTION_RULES: z.optional(z.string()),
  /** JSON, see readCopyRules (only where snapshots are copied to another Region). */
  COPY_RULES: z.optional(z.string()),
  /** JSON, see readVaultRules (only where snapshots are copied to another account). */
  VAULT_RULES: z.optional(z.string()),
  /** ARN of the role over there that the function takes (at home only). */
  VAULT_ROLE_ARN: z.optional(z.string()),
  /** JSON, see readRecoveryRules (only where a recovery is planned). */
  RECOVERY_RULES: z.optional(z.string()),
  /** ARN (`decide` only). */
  RECOVERY_MACHINE_ARN: z.optional(z.string()),
  /** JSON, see readDrillRules (reap-snapshots only). */
  DRILL_RULES: z.optional(z.string()),
  /** JSON, see readInstancePrice (plan only). */
  INSTANCE_PRICE: z.optional(z.string()),
  /** Name of the bucket (`write-record` only). */
  RECORDS_BUCKET: z.optional(z.string()),
});
export type FunctionSettings = z.infer<typeof FunctionSettings>;

/**
 * Properties of the custom resource that makes the application's role and database and fills the DATABASE_URL secret, once
 * (`lambdas/application-database.ts`). CloudFormation hands every value over as a string.
 */
export const ApplicationDatabaseProperties = z.object({
  host: z.string().check(z.minLength(1)),
  port: z.coerce.number().check(z.int()),
  databaseName: z.string().check(z.minLength(1)),
  applicationRole: z.string().check(z.minLength(1)),
});
export type ApplicationDatabaseProperties = z.infer<typeof ApplicationDatabaseProperties>;
