export * from './file-image-store.js';
