'use strict';
/**
 * Stands in for the network around a function: every TCP connection of its process is made only if the sandbox says that the
 * function can reach the other side. One that it can't reach is never made, as on AWS, where packets are dropped: the client
 * waits until it gives up, or until CONNECT_TIMEOUT. Part of the bootstrap of a function; plain JavaScript like it.
 *
 * @typedef {{ service: string } | { host: string, port: number }} Destination
 */
const http = require('node:http');
const net = require('node:net');

/** Real milliseconds until a connection ends with ETIMEDOUT. On AWS it takes some two minutes. */
const CONNECT_TIMEOUT = 300;
/** On the options of a connection that was asked about by the service that it is for. */
const ADMITTED = Symbol('admitted');
const LONG = 2 ** 31 - 1;

/** @type {Map<number, (admitted: boolean) => void>} */
const waiting = new Map();
let questions = 0;

/**
 * @param {(message: object) => void} send to the sandbox
 * @param {string} endpoint where all of AWS answers
 */
function guardConnections(send, endpoint) {
  /**
   * @param {Destination} to
   * @returns {Promise<boolean>}
   */
  const isAdmitted = (to) => {
    const id = ++questions;
    // Neither the channel nor a socket that is not connected yet keeps the process going.
    const going = setTimeout(() => undefined, LONG);
    return new Promise((resolve) => {
      waiting.set(id, (admitted) => {
        clearTimeout(going);
        resolve(admitted);
      });
      send({ kind: 'connect', id, to });
    });
  };
  guardSockets(isAdmitted);
  guardApiCalls(isAdmitted, new URL(endpoint));
}

/**
 * The sandbox's answer to a question.
 * @param {{ id: number, admitted: boolean }} message
 */
function connectionAnswered({ id, admitted }) {
  waiting.get(id)?.(admitted);
  waiting.delete(id);
}

/** @param {(to: Destination) => Promise<boolean>} isAdmitted */
function guardSockets(isAdmitted) {
  const connect = net.Socket.prototype.connect;
  /**
   * @this {net.Socket}
   * @param {any[]} args
   */
  const guarded = function (...args) {
    const options = optionsOf(args);
    if (options.path !== undefined || options[ADMITTED] === true) return Reflect.apply(connect, this, args);
    const { host = 'localhost' } = options;
    const port = Number(options.port);
    // A socket that was used before is made new by connecting.
    const isUsed = this.destroyed;
    if (!isUsed) beginsToConnect(this);
    void isAdmitted({ host, port }).then((admitted) => {
      if (this.destroyed && !isUsed) return;
      if (admitted) {
        try {
          Reflect.apply(connect, this, args);
        } catch (error) {
          this.destroy(/** @type {Error} */ (error));
        }
      } else dropped(this, host, port);
    });
    return this;
  };
  net.Socket.prototype.connect = /** @type {any} */ (guarded);
}

/**
 * All of AWS is at one address here, so that for what service a call is has to be read from its signature.
 * @param {(to: Destination) => Promise<boolean>} isAdmitted
 * @param {URL} endpoint
 */
function guardApiCalls(isAdmitted, endpoint) {
  const agent = /** @type {{ addRequest(request: any, options: any, ...rest: unknown[]): void }} */ (
    /** @type {unknown} */ (http.Agent.prototype)
  );
  const { addRequest } = agent;
  agent.addRequest = function (request, options, ...rest) {
    const service = serviceOf(request);
    const isApi = options.host === endpoint.hostname && Number(options.port) === Number(endpoint.port);
    if (!isApi || service === undefined) {
      Reflect.apply(addRequest, this, [request, options, ...rest]);
      return;
    }
    void isAdmitted({ service }).then((admitted) => {
      if (admitted) {
        Reflect.apply(addRequest, this, [request, { ...options, [ADMITTED]: true }, ...rest]);
        return;
      }
      const socket = new net.Socket();
      beginsToConnect(socket);
      socket.on('error', () => undefined);
      request.onSocket(socket);
      dropped(socket, options.host, Number(options.port));
    });
  };
}

/**
 * What is written is kept until it is connected.
 * @param {net.Socket} socket
 */
function beginsToConnect(socket) {
  Object.assign(socket, { connecting: true });
}

/**
 * @param {net.Socket} socket
 * @param {string} address
 * @param {number} port
 */
function dropped(socket, address, port) {
  const timer = setTimeout(() => {
    const error = new Error(`connect ETIMEDOUT ${address}:${port}`);
    socket.destroy(
      Object.assign(error, { errno: -110, code: 'ETIMEDOUT', syscall: 'connect', address, port }),
    );
  }, CONNECT_TIMEOUT);
  socket.once('close', () => clearTimeout(timer));
}

/**
 * The options of net.Socket.connect, which takes them in several forms.
 * @param {any[]} args
 * @returns {{ host?: string, port?: number | string, path?: string, [ADMITTED]?: boolean }}
 */
function optionsOf(args) {
  // What net.connect hands on: its own arguments, in one list.
  const [first, second] = Array.isArray(args[0]) ? args[0] : args;
  if (typeof first === 'object' && first !== null) return first;
  if (typeof first === 'string' && !/^\d+$/.test(first)) return { path: first };
  return { port: first, ...(typeof second === 'string' && { host: second }) };
}

/**
 * @param {{ getHeader(name: string): unknown, path: string }} request
 * @returns {string | undefined}
 */
function serviceOf(request) {
  const signature = `${request.getHeader('authorization') ?? ''} ${request.path.replace(/%2f/gi, '/')}`;
  return /Credential=[^\s,&]+\/([^/\s,&]+)\/aws4_request/.exec(signature)?.[1];
}

module.exports = { guardConnections, connectionAnswered };
