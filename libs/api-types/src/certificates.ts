import { z } from 'zod';

/** A certificate in the trust store. */
export interface Certificate {
  readonly name: string;
  /** Example: client */
  readonly type: string;
  readonly restricted: boolean;
  readonly projects: readonly string[];
  /** PEM */
  readonly certificate: string;
  /** SHA-256 of the DER, hex. */
  readonly fingerprint: string;
}

const certificateFields = {
  name: z.string().optional(),
  /** client, server or metrics */
  type: z.string().optional(),
  restricted: z.boolean().optional(),
  projects: z.array(z.string()).optional(),
};

/** Body of `POST /1.0/certificates`. */
export const certificatesPost = z
  .object({
    ...certificateFields,
    /** DER in base64; absent = the certificate of the TLS connection. */
    certificate: z.string().optional(),
    /** Trust password or token; required of untrusted clients. */
    password: z.string().optional(),
    /** Ask for a token instead of adding a certificate. */
    token: z.boolean().optional(),
  })
  .meta({ id: 'CertificatesPost' });
export type CertificatesPost = z.infer<typeof certificatesPost>;

/** Body of `PUT /1.0/certificates/<fingerprint>`. `certificate` is PEM here. */
export const certificatePut = z.object({ ...certificateFields, certificate: z.string().optional() }).meta({ id: 'CertificatePut' });
/** Body of `PATCH`; LXD decodes it over the whole certificate, which its complaints name. */
export const certificatePatch = certificatePut.meta({ id: 'Certificate' });
export type CertificatePut = z.infer<typeof certificatePut>;

/** Metadata of a token operation; base64 of it (with the client's name) is what `lxc config trust add` prints. */
export interface CertificateTokenMetadata {
  readonly addresses: readonly string[];
  readonly fingerprint: string;
  readonly request: Required<Omit<CertificatesPost, 'name'>> & { readonly name: string };
  readonly secret: string;
  /** Present when `core.remote_token_expiry` is set. */
  readonly expiresAt?: string;
}
