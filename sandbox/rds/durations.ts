import { readFile } from 'node:fs/promises';
import { z } from 'zod';

/** The waits that a caller of RDS sees. Each takes as long as the real work behind it, and at least as long as this. */
const OPERATION_KINDS = [
  'create',
  'snapshot',
  'restoreSnapshot',
  'restoreToTime',
  /** The first automated backup of an instance, during which it is `backing-up`. */
  'firstBackup',
  /** A daily automated backup. */
  'dailyBackup',
  /** From the answer to a modification until the instance is seen `modifying`. */
  'modifyStarts',
  'modify',
  'resetCredentials',
  'rename',
  'reboot',
  'stop',
  'start',
  'delete',
  'deleteSnapshot',
  /** A parameter or security group that is `applying` or `adding`. */
  'applyGroup',
  'storageOptimization',
  /** Until every block of a restored instance has been loaded. */
  'hydration',
] as const;
export type OperationKind = (typeof OPERATION_KINDS)[number];

const durationSchema = z.strictObject({
  seconds: z.number().min(0).describe('Median, in seconds.'),
  spread: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe('Share of the median by which a single operation may be faster or slower, 0 to 1.'),
});
export type Duration = z.infer<typeof durationSchema>;

export interface DurationProfile {
  readonly operations: Readonly<Record<OperationKind, Duration>>;
  /** Seconds between two uploads of WAL: LatestRestorableTime trails by up to this. */
  readonly walUploadInterval: number;
  /** What the durations are drawn from. @default 1 */
  readonly seed?: number | undefined;
}

/**
 * A profile as a file of one's own holds it, in JSON: `{ "seed": 7, "operations": { "snapshot": { "seconds": 240, "spread":
 * 0.5 } } }`. What is left out is as in the profile `aws`.
 */
const fileSchema = z.strictObject({
  seed: z.int().min(0).optional(),
  walUploadInterval: z.number().min(0).optional(),
  operations: z.partialRecord(z.enum(OPERATION_KINDS), durationSchema),
});

/** The file is not there, or not a profile of durations. */
export class DurationsUnreadable extends Error {
  override readonly name = 'DurationsUnreadable';

  constructor(file: string, evidence: string) {
    super(
      `${file} is not a profile of durations.\n${evidence}\n` +
        `It looks like {"seed": 7, "operations": {"snapshot": {"seconds": 240, "spread": 0.5}}}; see docs/sandbox.md.`,
    );
  }
}

/** The profile of that name, or that of a file. @throws DurationsUnreadable */
export async function durationProfile(name: string): Promise<DurationProfile> {
  return isProfileName(name) ? DURATION_PROFILES[name] : readDurations(name);
}

async function readDurations(file: string): Promise<DurationProfile> {
  let content: unknown;
  try {
    content = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    throw new DurationsUnreadable(file, error instanceof Error ? error.message : String(error));
  }
  const read = fileSchema.safeParse(content);
  if (!read.success) throw new DurationsUnreadable(file, z.prettifyError(read.error));
  const { seed, walUploadInterval, operations } = read.data;
  const { aws } = DURATION_PROFILES;
  return {
    seed,
    walUploadInterval: walUploadInterval ?? aws.walUploadInterval,
    operations: { ...aws.operations, ...operations },
  };
}

const minutes = (count: number, spread = 0.2): Duration => ({ seconds: count * 60, spread });
const seconds = (count: number, spread = 0.2): Duration => ({ seconds: count, spread });
const none: Duration = { seconds: 0, spread: 0 };

export const DURATION_PROFILES = {
  /** As long as the real work takes: for interactive use and tests. */
  quick: {
    operations: {
      create: none,
      snapshot: none,
      restoreSnapshot: none,
      restoreToTime: none,
      firstBackup: none,
      dailyBackup: none,
      modifyStarts: none,
      modify: none,
      resetCredentials: none,
      rename: none,
      reboot: none,
      stop: none,
      start: none,
      delete: none,
      deleteSnapshot: none,
      applyGroup: none,
      storageOptimization: none,
      hydration: none,
    },
    walUploadInterval: 0,
  },
  /** What an instance of some tens of gigabytes takes on AWS. */
  aws: {
    operations: {
      create: minutes(6),
      snapshot: minutes(4, 0.5),
      restoreSnapshot: minutes(14, 0.3),
      restoreToTime: minutes(22, 0.3),
      firstBackup: minutes(25, 0.4),
      dailyBackup: minutes(3, 0.5),
      modifyStarts: seconds(10, 0.8),
      modify: seconds(90, 0.4),
      resetCredentials: seconds(45, 0.4),
      rename: minutes(10, 0.3),
      reboot: seconds(40, 0.4),
      stop: minutes(4, 0.4),
      start: minutes(6, 0.3),
      delete: minutes(8, 0.3),
      deleteSnapshot: seconds(5, 0.5),
      applyGroup: seconds(20, 0.5),
      storageOptimization: minutes(30, 0.5),
      hydration: minutes(60, 0.5),
    },
    walUploadInterval: 300,
  },
} as const satisfies Record<string, DurationProfile>;

export type DurationProfileName = keyof typeof DURATION_PROFILES;

function isProfileName(name: string): name is DurationProfileName {
  return Object.hasOwn(DURATION_PROFILES, name);
}

/** Draws how long each operation takes. The same seed gives the same durations in the same order of operations. */
export class Durations {
  /** How far has been drawn: set it to go on from there. */
  position: number;

  constructor(
    private readonly profile: DurationProfile,
    seed = profile.seed ?? 1,
  ) {
    this.position = seed >>> 0;
  }

  /** Milliseconds for one operation of this kind. */
  draw(kind: OperationKind): number {
    const { seconds, spread } = this.profile.operations[kind];
    return seconds * 1000 * (1 + spread * (2 * this.random() - 1));
  }

  /** Milliseconds between two uploads of WAL. */
  get walUploadInterval(): number {
    return this.profile.walUploadInterval * 1000;
  }

  /** mulberry32: small, and the same on every machine. */
  private random(): number {
    this.position = (this.position + 0x6d2b79f5) >>> 0;
    let t = this.position;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
}

export function durations(profile: DurationProfileName, seed = 1): Durations {
  return new Durations(DURATION_PROFILES[profile], seed);
}
