import { Module } from '@nestjs/common';
import { OperationViews } from './operation-views.service.js';
import { OperationsController } from './operations.controller.js';

/** `/1.0/operations`; what runs them is platform/operations. */
@Module({ controllers: [OperationsController], providers: [OperationViews] })
export class OperationsApiModule {}
