/** A schema change as SQL text only: no code, clock or random (hazards C6). Append-only; identified by the hash of `sql`. */
export interface Migration {
  /** 1, 2, 3, ...: the schema level reached after it. */
  readonly level: number;
  readonly sql: string;
}
