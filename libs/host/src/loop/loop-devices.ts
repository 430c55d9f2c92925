import { open, readdir, readFile } from 'node:fs/promises';
import { errnoName, ioctl } from '../ioctl/ioctl.js';

const requests = { getFree: 0x4c82, configure: 0x4c0a, setCapacity: 0x4c07 } as const;
const flags = { autoclear: 4, directIo: 16 } as const;
const attempts = 20;

/** Loop devices that vanish with their last user (autoclear): unmounting is all the clean-up there is, also after a crash. */
export class LoopDevices {
  /**
   * Attaches a file and calls `use` with the device while it is held open. The device lives on only if `use` mounted it.
   * Direct I/O is asked for where the backing file system can do it, so that data is not cached twice.
   */
  async withDevice<T>(file: string, use: (device: string) => Promise<T>): Promise<T> {
    const backing = await open(file, 'r+');
    try {
      for (let attempt = 1; ; attempt++) {
        const device = await this.freeDevice();
        const handle = await open(device, 'r+');
        try {
          if (!(await this.attach(handle.fd, backing.fd, file, attempt))) continue;
          return await use(device);
        } finally {
          await handle.close();
        }
      }
    } finally {
      await backing.close();
    }
  }

  /** The device a file is attached to, if any. */
  async deviceOf(file: string): Promise<string | undefined> {
    for (const entry of await readdir('/sys/block')) {
      if (!entry.startsWith('loop')) continue;
      const backing = await readFile(`/sys/block/${entry}/loop/backing_file`, 'utf8').catch(() => '');
      if (backing.trimEnd() === file) return `/dev/${entry}`;
    }
    return undefined;
  }

  /** Makes a device notice that its file has grown. */
  async refreshCapacity(device: string): Promise<void> {
    const handle = await open(device, 'r+');
    try {
      await ioctl(handle.fd, requests.setCapacity, null, `Failed to resize "${device}"`);
    } finally {
      await handle.close();
    }
  }

  private async freeDevice(): Promise<string> {
    const control = await open('/dev/loop-control', 'r+');
    try {
      return `/dev/loop${await ioctl(control.fd, requests.getFree, null, 'Failed to find a free loop device')}`;
    } finally {
      await control.close();
    }
  }

  /** False when somebody else took the device between asking and attaching. */
  private async attach(deviceFd: number, fileFd: number, file: string, attempt: number): Promise<boolean> {
    for (const wanted of [flags.autoclear | flags.directIo, flags.autoclear]) {
      try {
        await ioctl(deviceFd, requests.configure, loopConfig(fileFd, file, wanted), `Failed to attach "${file}" to a loop device`);
        return true;
      } catch (error) {
        if (errnoName(error) === 'EBUSY' && attempt < attempts) return false;
        if (errnoName(error) !== 'EINVAL' || wanted === flags.autoclear) throw error;
      }
    }
    return false;
  }
}

/** `struct loop_config` of <linux/loop.h>: descriptor, block size, `loop_info64`. */
function loopConfig(fileFd: number, file: string, wanted: number): Buffer {
  const buffer = Buffer.alloc(304);
  buffer.writeUInt32LE(fileFd, 0);
  buffer.writeUInt32LE(wanted, 8 + 52);
  // Shown by losetup; the kernel keeps 63 bytes and sysfs the whole path.
  Buffer.from(file).copy(buffer, 8 + 56, 0, 63);
  return buffer;
}
