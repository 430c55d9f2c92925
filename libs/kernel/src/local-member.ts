/**
 * Which member of the cluster this process is. One object for the life of the process; `cluster enable`, join, rename and removal change it in
 * place, so keep the object and not its fields.
 */
export class LocalMember {
  /** `nodes.id`: 1 on a member that stands alone, and on the one that bootstrapped a cluster. */
  id = 1;
  /** `nodes.name`; `none` as long as the member stands alone, as LXD calls it. */
  name = 'none';
  clustered = false;

  /** What `location` shows: the member's name, `none` outside a cluster. */
  get location(): string {
    return this.clustered ? this.name : 'none';
  }
}
