import type { Invocation } from '../../invocation.js';
import { url, type Server } from '../../server.js';
import { remoteCandidates, waitForCreation, type ImageView } from './image-source.js';

/** Lets a server fetch an image that another has just made, which does not keep it. */
export async function copyImage(invocation: Invocation, from: Server, to: Server, remote: string, fingerprint: string): Promise<void> {
  const image = await from.get<ImageView>(url(['images', fingerprint]));
  const candidates = await remoteCandidates(invocation, from, remote, image);
  await waitForCreation(invocation, to, (source) => to.api.call('POST', url(['images']), { body: { auto_update: false, properties: image.properties, public: image.public, source } }), { candidates, type: '' }, 'Copying the image');
  await invocation.run(from, 'DELETE', url(['images', fingerprint]));
}
