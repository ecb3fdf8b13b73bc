import type { IncomingHttpHeaders } from 'node:http';
import { ApiError, type Output } from '../core/api';
import type { OperationModel, ServiceModel } from './model';

/** An HTTP request whose body has arrived. */
export interface WireRequest {
  readonly method: string;
  /** Still percent-encoded, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface WireReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

/** An error as it goes onto the wire. */
export interface WireError {
  /** The SDK's name for it. */
  readonly name: string;
  /** What the query protocol calls it. */
  readonly queryCode: string;
  readonly message: string;
  readonly status: number;
  /** Further members of the error's shape, and the member that carries the message. */
  readonly members: Readonly<Record<string, unknown>>;
  readonly messageMember: string;
}

/** One of AWS's ways to write calls as HTTP. */
export interface Protocol {
  /** The operation asked for, or undefined where the request names none that the model has. */
  operationOf(request: WireRequest, model: ServiceModel): OperationModel | undefined;
  /** What the request calls its operation, for the refusal of one that the model does not have. */
  nameOf(request: WireRequest): string;
  /** @throws {ApiError} as AWS does, for input that does not follow the model */
  readInput(request: WireRequest, operation: OperationModel, model: ServiceModel): Record<string, unknown>;
  /** @throws {BadOutput} when a service answers with what its model does not have */
  writeOutput(output: Output, operation: OperationModel, model: ServiceModel, requestId: string): WireReply;
  writeError(error: WireError, model: ServiceModel, requestId: string): WireReply;
}

/** A service of the sandbox answered with something that its model does not allow: a mistake in the sandbox. */
export class BadOutput extends Error {
  override readonly name = 'BadOutput';
}

/** AWS lets unknown members pass in silence; the sandbox does not, since they are misspelt ones. */
export function unknownMember(
  code: string,
  member: string,
  structure: string,
  known: Iterable<string>,
): ApiError {
  return new ApiError(
    code,
    `Unknown member "${member}" in ${structure}. AWS may ignore it; the sandbox refuses it, since it has no effect. ` +
      `Known: ${[...known].join(', ')}.`,
  );
}

/** AWS's sentence for members that must be given and are not; `paths` as in `tags.1.member.key`. */
export function missingMembers(code: string, paths: readonly string[]): ApiError {
  const count = paths.length === 1 ? '1 validation error' : `${paths.length} validation errors`;
  const each = paths.map(
    (path) => `Value null at '${path}' failed to satisfy constraint: Member must not be null`,
  );
  return new ApiError(code, `${count} detected: ${each.join('; ')}`);
}

/** The name of a member as AWS's validation messages spell it. */
export function inMessage(path: readonly (string | number)[]): string {
  return path
    .map((part) =>
      typeof part === 'number' ? `${part}.member` : part.charAt(0).toLowerCase() + part.slice(1),
    )
    .join('.');
}
