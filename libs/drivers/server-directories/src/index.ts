export { LocalServerDirectories, type LocalServerDirectoriesOptions } from './local-server-directories.driver.js';
