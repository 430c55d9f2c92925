import { Module } from '@nestjs/common';
import { WarningRepository } from './warning.repository.js';
import { WarningsController } from './warnings.controller.js';
import { WarningsService } from './warnings.service.js';

@Module({ controllers: [WarningsController], providers: [WarningsService, WarningRepository] })
export class WarningsModule {}
