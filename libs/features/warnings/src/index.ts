export { WarningsModule } from './warnings.module.js';
export { WarningsWriter, type WarningReport, type WarningSubject } from './warnings-writer.js';
