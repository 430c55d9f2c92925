/** Digits of an index in a key, so that keys sort as their indexes do. */
const indexDigits = 16;

/** Where things of one history lie in etcd. Everything is below the incarnation, so that two histories never mix (hazards A2). */
export class LogKeys {
  constructor(readonly incarnation: string) {}

  get head(): Buffer { return this.key('head'); }
  get entries(): Buffer { return this.key('log/'); }
  entry(index: number): Buffer { return this.key(`log/${String(index).padStart(indexDigits, '0')}`); }
  /** Index of the oldest entry that is still there, text. */
  get floor(): Buffer { return this.key('floor'); }
  /** Members waiting for their turn to append, in order of creation. */
  get turns(): Buffer { return this.key('turn/'); }
  turn(memberId: number): Buffer { return this.key(`turn/${memberId}`); }
  /** What a member fetching a snapshot still needs: entries above this index. Leased. */
  get holds(): Buffer { return this.key('hold/'); }
  hold(memberId: number): Buffer { return this.key(`hold/${memberId}`); }
  /** Index up to which a member has its rows safely on disk. */
  get flushed(): Buffer { return this.key('flushed/'); }
  flushedOf(memberId: number): Buffer { return this.key(`flushed/${memberId}`); }

  /** There as long as the witness is one: what it reads where members read their rows. */
  witness(witnessId: number): Buffer { return this.key(`witness/${witnessId}`); }

  private key(text: string): Buffer {
    return Buffer.from(`${this.incarnation}/${text}`);
  }
}
