import { GuestAnswers } from './guest-answers.js';
import { GuestApi } from './guest-api.service.js';
import { GuestEvents } from './guest-events.js';
import { GuestImages } from './guest-images.js';

export { GuestApi, GuestEvents };
export const guestProviders = [GuestApi, GuestAnswers, GuestEvents, GuestImages];
