import { Module } from '@nestjs/common';
import { TestWarningsController } from './test-warnings.controller.js';
import { TestWarnings } from './test-warnings.service.js';
import { WarningRepository } from './warning.repository.js';
import { WarningsController } from './warnings.controller.js';
import { WarningsService } from './warnings.service.js';
import { WarningsWriter } from './warnings-writer.js';

@Module({ controllers: [WarningsController, TestWarningsController], providers: [TestWarnings, WarningsService, WarningRepository, WarningsWriter], exports: [WarningsWriter] })
export class WarningsModule {}
