import { bool, group, type Command } from '../grammar/command.js';
import { beyondCommands } from './beyond/beyond.commands.js';
import { clusterCommand } from './cluster/cluster.commands.js';
import { configCommand, profileCommand, projectCommand } from './config/config.commands.js';
import { imageCommand } from './images/images.commands.js';
import { instanceCommands } from './instances/instances.commands.js';
import { networkCommand } from './networks/networks.commands.js';
import { serverCommands } from './server/server.commands.js';
import { storageCommand } from './storage/storage.commands.js';

/** Every command there is. What a command does is loaded when it is called. */
export const tree: Command = group('roost', 'Manage containers, virtual machines and all they need', [
  ...instanceCommands, configCommand, profileCommand, projectCommand, imageCommand, networkCommand, storageCommand, clusterCommand, ...serverCommands, ...beyondCommands,
], { flags: [bool('all', 'Also commands seldom needed')], details: 'Each command explains itself with --help.' });
