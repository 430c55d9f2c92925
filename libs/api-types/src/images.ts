import { z } from 'zod';

/** Go's zero time: what LXD sends for "never". */
export const zeroTime = '0001-01-01T00:00:00Z';

/** Go decodes `null` to the zero value of a field; so do these. */
const text = z.string().nullish().transform((v) => v ?? '');
const flag = z.boolean().nullish().transform((v) => v ?? false);
const textMap = z.record(z.string(), z.string()).nullish().transform((v) => v ?? null);
/** Null means "not given", which differs from the empty list. */
const textList = z.array(z.string()).nullish().transform((v) => v ?? null);
/** RFC 3339, looked at where it is used; null and absent are Go's zero time. */
const time = z.string().meta({ goType: 'time.Time' }).nullish().transform((v) => v ?? zeroTime);

/** An alias as shown inside an image. */
export const imageAlias = z.object({ name: text, description: text }).meta({ title: 'ImageAlias' });
export type ImageAlias = z.infer<typeof imageAlias>;

/** What a client may change of an image. `expires_at` of zero and `profiles` of null leave the present values. */
export const imagePut = z.object({
  auto_update: flag,
  properties: textMap,
  public: flag,
  expires_at: time,
  profiles: textList,
}).meta({ title: 'ImagePut' });
export type ImagePut = z.infer<typeof imagePut>;

/** PATCH: absent fields stay. `properties` are merged key by key; `profiles` and `expires_at` are accepted and ignored, as in LXD 5.0.2. */
export const imagePatch = z.object({
  auto_update: z.boolean().nullish(),
  properties: textMap,
  public: z.boolean().nullish(),
  expires_at: time,
  profiles: textList,
}).meta({ title: 'ImagePut', goType: 'shared.Jmap' });
export type ImagePatch = z.infer<typeof imagePatch>;

/** Where an image is updated from. */
export const imageSource = z.object({
  /** Example: `jammy` */
  alias: text,
  /** PEM, when the server is not trusted by the system's authorities. */
  certificate: text,
  /** `lxd` or `simplestreams`. */
  protocol: text,
  /** Example: `https://images.linuxcontainers.org` */
  server: text,
  /** `container` or `virtual-machine`; empty: any. */
  image_type: text,
}).meta({ title: 'ImageSource' });
export type ImageSource = z.infer<typeof imageSource>;

export const imagesPostSource = imageSource.extend({
  /** `pull` or `push`. */
  mode: text,
  /** `instance`, `snapshot`, `image` or `url`; `container` and `virtual-machine` mean instance. */
  type: text,
  url: text,
  /** Name of the instance or of `instance/snapshot`. */
  name: text,
  fingerprint: text,
  secret: text,
  project: text,
}).meta({ title: 'ImagesPostSource' });
export type ImagesPostSource = z.infer<typeof imagesPostSource>;

/** Body of `POST /1.0/images` when it is JSON. */
export const imagesPost = imagePut.extend({
  source: imagesPostSource.nullish().transform((v) => v ?? null),
  compression_algorithm: text,
  aliases: z.array(imageAlias).nullish().transform((v) => v ?? null),
  filename: text,
}).meta({ title: 'ImagesPost' });
export type ImagesPost = z.infer<typeof imagesPost>;

/** Body of `POST /1.0/images/{fingerprint}/export`: push the image to another server. */
export const imageExportPost = z.object({
  target: text,
  secret: text,
  certificate: text,
  aliases: z.array(imageAlias).nullish().transform((v) => v ?? null),
  project: text,
  profiles: textList,
}).meta({ title: 'ImageExportPost' });
export type ImageExportPost = z.infer<typeof imageExportPost>;

export const imageAliasesEntryPut = z.object({ description: text, target: text }).meta({ title: 'ImageAliasesEntryPut' });
export type ImageAliasesEntryPut = z.infer<typeof imageAliasesEntryPut>;

/** PATCH of an alias: fields are looked at one by one. */
export const imageAliasesEntryPatch = z.record(z.string(), z.unknown()).meta({ goType: 'shared.Jmap' }).nullable().transform((value) => value ?? {});

export const imageAliasesPost = imageAliasesEntryPut.extend({ name: text, type: text }).meta({ title: 'ImageAliasesPost' });
export type ImageAliasesPost = z.infer<typeof imageAliasesPost>;

export const imageAliasesEntryPost = z.object({ name: text }).meta({ title: 'ImageAliasesEntryPost' });
export type ImageAliasesEntryPost = z.infer<typeof imageAliasesEntryPost>;

/** An alias on its own. */
export interface ImageAliasesEntry {
  description: string;
  /** Fingerprint. */
  target: string;
  name: string;
  /** `container` or `virtual-machine`. */
  type: string;
}

/** An image as `GET /1.0/images/{fingerprint}` shows it; the order of fields is that of LXD. */
export interface Image {
  auto_update: boolean;
  properties: Record<string, string>;
  public: boolean;
  expires_at: string;
  profiles: string[];
  aliases: ImageAlias[];
  /** Example: `x86_64` */
  architecture: string;
  cached: boolean;
  filename: string;
  fingerprint: string;
  /** Bytes of all files. */
  size: number;
  update_source?: ImageSource;
  /** `container` or `virtual-machine`. */
  type: string;
  created_at: string;
  last_used_at: string;
  uploaded_at: string;
}
