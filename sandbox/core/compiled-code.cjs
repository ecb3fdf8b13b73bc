'use strict';
/**
 * Keeps V8's compiled code of a program in a file, so that the next process that runs the same program need not compile it
 * again: half of what it takes to start one. Node 22 can do this itself, Node 20 can't. Plain JavaScript, since it is loaded
 * by processes without a loader. Code is known by its text, so that what has changed is compiled anew.
 */
const crypto = require('node:crypto');
const fs = require('node:fs');
const Module = require('node:module');
const path = require('node:path');
const v8 = require('node:v8');
const vm = require('node:vm');

/** Compiling less than this many characters takes no longer than finding it here. */
const WORTHWHILE = 2_000;
/** How many programs are kept in a directory; the oldest goes first. */
const PROGRAMS = 100;

// In Node 20 code that was kept can't import: that is done from here. The name is as long, so that all positions stay.
const IMPORT = 'imp_rt';
const IMPORT_OF_BUILTIN = /(?<![.\w$])import\(("node:)/g;
const ANY_IMPORT = /(?<![.\w$])import\s*\(/;
const importBuiltin = (/** @type {string} */ name) => import(name);
const BEFORE = `(function (exports, require, module, __filename, __dirname, ${IMPORT}) { `;

/** @typedef {{ _compile(content: string, file: string, ...rest: unknown[]): unknown, exports: unknown, require: NodeJS.Require }} LoadedModule */

/** @param {string | Buffer} data */
const digest = (data) => crypto.createHash('sha1').update(data).digest();

/**
 * From now on CommonJS modules are compiled from what is kept in `file`.
 *
 * @param {string} file a name of the program; V8's version and flags are added to it
 * @returns {() => void} keeps what has been compiled by now, functions that were compiled as they were called included
 */
function keepCompiled(file) {
  const kept = `${file}-${v8.cachedDataVersionTag()}`;
  const known = read(kept);
  /** @type {Map<string, vm.Script>} */
  const compiled = new Map();
  /** @type {LoadedModule} */
  const prototype = /** @type {any} */ (Module).prototype;
  const compile = prototype._compile;

  /** @type {(this: LoadedModule, content: string, file: string, ...rest: unknown[]) => unknown} */
  prototype._compile = function (content, filename, ...rest) {
    const text = content.replace(/^#!.*/, '').replaceAll(IMPORT_OF_BUILTIN, `${IMPORT}($1`);
    if (text.length < WORTHWHILE || ANY_IMPORT.test(text))
      return compile.call(this, content, filename, ...rest);
    const key = digest(content).toString('hex');
    const cachedData = known.get(key);
    let script;
    try {
      script = new vm.Script(`${BEFORE}${text}\n});`, {
        filename,
        columnOffset: -BEFORE.length,
        ...(cachedData && { cachedData }),
      });
    } catch {
      // Node itself says best what is wrong, or loads it as what it is.
      return compile.call(this, content, filename, ...rest);
    }
    if (script.cachedDataRejected !== false) compiled.set(key, script);
    const require = Object.assign((/** @type {string} */ id) => this.require(id), {
      resolve: (/** @type {string} */ request, /** @type {object} */ options) =>
        /** @type {any} */ (Module)._resolveFilename(request, this, false, options),
      main: process.mainModule,
      extensions: /** @type {any} */ (Module)._extensions,
      cache: /** @type {any} */ (Module)._cache,
    });
    const run = script.runInThisContext();
    const directory = path.dirname(filename);
    return run.call(this.exports, this.exports, require, this, filename, directory, importBuiltin);
  };

  return () => {
    if (compiled.size === 0) return;
    for (const [key, script] of compiled) known.set(key, script.createCachedData());
    compiled.clear();
    write(kept, known);
  };
}

/**
 * What can't be read is compiled.
 * @param {string} file
 * @returns {Map<string, Buffer>}
 */
function read(file) {
  try {
    const content = fs.readFileSync(file);
    const data = content.subarray(20);
    // V8 takes what it is given: half a file would be the end of the process.
    if (digest(data).equals(content.subarray(0, 20))) return v8.deserialize(data);
  } catch {
    // There is none yet.
  }
  return new Map();
}

/**
 * Where it can't be kept, it is compiled again.
 * @param {string} file
 * @param {Map<string, Buffer>} known
 */
function write(file, known) {
  const directory = path.dirname(file);
  const half = `${file}.${process.pid}`;
  try {
    fs.mkdirSync(directory, { recursive: true });
  } catch {
    return;
  }
  try {
    const data = v8.serialize(known);
    fs.writeFileSync(half, Buffer.concat([digest(data), data]));
    fs.renameSync(half, file);
    const files = fs.readdirSync(directory).map((name) => path.join(directory, name));
    if (files.length <= PROGRAMS) return;
    const byAge = files.map((name) => ({ name, at: fs.statSync(name).mtimeMs })).sort((a, b) => b.at - a.at);
    for (const { name } of byAge.slice(PROGRAMS)) fs.rmSync(name, { force: true });
  } catch {
    fs.rmSync(half, { force: true });
  }
}

module.exports = { keepCompiled };
