import { CopiedRows } from './copied-rows.js';
import { copyVolume } from './copy-volume.operation.js';
import { CustomVolumeCopies } from './custom-volume-copies.service.js';
import { moveVolume } from './move-volume.operation.js';
import { refreshVolume } from './refresh-volume.operation.js';
import { VolumeCopies } from './volume-copies.js';
import { VolumeFetch } from './volume-fetch.service.js';

/** What the module of storage takes up for copies and moves of custom volumes. */
export const volumeCopyProviders = [CopiedRows, CustomVolumeCopies, VolumeCopies, VolumeFetch];
export const volumeCopyOperations = [copyVolume, moveVolume, refreshVolume] as const;
