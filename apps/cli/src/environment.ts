import { userInfo } from 'node:os';
import { ClientConfig } from '#client';
import { assert } from '#kernel';

type Environment = NodeJS.ProcessEnv;

let parser: ((text: string) => unknown) | undefined;

/** Loads the parser of YAML if a configuration was written by hand; those this program writes it reads without. */
export async function prepareConfig(program: string): Promise<void> {
  if (!ClientConfig.needsParser([configDirectory(program), globalDirectory(program)])) return;
  parser = (await import('yaml')).parse;
}

function parseYaml(text: string): unknown {
  assert(parser !== undefined, 'the parser of YAML was loaded');
  return parser(text);
}

function globalDirectory(program: string, environment: Environment = process.env): string {
  return environment['ROOST_GLOBAL_CONF'] || environment['LXD_GLOBAL_CONF'] || (program === 'lxc' ? '/etc/lxc' : '/etc/roost');
}

/** Empty counts as not set: then it is what the system knows of the user. */
function home(environment: Environment): string { return environment['HOME'] || userInfo().homedir; }

/** Where the user's configuration lies: `ROOST_CONF` or `LXD_CONF`, else below the home directory, by the program's name. */
export function configDirectory(program: string, environment: Environment = process.env): string {
  return environment['ROOST_CONF'] || environment['LXD_CONF'] || `${home(environment)}/.config/${program === 'lxc' ? 'lxc' : 'roost'}`;
}

export function socketPath(environment: Environment = process.env): string {
  const directory = environment['ROOST_DIR'] || environment['LXD_DIR'] || '/var/lib/roost';
  return environment['ROOST_SOCKET'] || environment['LXD_SOCKET'] || `${directory.replace(/\/+$/, '')}/unix.socket`;
}

export function loadConfig(program: string, forceLocal: boolean, environment: Environment = process.env): ClientConfig {
  const name = (key: string): string => environment[key.toUpperCase()] || environment[key.toLowerCase()] || '';
  const options = {
    directory: configDirectory(program, environment),
    globalDirectory: globalDirectory(program, environment),
    socketPath: socketPath(environment), parse: parseYaml, otherDirectory: `${home(environment)}/.config/lxc`,
    proxy: { http: name('http_proxy'), https: name('https_proxy'), ignoreHosts: name('no_proxy') },
  };
  if (!forceLocal) return ClientConfig.load(options);
  const config = new ClientConfig(options);
  config.defaultRemote = 'local';
  return config;
}
