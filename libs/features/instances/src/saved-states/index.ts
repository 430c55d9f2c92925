import { LiveMoves } from './live-moves.service.js';
import { SavedStates } from './saved-states.service.js';

/** Instances whose running state is kept. */
export const savedStateProviders = [SavedStates, LiveMoves];
