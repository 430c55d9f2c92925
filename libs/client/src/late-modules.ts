/**
 * Modules of Node that a connection to a local socket never needs, and that cost a short command a third of its time: asked for when they are used.
 */
export const tls = (): typeof import('node:tls') => process.getBuiltinModule('node:tls');
export const crypto = (): typeof import('node:crypto') => process.getBuiltinModule('node:crypto');
