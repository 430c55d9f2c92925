export { ImagesModule } from './images.module.js';
export { ImageIntake, type PublishedImage } from './image-intake.service.js';
export { ImagePublishers, type InstanceSourceKind } from './image-publishers.registry.js';
export { ImageExports } from './image-exports.service.js';
export { ImagesService, type LocalImageReference } from './images.service.js';
export type { DownloadWatch, EnsureOptions, RemoteImageSource } from './image-downloads.service.js';
export type { ImageRow, ImageType } from './data/images.repository.js';
