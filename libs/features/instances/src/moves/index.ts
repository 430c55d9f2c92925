import { InstanceMoves } from '../instance-moves.js';
import { VolumePull } from '../transfers/volume-pull.service.js';
import { VolumeSource } from '../transfers/volume-source.service.js';
import { ArrivingInstance } from './arriving-instance.js';
import { discardInstance } from './discard-instance.operation.js';
import { InstanceLeaving } from './instance-leaving.js';
import { MoveRequests } from './move-requests.service.js';
import { MemberMoves } from './member-moves.service.js';
import { moveInstance } from './move-instance.operation.js';
import { relocateInstance } from './relocate-instance.operation.js';

/** What the module of instances takes up for moves between members. */
export const moveProviders = [VolumePull, VolumeSource, InstanceLeaving, MemberMoves, MoveRequests, ArrivingInstance, { provide: InstanceMoves, useExisting: MemberMoves }];
export const moveOperations = [moveInstance, discardInstance, relocateInstance] as const;
