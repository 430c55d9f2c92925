/** What is left of a slab is not worth a read when it is less. */
const smallestReadBytes = 16 * 1024;
/** Those who pass on little never need more than the first. */
const firstSlabBytes = 64 * 1024;
/** A pipe holds up to a mebibyte. */
const slabBytes = 1024 * 1024;
const keptSlabs = 4;

interface Slab {
  readonly bytes: Buffer;
  filled: number;
  /** Up to where it was cut into pieces. */
  cut: number;
  /** Pieces that somebody still looks at. */
  pending: number;
}

/** Whose memory a piece is. */
const owners = new WeakMap<ArrayBufferLike, () => void>();

/**
 * Says that nobody looks at these bytes any more, so that what they lie in may be filled again. Once for each piece; nothing for bytes of any other origin. A piece
 * that is never given back costs its memory until it is collected, nothing else.
 */
export function recycle(piece: Uint8Array): void {
  owners.get(piece.buffer)?.();
}

/**
 * Memory for bytes on their way through this process: filled from the front, cut into pieces, filled again when all pieces were given back. A buffer per
 * read instead keeps the collector, which runs for every 20 MB of them, busier than the bytes themselves.
 */
export class Slabs {
  private slab = this.make(firstSlabBytes);
  private readonly free: Slab[] = [];

  /** Filled and not cut yet, in bytes. */
  get uncut(): number {
    return this.slab.filled - this.slab.cut;
  }

  /** Where the next bytes go: at least 16 KiB. Cut before what was filled when the slab is to change, which `isFull` tells. */
  room(): Buffer {
    if (this.isFull) {
      const full = this.slab;
      this.slab = this.free.pop() ?? this.make(slabBytes);
      this.settle(full);
    }
    return this.slab.bytes.subarray(this.slab.filled);
  }

  get isFull(): boolean {
    return this.slab.bytes.length - this.slab.filled < smallestReadBytes;
  }

  fill(count: number): void {
    this.slab.filled += count;
  }

  /** What was filled since the last cut; undefined when that is nothing. */
  cut(): Buffer | undefined {
    const { slab } = this;
    if (slab.filled === slab.cut) return undefined;
    const piece = slab.bytes.subarray(slab.cut, slab.filled);
    slab.cut = slab.filled;
    slab.pending++;
    return piece;
  }

  private make(size: number): Slab {
    const slab: Slab = { bytes: Buffer.allocUnsafeSlow(size), filled: 0, cut: 0, pending: 0 };
    owners.set(slab.bytes.buffer, () => {
      slab.pending--;
      this.settle(slab);
    });
    return slab;
  }

  private settle(slab: Slab): void {
    if (slab === this.slab || slab.pending > 0 || slab.bytes.length < slabBytes || this.free.length >= keptSlabs || this.free.includes(slab)) return;
    slab.filled = 0;
    slab.cut = 0;
    this.free.push(slab);
  }
}
