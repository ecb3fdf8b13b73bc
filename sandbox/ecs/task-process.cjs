'use strict';
// Runs the command of a task's container and ends it with the sandbox, however that ends: standard input is a pipe from the
// sandbox that closes with it. Plain JavaScript, since it runs in a Node.js of its own without a loader.
const childProcess = require('node:child_process');

const [program, ...parameters] = process.argv.slice(2);
const child = childProcess.spawn(program ?? '', parameters, { stdio: ['ignore', 'inherit', 'inherit'] });
const end = () => child.kill('SIGKILL');
process.stdin.on('end', end).on('close', end).on('error', end).resume();
process.on('SIGTERM', () => child.kill('SIGTERM'));
child.on('error', () => process.exit(127));
child.on('exit', (code) => process.exit(code ?? 137));
