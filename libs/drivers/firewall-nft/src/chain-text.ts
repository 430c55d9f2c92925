/** A chain with its rules, as written into a script. */
export interface ChainText {
  readonly name: string;
  /** `type nat hook postrouting priority srcnat; policy accept;` of a base chain; empty for one that others jump to. */
  readonly hook: string;
  readonly rules: readonly string[];
}
