import { key, KeyGroup } from '../key.js';

/** Properties of images have no fixed names; these are the ones the server itself reads. */
export const imagePropertyKeys = new KeyGroup('image', {
  'requirements.secureboot': key.string({ short: 'Set to `false` when the image does not start with secure boot' }),
  'requirements.cgroup': key.string({ short: 'Set to `v1` when the image needs the first version of control groups' }),
}, { '': key.string({ short: 'Anything that describes the image' }) });
