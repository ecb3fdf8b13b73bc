import { z } from 'zod';

/** What the Prisma CLI gives as `--datasource`. */
const Datasource = z.object({ url: z.string().min(1), shadowDatabaseUrl: z.string().min(1).optional() });

/**
 * @typedef {z.infer<typeof Datasource>} Datasource
 * @typedef {object} Options
 * @property {boolean} version
 * @property {string | undefined} databaseCommand what follows `cli`
 * @property {Datasource | undefined} datasource none for commands that need no database, such as comparing two files
 * @property {string[]} datamodels paths of Prisma schema files
 */

/**
 * @param {readonly string[]} words the command line after the program's name
 * @param {Readonly<Record<string, string | undefined>>} environment
 * @returns {Options}
 */
export function parseArguments(words, environment) {
  /** @type {Options} */
  const options = { version: false, databaseCommand: undefined, datasource: undefined, datamodels: [] };
  const rest = words[Symbol.iterator]();
  for (const word of rest) {
    if (word === '--version') options.version = true;
    else if (word === '--datasource') options.datasource = Datasource.parse(JSON.parse(valueOf(word, rest)));
    else if (word === '--datamodels') options.datamodels.push(valueOf(word, rest));
    else if (word === 'cli') options.databaseCommand = valueOf(word, rest);
    // Nothing that this engine does depends on them.
    else if (word === '--enabled-preview-features' || word === '--extension-types') valueOf(word, rest);
    else throw new Error(`The schema engine does not know the argument ${JSON.stringify(word)}.`);
  }
  const url = environment['DATABASE_URL'];
  if (options.datasource === undefined && url) options.datasource = { url };
  return options;
}

/**
 * @param {string} name
 * @param {Iterator<string>} rest
 */
function valueOf(name, rest) {
  const next = rest.next();
  if (next.done) throw new Error(`The schema engine's argument ${name} needs a value.`);
  return next.value;
}
