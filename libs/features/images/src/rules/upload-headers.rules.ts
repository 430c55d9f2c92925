import { isTrue } from '#kernel';

/** What the `X-LXD-*` headers of an upload say of the image. */
export interface UploadOptions {
  /** Expected SHA-256; empty: any. */
  readonly fingerprint: string;
  readonly filename: string;
  readonly public: boolean;
  /** Added to, and stronger than, those in `metadata.yaml`. */
  readonly properties: Readonly<Record<string, string>>;
  /** Null: not given. */
  readonly profiles: readonly string[] | null;
}

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** `properties` and `profiles` are query strings: `os=Debian&release=12`, `profile=default`. */
export function uploadOptions(headers: Headers): UploadOptions {
  const text = (name: string): string => {
    const value = headers[`x-lxd-${name}`];
    return (Array.isArray(value) ? value[0] : value) ?? '';
  };
  const profiles = new URLSearchParams(text('profiles')).getAll('profile');
  const properties: Record<string, string> = {};
  for (const [key, value] of new URLSearchParams(text('properties'))) properties[key] ??= value;
  return {
    fingerprint: text('fingerprint'), filename: text('filename'), public: isTrue(text('public')), properties,
    profiles: text('profiles') === '' ? null : profiles,
  };
}
