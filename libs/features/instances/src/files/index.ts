import { InstanceFilesService } from './instance-files.service.js';
import { InstanceFileSessions } from './instance-file-sessions.js';
import { InstanceSftp } from './instance-sftp.service.js';

export const fileProviders = [InstanceFileSessions, InstanceFilesService, InstanceSftp];
