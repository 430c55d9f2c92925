export { LocalVolumeArchives, type LocalVolumeArchivesOptions } from './local-volume-archives.driver.js';
