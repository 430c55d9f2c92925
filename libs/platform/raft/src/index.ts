export { ReplicatedLog, type AppendResult, type LevelPayload, type LogEntry, type LogHead } from './log/replicated-log.js';
