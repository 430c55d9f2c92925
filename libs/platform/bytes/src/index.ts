export { ByteIntake } from './byte-intake.js';
export { IntakeStream } from './intake-stream.js';
export { recycle } from './slabs.js';
