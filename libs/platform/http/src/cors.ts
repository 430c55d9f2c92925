/** Headers of `core.https_allowed_*`; empty text = not sent. */
export interface CorsSettings {
  origin: string;
  methods: string;
  headers: string;
  credentials: boolean;
}
