export { OperationsApiModule } from './operations-api.module.js';
