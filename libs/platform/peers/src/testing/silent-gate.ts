import { connect, createServer, type Server, type Socket } from 'node:net';

/** Stands between a member and the others, and can go silent: connections stay, nothing passes any more, as when a machine loses its power. */
export class SilentGate {
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();
  private silent = false;

  constructor(target: { readonly host: string; readonly port: number }) {
    this.server = createServer((inner) => {
      const outer = connect(target);
      for (const [from, to] of [[inner, outer], [outer, inner]] as const) {
        this.sockets.add(from);
        from.on('data', (chunk) => void (this.silent || to.write(chunk)));
        from.on('error', () => from.destroy());
        from.once('close', () => {
          this.sockets.delete(from);
          if (!this.silent) to.destroy();
        });
      }
    });
  }

  listen(host: string, port: number): Promise<void> {
    return new Promise((resolve) => this.server.listen(port, host, resolve));
  }

  fallSilent(): void {
    this.silent = true;
  }

  /** New connections pass; those that went silent are gone. */
  speak(): void {
    for (const socket of this.sockets) socket.destroy();
    this.silent = false;
  }

  close(): void {
    this.silent = false;
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
  }
}
