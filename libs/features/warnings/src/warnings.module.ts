import { Module } from '@nestjs/common';
import { WarningRepository } from './warning.repository.js';
import { WarningsController } from './warnings.controller.js';
import { WarningsService } from './warnings.service.js';
import { WarningsWriter } from './warnings-writer.js';

@Module({ controllers: [WarningsController], providers: [WarningsService, WarningRepository, WarningsWriter], exports: [WarningsWriter] })
export class WarningsModule {}
