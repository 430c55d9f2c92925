import { Module } from '@nestjs/common';
import { OperationViews } from './operation-views.service.js';
import { HistoryController } from './history.controller.js';
import { OperationsController } from './operations.controller.js';

/** `/1.0/operations` and what became of them; what runs them is platform/operations. */
@Module({ controllers: [OperationsController, HistoryController], providers: [OperationViews] })
export class OperationsApiModule {}
