import type pg from 'pg';
import { z } from 'zod/mini';

export interface FillOptions {
  /** Rows to make, over all logged tables together; exact. */
  readonly rows: number;
  /** Equal seeds give equal data. @default 1 */
  readonly seed?: number;
}

export interface FillResult {
  readonly rows: number;
  /** Rows of the unlogged table "Session", made in addition: a restore empties it. */
  readonly sessions: number;
  /** Rows per table. */
  readonly tables: Readonly<Record<Table, number>>;
}

type Table =
  | 'User'
  | 'Team'
  | 'TeamMember'
  | 'Project'
  | 'Label'
  | 'Task'
  | '_LabelToTask'
  | 'Comment'
  | 'Attachment'
  | 'TaskEvent'
  | 'TimeEntry';

/**
 * Share of each table in thousandths of all rows; comments get what rounding leaves. Team, Project and Label are per
 * user and project of real installations: a team of about twenty, two projects each.
 */
const SHARES: Readonly<Record<Exclude<Table, 'Comment' | 'TeamMember'>, number>> = {
  User: 20,
  Team: 1,
  Project: 2,
  Label: 5,
  Task: 300,
  _LabelToTask: 150,
  Attachment: 40,
  TaskEvent: 150,
  TimeEntry: 60,
};

/** Fewer rows than this are all users: a smaller tracker has no sensible shape. */
const SMALLEST_SHAPE = 100;

/**
 * Fills the freshly migrated database of the sample app, in one transaction and in PostgreSQL alone. Values are drawn
 * from a hash of the row's number and the seed, never from the clock or from random(). User 1 has a name of one word.
 *
 * @throws RangeError for a count that is no whole number, Error where the tables hold rows already
 */
export async function fill(client: pg.ClientBase, { rows, seed = 1 }: FillOptions): Promise<FillResult> {
  if (!Number.isSafeInteger(rows) || rows < 0)
    throw new RangeError(`The number of rows must be a whole number from 0 up, not ${rows}.`);
  if (!Number.isSafeInteger(seed)) throw new RangeError(`The seed must be a whole number, not ${seed}.`);
  const tables = countsFor(rows);
  const sessions = Math.min(tables.User, 200);
  await client.query('BEGIN');
  try {
    await client.query(`SET LOCAL TimeZone = 'UTC'`);
    const { rowCount } = await client.query('SELECT FROM "User" LIMIT 1');
    if (rowCount)
      throw new Error('The sample database holds rows already; fill wants a freshly migrated one.');
    for (const sql of FUNCTIONS) await client.query(sql);
    const foreignKeys = ForeignKeys.parse((await client.query(FOREIGN_KEYS)).rows);
    for (const { drop } of foreignKeys) await client.query(drop);
    for (const sql of statements(tables, sessions, seed)) await client.query(sql);
    for (const { add } of foreignKeys) await client.query(add);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  }
  return { rows, sessions, tables };
}

function countsFor(rows: number): Record<Table, number> {
  if (rows < SMALLEST_SHAPE) {
    const none = { Team: 0, TeamMember: 0, Project: 0, Label: 0, Task: 0, _LabelToTask: 0 };
    return { User: rows, ...none, Comment: 0, Attachment: 0, TaskEvent: 0, TimeEntry: 0 };
  }
  const share = (table: keyof typeof SHARES): number =>
    Math.max(1, Math.floor((rows * SHARES[table]) / 1000));
  const counts = {
    User: share('User'),
    Team: share('Team'),
    TeamMember: share('User'),
    Project: share('Project'),
    Label: share('Label'),
    Task: share('Task'),
    _LabelToTask: share('_LabelToTask'),
    Attachment: share('Attachment'),
    TaskEvent: share('TaskEvent'),
    TimeEntry: share('TimeEntry'),
  };
  const others = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return { ...counts, Comment: rows - others };
}

/**
 * Every foreign key of the application, as statements that take it away and bring the very same one back. PostgreSQL then
 * checks it for all rows at once when it comes back, which is several times cheaper than row by row.
 */
const FOREIGN_KEYS = `
  SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) AS drop,
    format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) AS add
  FROM pg_constraint WHERE contype = 'f' ORDER BY oid`;
const ForeignKeys = z.array(z.object({ drop: z.string(), add: z.string() }));

/** Helpers that live as long as the session: a number below `n`, a UUID, a word and a text for the row's number. */
const FUNCTIONS = [
  `CREATE FUNCTION pg_temp.pick(i bigint, salt bigint, n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE
     RETURN (hashint8extended(i, salt) & 9223372036854775807) % n`,
  `CREATE FUNCTION pg_temp.id(kind text, i bigint, seed bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
     RETURN md5(kind || ':' || seed || ':' || i)::uuid`,
  `CREATE FUNCTION pg_temp.word(i bigint, salt bigint) RETURNS text LANGUAGE sql IMMUTABLE
     RETURN (ARRAY['invoice','login','export','Übersicht','dashboard','webhook','retry','checkout','naïve cache','東京 office',
       'import','"quoted" label','O''Brien''s report','100 %','C:\\temp','mobile app','🚀 launch','search','e-mail','Ελληνικά'])[1 + pg_temp.pick(i, salt, 20)]`,
  `CREATE FUNCTION pg_temp.sentence(i bigint, salt bigint) RETURNS text LANGUAGE sql IMMUTABLE
     RETURN (ARRAY['Fails with ','It''s slow: ','Please check ','Works on my machine, not on ','Same as last week: '])[1 + pg_temp.pick(i, salt, 5)]
       || pg_temp.word(i, salt + 1) || (ARRAY['.', ' and nobody knows why.', E'.\\n- step one\\n- step two', ' ("urgent")!', E';\\tsee log'])[1 + pg_temp.pick(i, salt + 2, 5)]`,
];

const START = `timestamptz '2025-01-06 08:00:00+00'`;

/** One statement per table, parents first, then the sequences moved behind the numbers given out. */
function statements(count: Record<Table, number>, sessions: number, seed: number): string[] {
  const draw = (salt: number, n: number | string): string => `pg_temp.pick(i, ${salt + seed * 1000}, ${n})`;
  const word = (salt: number): string => `pg_temp.word(i, ${salt + seed * 1000})`;
  const sentence = (salt: number): string => `pg_temp.sentence(i, ${salt + seed * 1000})`;
  const user = (number: string): string => `pg_temp.id('user', ${number}, ${seed})`;
  const anyUser = (salt: number): string => user(`1 + ${draw(salt, count.User)}`);
  const anyTask = (salt: number): string => `1 + ${draw(salt, count.Task)}`;
  const later = (salt: number, days: number): string =>
    `${START} + ${draw(salt, days * 86_400)} * interval '1 second' + ${draw(salt + 1, 1000)} * interval '1 millisecond'`;
  const one = (salt: number, values: readonly string[]): string =>
    `(ARRAY[${values.map((value) => `'${value}'`).join(',')}])[1 + ${draw(salt, values.length)}]`;
  const insert = (table: Table | 'Session', number: number, columns: string, values: string): string =>
    `INSERT INTO "${table}" (${columns}) SELECT ${values} FROM generate_series(1::bigint, ${number}) i`;

  return [
    insert(
      'User',
      count.User,
      '"id", "email", "name", "passwordHash", "timeZone", "createdAt", "updatedAt"',
      `${user('i')}, 'user' || i || '@example.com',
       CASE WHEN i = 1 OR ${draw(1, 40)} = 0 THEN ${one(2, ['Sukarno', 'Björk', '花子'])}
         ELSE ${one(3, ['Ada', 'Zoë', 'Jürgen', 'Siobhán', 'Nguyễn', 'Мария'])} || ' ' || ${one(4, ['Lovelace', "O''Neill", 'Müller', 'van der Berg', 'Иванова'])} END,
       '$2b$12$' || md5('password' || i), CASE WHEN ${draw(5, 4)} > 0 THEN ${one(6, ['Europe/Berlin', 'Asia/Tokyo', 'America/New_York'])} END,
       ${START}, ${later(7, 200)}`,
    ),
    insert(
      'Team',
      count.Team,
      '"id", "slug", "name", "createdAt"',
      `i, 'team-' || i, 'Team ' || ${word(10)}, ${START}`,
    ),
    insert(
      'TeamMember',
      count.TeamMember,
      '"teamId", "userId", "role", "joinedAt"',
      `1 + i % ${count.Team}, ${user('i')}, ${one(20, ['OWNER', 'ADMIN', 'MEMBER', 'MEMBER', 'GUEST'])}::"Role", ${later(21, 90)}`,
    ),
    insert(
      'Project',
      count.Project,
      '"id", "teamId", "key", "name", "status", "archivedAt", "createdAt"',
      `i, 1 + i % ${count.Team}, 'P' || i, ${word(30)} || ' ' || i,
       CASE WHEN i % 9 = 0 THEN 'ARCHIVED' ELSE 'ACTIVE' END::"ProjectStatus",
       CASE WHEN i % 9 = 0 THEN ${later(31, 300)} END, ${START}`,
    ),
    insert(
      'Label',
      count.Label,
      '"id", "teamId", "name", "color"',
      `i, 1 + i % ${count.Team}, left(${word(40)}, 30) || ' ' || i, '#' || substr(md5(i::text), 1, 6)`,
    ),
    insert(
      'Task',
      count.Task,
      `"id", "projectId", "number", "title", "details", "status", "priority", "reporterId", "assigneeId", "dueDate",
       "createdAt", "updatedAt", "estimateHours", "keywords", "completedAt"`,
      `i, 1 + i % ${count.Project}, i / ${count.Project} + 1, initcap(${word(50)}) || ': ' || ${word(51)},
       CASE WHEN ${draw(52, 10)} = 0 THEN NULL WHEN ${draw(52, 50)} = 1 THEN repeat(${sentence(53)} || E'\\n', 60)
         ELSE ${sentence(54)} || ' ' || ${sentence(55)} END,
       ${one(56, ['OPEN', 'OPEN', 'IN_PROGRESS', 'IN_REVIEW', 'DONE', 'DONE', 'CANCELLED'])}::"TaskStatus",
       ${one(57, ['LOW', 'MEDIUM', 'MEDIUM', 'HIGH', 'URGENT'])}::"Priority",
       ${anyUser(58)}, CASE WHEN ${draw(59, 5)} > 0 THEN ${anyUser(60)} END,
       CASE WHEN ${draw(61, 3)} > 0 THEN date '2025-02-01' + ${draw(62, 400)}::integer END, ${later(63, 200)}, ${later(65, 300)},
       CASE WHEN ${draw(67, 3)} > 0 THEN ${draw(68, 16_000)} / 100.0 END,
       CASE ${draw(69, 3)} WHEN 0 THEN '{}'::text[] WHEN 1 THEN ARRAY[${word(70)}] ELSE ARRAY[${word(70)}, ${word(71)}] END,
       CASE WHEN ${draw(72, 3)} = 0 THEN ${later(73, 300)} END`,
    ),
    insert('_LabelToTask', count._LabelToTask, '"A", "B"', `1 + ${draw(80, count.Label)}, i`),
    insert(
      'Comment',
      count.Comment,
      '"id", "taskId", "authorId", "body", "createdAt", "editedAt", "isPinned"',
      `i, ${anyTask(90)}, CASE WHEN ${draw(91, 20)} > 0 THEN ${anyUser(92)} END,
       CASE WHEN ${draw(93, 100)} = 0 THEN repeat(${sentence(94)} || ' ', 100) ELSE ${sentence(95)} END,
       ${later(96, 300)}, CASE WHEN ${draw(98, 8)} = 0 THEN ${later(99, 320)} END, false`,
    ),
    insert(
      'Attachment',
      count.Attachment,
      '"id", "taskId", "uploaderId", "fileName", "contentType", "sizeBytes", "sha256", "createdAt"',
      `pg_temp.id('attachment', i, ${seed}), ${anyTask(110)}, CASE WHEN ${draw(111, 9)} > 0 THEN ${anyUser(112)} END,
       ${word(113)} || ' ' || i || '.png', 'image/png', 1000 + ${draw(114, '10000000000')},
       sha256(convert_to('attachment' || i, 'UTF8')), ${later(115, 300)}`,
    ),
    insert(
      'TaskEvent',
      count.TaskEvent,
      '"id", "taskId", "actorId", "type", "payload", "createdAt"',
      `i, ${anyTask(120)}, CASE WHEN ${draw(121, 10)} > 0 THEN ${anyUser(122)} END,
       ${one(123, ['CREATED', 'STATUS_CHANGED', 'ASSIGNED', 'COMMENTED', 'IMPORTED'])}::"TaskEventType",
       jsonb_build_object('source', ${one(124, ['web', 'api', 'mobile'])}, 'note', ${word(125)}, 'attempt', ${draw(126, 5)}, 'previous', NULL),
       ${later(127, 300)} + ${draw(129, 1000)} * interval '1 microsecond'`,
    ),
    insert(
      'TimeEntry',
      count.TimeEntry,
      '"id", "reference", "taskId", "userId", "startedAt", "minutes", "hourlyRate", "note"',
      `pg_temp.id('time', i, ${seed}), 100000 + i, ${anyTask(130)}, ${anyUser(131)}, ${later(132, 300)}, 5 + ${draw(134, 475)},
       CASE WHEN ${draw(135, 2)} = 0 THEN 40 + ${draw(136, 16_000)} / 100.0 END, CASE WHEN ${draw(137, 3)} = 0 THEN ${sentence(138)} END`,
    ),
    insert(
      'Session',
      sessions,
      '"id", "userId", "tokenHash", "expiresAt"',
      `pg_temp.id('session', i, ${seed}), ${user('i')}, md5('session' || i), ${later(140, 400)}`,
    ),
    ...(['Team', 'Project', 'Label', 'Task', 'Comment', 'TaskEvent'] as const).map((table) =>
      behind(table, 'id', count[table]),
    ),
    behind('TimeEntry', 'reference', count.TimeEntry),
  ];
}

/** Moves the sequence of a column behind the highest value, so that the application's inserts find a free one. */
function behind(table: Table, column: string, count: number): string {
  if (count === 0) return 'SELECT';
  return `SELECT setval(pg_get_serial_sequence('"${table}"', '${column}'), (SELECT max("${column}") FROM "${table}"))`;
}
