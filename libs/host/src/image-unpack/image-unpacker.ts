import { lstat, mkdir, stat } from 'node:fs/promises';
import { invalid, notFound } from '#kernel';
import type { CommandRunner } from '../command.js';
import { closeVolume } from '../pool-directories/pool-directories.js';
import { Squashfs } from '../squashfs/squashfs.js';
import { Tar } from '../tar/tar.js';
import { imageFormatOfFile, type ImageFormat } from './image-format.js';

export interface ImageFiles {
  /** Unified image, or the metadata part of a split one. */
  readonly metaPath: string;
  /** Root file system of a split image; empty for a unified one. */
  readonly rootfsPath: string;
}

/** Looks into container images and unpacks them, whatever of the supported formats they are in. */
export class ImageUnpacker {
  private readonly tar: Tar;
  private readonly squashfs: Squashfs;

  constructor(command: CommandRunner) {
    this.tar = new Tar(command);
    this.squashfs = new Squashfs(command);
  }

  /** Files of an image in the image directory. `not-found` if it is not there. */
  async filesOf(imagesDirectory: string, fingerprint: string): Promise<ImageFiles> {
    const metaPath = `${imagesDirectory}/${fingerprint}`;
    const exists = (path: string): Promise<boolean> => stat(path).then((found) => found.isFile(), () => false);
    if (!(await exists(metaPath))) throw notFound(`Image "${fingerprint}" is not stored on this host`);
    return { metaPath, rootfsPath: (await exists(`${metaPath}.rootfs`)) ? `${metaPath}.rootfs` : '' };
  }

  /** `metadata.yaml` as text. `invalid` with LXD's wording if the file is no image. */
  async readMetadata(metaPath: string): Promise<string> {
    const format = await this.formatOf(metaPath);
    const text = format === 'squashfs'
      ? await this.squashfs.readMember({ file: metaPath, name: 'metadata.yaml' })
      : await this.tar.readMember({ file: metaPath, compression: tarOf(format), name: 'metadata.yaml' });
    if (text === undefined || text === '') throw invalid('Metadata tarball is missing metadata.yaml');
    return text;
  }

  async rootfsFormat(rootfsPath: string): Promise<ImageFormat> {
    return this.formatOf(rootfsPath);
  }

  /**
   * Fills an empty directory with `metadata.yaml`, `templates/` and `rootfs/`, and closes it to others. What the image holds is not trusted: afterwards the
   * parts the host itself will open are real files and directories, or it throws `invalid`.
   */
  async unpack(files: ImageFiles, into: string, signal?: AbortSignal): Promise<void> {
    const rootfs = `${into}/rootfs`;
    if (files.rootfsPath === '') {
      await this.unpackFile(files.metaPath, into, [], signal);
      await closeVolume(into, 0o700);
    } else {
      await this.unpackFile(files.metaPath, into, ['rootfs', './rootfs'], signal);
      await closeVolume(into, 0o700);
      await requireDirectory(rootfs, true);
      await mkdir(rootfs, { mode: 0o755 });
      await this.unpackFile(files.rootfsPath, rootfs, [], signal);
    }
    await requireDirectory(rootfs, false);
    await requireDirectory(`${into}/templates`, true);
    const metadata = await lstat(`${into}/metadata.yaml`).catch(() => undefined);
    if (metadata?.isFile() !== true || metadata.nlink !== 1) throw invalid('Image metadata is not a regular file');
  }

  private async unpackFile(file: string, into: string, exclude: readonly string[], signal?: AbortSignal): Promise<void> {
    const format = await this.formatOf(file);
    if (format === 'squashfs') await this.squashfs.unpack({ file, into, signal });
    else await this.tar.unpack({ file, compression: tarOf(format), into, exclude, signal });
  }

  private async formatOf(path: string): Promise<ImageFormat> {
    const format = await imageFormatOfFile(path);
    if (format === undefined) throw invalid('Unsupported compression');
    return format;
  }
}

function tarOf(format: ImageFormat): Exclude<ImageFormat, 'squashfs' | 'qcow2'> {
  if (format === 'squashfs' || format === 'qcow2') throw invalid('Unsupported compression');
  return format;
}

async function requireDirectory(path: string, mayBeAbsent: boolean): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined && mayBeAbsent) return;
  if (found?.isDirectory() !== true) throw invalid(`Image has no directory "${path.slice(path.lastIndexOf('/') + 1)}"`);
}
