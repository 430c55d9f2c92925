import { Global, Module } from '@nestjs/common';
import { ReconcileRunner } from './reconcile-runner.js';

/** Global: one runner for the reconcilers of all features. */
@Global()
@Module({ providers: [ReconcileRunner], exports: [ReconcileRunner] })
export class ReconcileModule {}
