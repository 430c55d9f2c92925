/** What can be changed of an instance, in the order it is shown. */
export const instanceShape = {
  architecture: '', config: null, devices: null, ephemeral: false, profiles: null, restore: undefined, stateful: false, description: '',
} as const;

export interface InstanceView {
  readonly name: string;
  readonly type: string;
  readonly status: string;
  readonly status_code: number;
  readonly architecture: string;
  readonly description: string;
  readonly ephemeral: boolean;
  readonly stateful: boolean;
  readonly profiles: readonly string[] | null;
  readonly project: string;
  readonly location: string;
  readonly created_at: string;
  readonly last_used_at: string;
  readonly config: Readonly<Record<string, string>> | null;
  readonly devices: Devices | null;
  readonly expanded_config: Readonly<Record<string, string>> | null;
  readonly expanded_devices: Devices | null;
}

export type Devices = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** Of what the server shows of an instance, what can be sent back. */
export function writableInstance(value: object | null): Record<string, unknown> {
  const shown = (value ?? {}) as Record<string, unknown>;
  return Object.fromEntries(Object.entries(instanceShape).map(([key, fallback]) => [key, shown[key] ?? fallback]));
}
