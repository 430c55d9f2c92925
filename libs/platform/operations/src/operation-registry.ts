import { Injectable } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { assert, internal } from '#kernel';
import type { OperationDefinition } from './operation-definition.js';
import type { Step } from './step.js';

/** A definition with its steps taken from the container. */
export interface RegisteredOperation {
  readonly definition: OperationDefinition<unknown>;
  readonly steps: readonly Step<unknown, unknown>[];
}

/** All kinds of operation this member knows. Modules register theirs in `onModuleInit`. */
@Injectable()
export class OperationRegistry {
  private readonly known = new Map<string, RegisteredOperation>();
  private readonly newest = new Map<string, RegisteredOperation>();

  constructor(private readonly modules: ModuleRef) {}

  /** Steps must be providers of some module; a missing one, or one of an unclear name, stops the start. */
  register<P>(definition: OperationDefinition<P>): void {
    const steps = definition.steps.map((type) => this.modules.get<Step<P, unknown>>(type as never, { strict: false }));
    this.add(definition, steps);
  }

  /** For tests and other callers without a container. */
  add<P>(definition: OperationDefinition<P>, steps: readonly Step<P, unknown>[]): void {
    const id = `${definition.kind}/${definition.version}`;
    assert(!this.known.has(id), `operation ${id} is registered twice`);
    const names = new Set(steps.map((step) => step.name));
    assert(names.size === steps.length && !names.has(''), `steps of operation ${id} need names of their own`);
    const entry = { definition, steps } as unknown as RegisteredOperation;
    this.known.set(id, entry);
    const newest = this.newest.get(definition.kind);
    if (newest === undefined || newest.definition.version < definition.version) this.newest.set(definition.kind, entry);
  }

  /** The exact version a row names, or undefined: such a row is parked. */
  find(kind: string, version: number): RegisteredOperation | undefined {
    return this.known.get(`${kind}/${version}`);
  }

  /** The version new operations are written in. */
  current(kind: string): RegisteredOperation {
    const entry = this.newest.get(kind);
    if (entry === undefined) throw internal(`No operation of kind "${kind}" is registered`);
    return entry;
  }
}
