import protobuf from 'protobufjs';
import { internal, messageOf } from '#kernel';

/** How a volume travels: numbers of the protocol. A disk as `blockAndRsync`: what it has of files goes by rsync, which for a custom volume is nothing. */
export const fsTypes = { rsync: 0, btrfs: 1, blockAndRsync: 4 } as const;

/** What nobody needs to keep in step for: the process state of an instance that does not run. */
export const criuNone = 2;

export interface WireIdmapEntry {
  readonly isuid: boolean;
  readonly isgid: boolean;
  readonly hostid: number;
  readonly nsid: number;
  readonly maprange: number;
}

export interface WirePair {
  readonly key: string;
  readonly value: string;
}

export interface WireDevice {
  readonly name: string;
  readonly config: readonly WirePair[];
}

/** A snapshot of an instance or of a custom volume; times in seconds. */
export interface WireSnapshot {
  readonly name: string;
  readonly localConfig: readonly WirePair[];
  readonly profiles: readonly string[];
  readonly ephemeral: boolean;
  readonly localDevices: readonly WireDevice[];
  readonly architecture: number;
  readonly stateful: boolean;
  readonly creationDate?: number;
  readonly lastUsedDate?: number;
  readonly expiryDate?: number;
}

export interface RsyncFeatures {
  readonly xattrs?: boolean;
  readonly delete?: boolean;
  readonly compress?: boolean;
  readonly bidirectional?: boolean;
}

export interface BtrfsFeatures {
  readonly migrationHeader?: boolean;
  readonly headerSubvolumes?: boolean;
  readonly headerSubvolumeUuids?: boolean;
}

/** The first message of both sides: what is offered, and what of it is taken. */
export interface MigrationHeader {
  readonly fs: number;
  readonly criu?: number;
  readonly idmap: readonly WireIdmapEntry[];
  readonly snapshotNames: readonly string[];
  readonly snapshots: readonly WireSnapshot[];
  readonly predump?: boolean;
  readonly rsyncFeatures?: RsyncFeatures;
  readonly refresh?: boolean;
  readonly volumeSize?: number;
  readonly btrfsFeatures?: BtrfsFeatures;
  readonly indexHeaderVersion?: number;
}

/** How it ended, for the other side. */
export interface MigrationControl {
  readonly success: boolean;
  readonly message?: string;
}

const field = (id: number, type: string, rule?: 'required' | 'repeated'): protobuf.IField => ({ id, type, ...(rule === undefined ? {} : { rule }) });
const flags = (...names: readonly string[]): protobuf.IType => ({ fields: Object.fromEntries(names.map((name, index) => [name, field(index + 1, 'bool')])) });

/** LXD's `migration` package; enumerations are plain numbers here. */
const messages = protobuf.Root.fromJSON({
  nested: {
    IdmapEntry: {
      fields: {
        isuid: field(1, 'bool', 'required'), isgid: field(2, 'bool', 'required'), hostid: field(3, 'int32', 'required'), nsid: field(4, 'int32', 'required'),
        maprange: field(5, 'int32', 'required'),
      },
    },
    Pair: { fields: { key: field(1, 'string', 'required'), value: field(2, 'string', 'required') } },
    Device: { fields: { name: field(1, 'string', 'required'), config: field(2, 'Pair', 'repeated') } },
    Snapshot: {
      fields: {
        name: field(1, 'string', 'required'), localConfig: field(2, 'Pair', 'repeated'), profiles: field(3, 'string', 'repeated'), ephemeral: field(4, 'bool', 'required'),
        localDevices: field(5, 'Device', 'repeated'), architecture: field(6, 'int32', 'required'), stateful: field(7, 'bool', 'required'),
        creationDate: field(8, 'int64'), lastUsedDate: field(9, 'int64'), expiryDate: field(10, 'int64'),
      },
    },
    RsyncFeatures: flags('xattrs', 'delete', 'compress', 'bidirectional'),
    BtrfsFeatures: flags('migrationHeader', 'headerSubvolumes', 'headerSubvolumeUuids'),
    Header: {
      fields: {
        fs: field(1, 'int32', 'required'), criu: field(2, 'int32'), idmap: field(3, 'IdmapEntry', 'repeated'), snapshotNames: field(4, 'string', 'repeated'),
        snapshots: field(5, 'Snapshot', 'repeated'), predump: field(7, 'bool'), rsyncFeatures: field(8, 'RsyncFeatures'), refresh: field(9, 'bool'),
        volumeSize: field(11, 'int64'), btrfsFeatures: field(12, 'BtrfsFeatures'), indexHeaderVersion: field(13, 'uint32'),
      },
    },
    Control: { fields: { success: field(1, 'bool', 'required'), message: field(2, 'string') } },
  },
});

function encode(name: string, value: object): Buffer {
  return Buffer.from(messages.lookupType(name).encode(value as Record<string, unknown>).finish());
}

function decode<T>(name: string, bytes: Uint8Array): T {
  try {
    const type = messages.lookupType(name);
    return type.toObject(type.decode(bytes), { longs: Number, arrays: true }) as T;
  } catch (error) {
    throw internal(`Failed reading a message of the migration: ${messageOf(error)}`);
  }
}

export function encodeHeader(header: MigrationHeader): Buffer {
  return encode('Header', header);
}

/** @throws `internal` for bytes that are no such message. */
export function decodeHeader(bytes: Uint8Array): MigrationHeader {
  return decode('Header', bytes);
}

export function encodeControl(control: MigrationControl): Buffer {
  return encode('Control', control);
}

/** @throws `internal` for bytes that are no such message. */
export function decodeControl(bytes: Uint8Array): MigrationControl {
  return decode('Control', bytes);
}
