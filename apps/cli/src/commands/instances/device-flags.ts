import { invalid } from '#kernel';

type DeviceMap = Record<string, Record<string, string>>;

/**
 * Applies `-d <device>,<key>=<value>`. A device that only a profile has is taken over from there first; one that is nowhere is made if the flags
 * say of which type.
 */
export async function deviceFlags(words: readonly string[], devices: DeviceMap, profileDevices: () => Promise<DeviceMap>): Promise<void> {
  let inherited: DeviceMap | undefined;
  for (const word of words) {
    const comma = word.indexOf(',');
    const equals = word.indexOf('=', comma);
    if (comma < 0 || equals < 0) throw invalid(`Bad syntax, expecting <device>,<key>=<value>: ${word}`);
    const name = word.slice(0, comma);
    if (devices[name] === undefined) {
      inherited ??= await profileDevices();
      devices[name] = { ...inherited[name] };
    }
    devices[name]![word.slice(comma + 1, equals)] = word.slice(equals + 1);
  }
}
