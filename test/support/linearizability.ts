/**
 * Decides whether a recorded history of concurrent operations could have happened one operation at a time, each between its call and its return:
 * the search of Wing and Gong in Lowe's form (a list of calls and returns from which what was put in order is taken out, and put back when that
 * leads nowhere), remembering every combination of "these are done" and "this is the state" so that none is tried twice.
 */
export interface Operation<Input, Output> {
  readonly process: string;
  readonly input: Input;
  /** Missing where nobody knows whether it happened: a time-out, a lost connection. Such an operation may take effect at any time after its call, or never. */
  readonly output?: Output;
  readonly call: number;
  /** Infinity where the outcome is unknown. */
  readonly return: number;
}

export interface Model<State, Input, Output> {
  readonly initial: State;
  /** The state after the operation, or null where it could not have answered so in this state. `output` is undefined for an unknown outcome: it took effect. */
  readonly step: (state: State, input: Input, output: Output | undefined) => State | null;
}

export interface Verdict<Input, Output> {
  readonly ok: boolean;
  /** Where it failed: the operations that were put in order on the longest way, and those of which none could come next. */
  readonly prefix: readonly Operation<Input, Output>[];
  readonly stuck: readonly Operation<Input, Output>[];
}

interface Node<Input, Output> {
  readonly operation: Operation<Input, Output>;
  readonly id: number;
  /** Null in the node of a return. */
  readonly match: Node<Input, Output> | null;
  next: Node<Input, Output> | null;
  previous: Node<Input, Output> | null;
}

/** States are compared by what `JSON.stringify` makes of them. */
export function checkLinearizable<State, Input, Output>(model: Model<State, Input, Output>, history: readonly Operation<Input, Output>[]): Verdict<Input, Output> {
  return new Search(model, history).run();
}

class Search<State, Input, Output> {
  private readonly head: Node<Input, Output>;
  private readonly done: Uint32Array;
  private readonly seen = new Set<string>();
  private readonly path: { readonly node: Node<Input, Output>; readonly state: State }[] = [];
  private known: number;
  private best: { prefix: Operation<Input, Output>[]; stuck: Operation<Input, Output>[] } = { prefix: [], stuck: [] };

  constructor(private readonly model: Model<State, Input, Output>, history: readonly Operation<Input, Output>[]) {
    this.head = linked(history);
    this.done = new Uint32Array(Math.ceil(history.length / 32));
    this.known = history.filter((operation) => operation.return !== Infinity).length;
  }

  run(): Verdict<Input, Output> {
    let state = this.model.initial;
    let node = this.head.next;
    // What is left when all known outcomes are in order may as well never have happened.
    while (this.known > 0) {
      const tried = node?.match ? this.tryNext(node, state) : null;
      if (tried) {
        state = tried.state;
        node = this.head.next;
      } else if (node?.match) node = node.next;
      else {
        // A return whose call could not be put in order: undo the last choice and try the one after it.
        this.remember();
        const last = this.path.pop();
        if (!last) return { ok: false, ...this.best };
        putBack(last.node);
        this.mark(last.node, -1);
        state = last.state;
        node = last.node.next;
      }
    }
    return { ok: true, prefix: this.path.map(({ node: { operation } }) => operation), stuck: [] };
  }

  private tryNext(node: Node<Input, Output>, state: State): { state: State } | null {
    const { input, output } = node.operation;
    const next = this.model.step(state, input, output);
    if (next === null) return null;
    this.mark(node, 1);
    const key = `${this.done.join()}|${JSON.stringify(next)}`;
    if (this.seen.has(key)) {
      this.mark(node, -1);
      return null;
    }
    this.seen.add(key);
    this.path.push({ node, state });
    takeOut(node);
    return { state: next };
  }

  private mark(node: Node<Input, Output>, by: 1 | -1): void {
    const word = node.id >> 5;
    this.done[word] = this.done[word]! ^ (1 << (node.id & 31));
    if (node.operation.return !== Infinity) this.known -= by;
  }

  private remember(): void {
    if (this.best.stuck.length > 0 && this.path.length <= this.best.prefix.length) return;
    const stuck: Operation<Input, Output>[] = [];
    for (let node = this.head.next; node?.match; node = node.next) stuck.push(node.operation);
    this.best = { prefix: this.path.map(({ node: { operation } }) => operation), stuck };
  }
}

/** Calls and returns in order of time, calls first where they are equal: such operations are concurrent. */
function linked<Input, Output>(history: readonly Operation<Input, Output>[]): Node<Input, Output> {
  const events = history.flatMap((operation, id) => {
    const returned: Node<Input, Output> = { operation, id, match: null, next: null, previous: null };
    const called: Node<Input, Output> = { operation, id, match: returned, next: null, previous: null };
    return [{ at: operation.call, order: 0, node: called }, { at: operation.return, order: 1, node: returned }];
  }).sort((a, b) => (a.at === b.at ? a.order - b.order : a.at - b.at));
  const head: Node<Input, Output> = { operation: history[0]!, id: -1, match: null, next: null, previous: null };
  let last = head;
  for (const { node } of events) {
    last.next = node;
    node.previous = last;
    last = node;
  }
  return head;
}

function takeOut<Input, Output>(node: Node<Input, Output>): void {
  for (const one of [node, node.match!]) {
    one.previous!.next = one.next;
    if (one.next) one.next.previous = one.previous;
  }
}

function putBack<Input, Output>(node: Node<Input, Output>): void {
  for (const one of [node.match!, node]) {
    one.previous!.next = one;
    if (one.next) one.next.previous = one;
  }
}

export type RegisterInput =
  | { readonly kind: 'read' }
  | { readonly kind: 'write'; readonly value: string }
  | { readonly kind: 'cas'; readonly old: string; readonly value: string };

/** Of a read: what was there. Of a write: true. Of a compare-and-set: whether it was done. */
export type RegisterOutput = string | boolean;
export type RegisterOperation = Operation<RegisterInput, RegisterOutput>;

/**
 * A register whose writes are all different. An unknown write that nobody saw is left out, as each one doubles the work; where it might be why a
 * compare-and-set was refused, that refusal counts as possible.
 */
export function checkRegister(history: readonly RegisterOperation[], initial: string): Verdict<RegisterInput, RegisterOutput> {
  const seen = new Set<string>(history.flatMap((operation) => {
    if (operation.input.kind === 'read' && typeof operation.output === 'string') return [operation.output];
    return operation.input.kind === 'cas' && operation.output === true ? [operation.input.old] : [];
  }));
  const open = (operation: RegisterOperation): boolean => operation.return === Infinity && operation.input.kind !== 'read' && !seen.has(operation.input.value);
  const firstOpen = Math.min(Infinity, ...history.filter(open).map((operation) => operation.call));
  const excused = new Set<RegisterInput>();
  const kept = history.filter((operation) => {
    if (open(operation) || (operation.input.kind === 'read' && operation.return === Infinity)) return false;
    if (operation.input.kind === 'cas' && operation.output === false && firstOpen < operation.return) excused.add(operation.input);
    return true;
  });
  return checkLinearizable({
    initial,
    step: (state, input, output) => {
      if (input.kind === 'read') return output === state ? state : null;
      if (input.kind === 'write') return input.value;
      if (output === false) return state !== input.old || excused.has(input) ? state : null;
      return state === input.old ? input.value : null;
    },
  }, kept);
}

export interface GrowingSet {
  /** `outcome`: true once acknowledged, false where it certainly did not happen, undefined where nobody knows. */
  readonly adds: readonly { readonly element: string; readonly outcome?: boolean; readonly call: number; readonly return: number }[];
  readonly lists: readonly { readonly elements: readonly string[]; readonly call: number; readonly return: number; readonly process: string }[];
}

/**
 * A set that only grows is linearizable exactly when every list holds what was acknowledged before it was asked for, nothing that was not yet tried,
 * nothing twice, and the lists, ordered by size, contain one another, none being smaller than one that was returned before it was asked for.
 * Returns sentences; none when all is well.
 */
export function checkGrowingSet({ adds, lists }: GrowingSet): string[] {
  const found: string[] = [];
  const byElement = new Map(adds.map((add) => [add.element, add]));
  const sets = lists.map((list) => ({ ...list, set: new Set(list.elements) }));
  for (const list of sets) {
    const who = `a list through ${list.process} at ${list.call.toFixed(0)}..${list.return.toFixed(0)}`;
    if (list.set.size !== list.elements.length) found.push(`${who} holds something twice`);
    for (const element of list.set) {
      const add = byElement.get(element);
      if (!add) found.push(`${who} holds ${element}, which nobody added`);
      else if (add.outcome === false) found.push(`${who} holds ${element}, which was refused`);
      else if (add.call > list.return) found.push(`${who} holds ${element} before it was added`);
    }
    for (const add of adds) {
      if (add.outcome === true && add.return < list.call && !list.set.has(add.element)) {
        found.push(`${who} lost ${add.element}, acknowledged at ${add.return.toFixed(0)}`);
      }
    }
  }
  const ordered = [...sets].sort((a, b) => a.set.size - b.set.size || a.call - b.call);
  for (const [index, larger] of ordered.entries()) {
    const smaller = ordered[index - 1];
    const missing = smaller ? [...smaller.set].find((element) => !larger.set.has(element)) : undefined;
    if (missing !== undefined) found.push(`of two lists, one has ${missing}, which the other, larger one lacks: at ${smaller!.call.toFixed(0)} and ${larger.call.toFixed(0)}`);
  }
  let most = { size: 0, process: '' };
  const byTime = sets.flatMap((list) => [{ at: list.call, list, returned: false }, { at: list.return, list, returned: true }]).sort((a, b) => a.at - b.at || Number(a.returned) - Number(b.returned));
  const floor = new Map<object, { size: number; process: string }>();
  for (const { list, returned } of byTime) {
    if (!returned) floor.set(list, most);
    else {
      const least = floor.get(list)!;
      if (list.set.size < least.size) found.push(`a list through ${list.process} at ${list.call.toFixed(0)} went back in time: ${list.set.size} elements after ${least.size} through ${least.process}`);
      if (list.set.size > most.size) most = { size: list.set.size, process: list.process };
    }
  }
  return found;
}
