export { LinuxHostInfo, type LinuxHostInfoOptions } from './host-info.driver.js';
