import { chmod, chown, copyFile, lstat, mkdir, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import { forbidden, internal, invalid, Mutex, type Logger, type StateDirectory } from '#kernel';
import { errnoName, ImageUnpacker, type CommandRunner } from '#host';
import { ImageStore, type ImageInspection } from '#ports';

export interface FileImageStoreOptions {
  readonly state: StateDirectory;
  readonly command: CommandRunner;
  readonly logger: Logger;
}

const fingerprintPattern = /^[0-9a-f]{64}$/;

/**
 * Image files below `images/`. The directory is root's; files come from `uploads/`, which the daemon may write, so what is taken over
 * must be a plain file with a single name inside it: a link could make root hand out, or change, any file of the host (hazards E4).
 * The daemon's group may read images, for it sends them out.
 */
export class FileImageStore extends ImageStore {
  /** Image files come and go under it. */
  readonly lock = new Mutex();
  private readonly state: StateDirectory;
  private readonly unpacker: ImageUnpacker;

  constructor(options: FileImageStoreOptions) {
    super();
    this.state = options.state;
    this.unpacker = new ImageUnpacker(options.command);
  }

  override async inspectImage(metaPath: string, rootfsPath: string): Promise<ImageInspection> {
    await this.requireReadable(metaPath);
    if (rootfsPath !== '') await this.requireReadable(rootfsPath);
    const metadataYaml = await this.unpacker.readMetadata(metaPath);
    const disk = rootfsPath !== '' && (await this.unpacker.rootfsFormat(rootfsPath)) === 'qcow2';
    return { metadataYaml, type: disk ? 'virtual-machine' : 'container' };
  }

  override adoptImage(fingerprint: string, metaPath: string, rootfsPath: string): Promise<void> {
    return this.lock.run(() => this.take(fingerprint, metaPath, rootfsPath));
  }

  override async removeImage(fingerprint: string): Promise<void> {
    const target = this.path(fingerprint);
    await this.lock.run(async () => {
      await rm(target, { force: true });
      await rm(`${target}.rootfs`, { force: true });
    });
  }

  private async take(fingerprint: string, metaPath: string, rootfsPath: string): Promise<void> {
    const target = this.path(fingerprint);
    const gid = await this.daemonGroup();
    await mkdir(this.state.images, { recursive: true, mode: 0o700 });
    await chown(this.state.images, 0, gid);
    await chmod(this.state.images, gid === 0 ? 0o700 : 0o710);
    // The metadata comes last: its presence means the image is whole.
    if (rootfsPath !== '') await this.adopt(rootfsPath, `${target}.rootfs`, gid);
    else await rm(`${target}.rootfs`, { force: true });
    await this.adopt(metaPath, target, gid);
  }

  override async listImages(): Promise<string[]> {
    const names = await readdir(this.state.images).catch((error: unknown) => {
      if (errnoName(error) === 'ENOENT') return [];
      throw error;
    });
    return names.filter((name) => fingerprintPattern.test(name));
  }

  private path(fingerprint: string): string {
    if (!fingerprintPattern.test(fingerprint)) throw invalid(`Invalid image fingerprint "${fingerprint}"`);
    return `${this.state.images}/${fingerprint}`;
  }

  private async adopt(from: string, to: string, gid: number): Promise<void> {
    const source = await lstat(from).catch(() => undefined);
    if (source === undefined && (await lstat(to).catch(() => undefined)) !== undefined) return;
    await this.requireUpload(from);
    const taken = `${to}.new`;
    await rm(taken, { force: true });
    await rename(from, taken).catch(async (error: unknown) => {
      if (errnoName(error) !== 'EXDEV') throw error;
      await copyFile(from, taken);
      await rm(from, { force: true });
    });
    // Only now is the name out of the daemon's reach, so only now is the check final.
    const found = await lstat(taken);
    if (!found.isFile() || found.nlink !== 1) {
      await rm(taken, { force: true });
      throw forbidden(`"${from}" is not a plain file`);
    }
    await chown(taken, 0, gid);
    await chmod(taken, gid === 0 ? 0o600 : 0o640);
    await rename(taken, to);
  }

  private async requireUpload(path: string): Promise<void> {
    const directory = await realpath(this.state.uploads);
    const name = path.slice(path.lastIndexOf('/') + 1);
    const parent = await realpath(path.slice(0, path.length - name.length) || '/').catch(() => '');
    if (parent !== directory && !parent.startsWith(`${directory}/`)) throw forbidden(`"${path}" is not below "${this.state.uploads}"`);
  }

  private async requireReadable(path: string): Promise<void> {
    const found = await lstat(path).catch(() => undefined);
    if (found === undefined) throw invalid(`Image file "${path}" does not exist`);
    if (!found.isFile()) throw forbidden(`"${path}" is not a plain file`);
    if (!path.startsWith(`${this.state.images}/`)) await this.requireUpload(path);
  }

  /** The group that owns `uploads/` is the daemon's. */
  private async daemonGroup(): Promise<number> {
    const found = await stat(this.state.uploads).catch((error: unknown) => {
      throw internal(`The upload directory "${this.state.uploads}" cannot be read`, { cause: error });
    });
    return found.gid;
  }
}
