import { Module, type OnModuleInit } from '@nestjs/common';
import { LocalMember } from '#kernel';
import { ChangeFeed } from '#platform/database';
import { apiUrl } from '#platform/http';
import { ReconcileRunner } from '#platform/reconcile';
import { ClusterModule } from '#features/cluster';
import { ProjectsModule, ProjectUsage } from '#features/projects';
import { ServerConfig } from '#features/server';
import { StorageModule } from '#features/storage';
import { ImageAliasesController } from './api/image-aliases.controller.js';
import { ImageController } from './api/image.controller.js';
import { ImagesController } from './api/images.controller.js';
import { ImageAliasesRepository } from './data/image-aliases.repository.js';
import { ImagesRepository } from './data/images.repository.js';
import { ImageReceiver } from './files/image-receiver.js';
import { UploadArea } from './files/upload-area.js';
import { ImageAliasesService } from './image-aliases.service.js';
import { ImageDownloads } from './image-downloads.service.js';
import { ImageExchange } from './image-exchange.service.js';
import { ImageExports } from './image-exports.service.js';
import { ImageImports } from './image-imports.service.js';
import { ImageIntake } from './image-intake.service.js';
import { ImageJoin } from './image-join.participant.js';
import { ImageLibrary } from './image-library.js';
import { ImagePublishers } from './image-publishers.registry.js';
import { ImageReplicas } from './image-replicas.service.js';
import { ImageTokens } from './image-tokens.service.js';
import { ImageRefreshController } from './api/image-refresh.controller.js';
import { ImageUpdates } from './image-updates.service.js';
import { ImagesService } from './images.service.js';
import { ImageCleanupReconciler } from './reconcile/image-cleanup.reconciler.js';
import { ImageReplicasReconciler } from './reconcile/image-replicas.reconciler.js';
import { ImageUpdateReconciler } from './reconcile/image-update.reconciler.js';
import { ImageServers } from './remote/image-servers.js';

const minuteMs = 60_000;

/** Needs, besides what its imports give: Database, OperationsService, ReconcileRunner, EventBus, ServerConfig, ImageStore, StateDirectory, Logger. */
@Module({
  imports: [ProjectsModule, StorageModule, ClusterModule],
  // The aliases come first: their path would otherwise be taken for a fingerprint.
  controllers: [ImagesController, ImageAliasesController, ImageController, ImageRefreshController],
  providers: [
    ImagesRepository, ImageAliasesRepository, UploadArea, ImageReceiver, ImageLibrary, ImageServers, ImageDownloads, ImageTokens, ImagePublishers, ImageIntake, ImageImports,
    ImageExports, ImageUpdates, ImagesService, ImageAliasesService, ImageCleanupReconciler, ImageUpdateReconciler,
    ImageExchange, ImageReplicas, ImageReplicasReconciler, ImageJoin,
  ],
  exports: [ImagesService, ImageIntake, ImagePublishers, ImageExports],
})
export class ImagesModule implements OnModuleInit {
  constructor(
    private readonly area: UploadArea,
    private readonly runner: ReconcileRunner,
    private readonly cleanup: ImageCleanupReconciler,
    private readonly update: ImageUpdateReconciler,
    private readonly images: ImagesRepository,
    private readonly projects: ProjectUsage,
    private readonly replicas: ImageReplicasReconciler,
    private readonly feed: ChangeFeed,
    private readonly config: ServerConfig,
    private readonly member: LocalMember,
  ) {}

  async onModuleInit(): Promise<void> {
    this.projects.register('images', (sql, project) => this.images.fingerprintsIn(sql, project).map((one) => apiUrl(['1.0', 'images', one], project)));
    await this.area.prepare();
    // Not in the way of what is urgent after a start.
    this.runner.add(this.cleanup, { firstMs: minuteMs });
    this.runner.add(this.update, { firstMs: 2 * minuteMs });
    this.runner.add(this.replicas, { firstMs: minuteMs });
    const wake = (): void => void (this.member.clustered && this.runner.signal('image-replicas'));
    this.feed.subscribe(['images', 'images_nodes', 'nodes'], wake);
    this.config.onChange('cluster.images_minimal_replica', wake);
    this.feed.onReset(wake);
  }
}
