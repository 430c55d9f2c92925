/** The import rules of docs/architecture.md, "Who may import whom". A rule's comment says what to do instead. */
const foundation = ['libs/kernel', 'libs/api-types', 'libs/config-schema'];
const path = (...folders) => `^(${folders.join('|')})/`;

/** Whatever is not listed is forbidden. `from` may always import its own folder. */
const layers = [
  { from: 'libs/kernel', to: [], instead: 'kernel is pure: pass what it needs as a parameter' },
  { from: 'libs/api-types', to: ['libs/kernel'], instead: 'wire types know only kernel' },
  { from: 'libs/config-schema', to: ['libs/kernel'], instead: 'key declarations know only kernel' },
  { from: 'libs/client', to: ['libs/api-types', 'libs/kernel'], instead: 'the client talks to a server, it does not contain one' },
  { from: 'libs/ports', to: foundation, instead: 'a port is plain data and abstract classes' },
  { from: 'libs/host', to: ['libs/kernel'], instead: 'host runs tools; what to do with them is decided in drivers' },
  { from: 'libs/platform', to: [...foundation, 'libs/ports', 'libs/platform'], instead: 'platform knows nothing of instances or pools: let a feature register itself' },
  { from: 'libs/features', to: [...foundation, 'libs/ports', 'libs/platform', 'libs/features', 'libs/client'], instead: 'features reach the host through ports only' },
  { from: 'apps/daemon', to: [...foundation, 'libs/ports', 'libs/platform', 'libs/features', 'libs/client'], instead: 'the daemon needs no root: host work belongs to the agent' },
  { from: 'apps/agent', to: ['libs/kernel', 'libs/ports', 'libs/host', 'libs/drivers', 'libs/platform/rpc'], instead: 'the agent holds no database and no domain' },
  { from: 'apps/cli', to: ['libs/client', 'libs/api-types', 'libs/kernel'], instead: 'the command line talks to a server, it does not contain one' },
];

/** Who may use whose index, inside platform and inside features. A missing edge is an error. */
const platformEdges = {
  bytes: [], rpc: [], reconcile: [], raft: ['rpc'], database: ['raft'], events: ['database'], auth: ['database'], http: ['auth'],
  operations: ['database', 'events', 'rpc'], 'agent-client': ['rpc'], peers: ['auth', 'bytes', 'database', 'events', 'http', 'raft', 'rpc'],
};
const featureEdges = {
  server: [], warnings: [], auth: ['server'], cluster: ['auth', 'projects', 'server', 'warnings'], events: [], operations: [], projects: ['auth'], profiles: ['projects'],
  storage: ['projects', 'server', 'cluster'], networks: ['projects', 'server', 'cluster'], images: ['projects', 'storage', 'server', 'cluster'],
  instances: ['projects', 'profiles', 'storage', 'networks', 'images', 'server', 'cluster'],
};

const spec = '\\.spec\\.ts$|/testing/';
const forbidden = [
  { name: 'no-cycles', severity: 'error', comment: 'Break the cycle: let the lower part own a registry and the higher register itself.', from: {}, to: { circular: true } },
  { name: 'no-unresolvable', severity: 'error', comment: 'The import does not resolve.', from: {}, to: { couldNotResolve: true } },
];
for (const { from, to, instead } of layers) {
  forbidden.push({
    name: `layer-${from.replaceAll('/', '-')}`, severity: 'error', comment: `${from} may import ${to.join(', ') || 'nothing internal'}: ${instead}.`,
    from: { path: path(from), pathNot: spec }, to: { path: '^(libs|apps|test|tools)/', pathNot: path(from, ...to) },
  });
}
function edges(folder, table, what) {
  for (const [name, allowed] of Object.entries(table)) {
    forbidden.push({
      name: `${what}-edge-${name}`, severity: 'error', comment: `Declared edges of ${what} ${name}: ${allowed.join(', ') || 'none'}. Add the edge on purpose or use a registry.`,
      from: { path: `^${folder}/${name}/`, pathNot: spec },
      to: { path: `^${folder}/`, pathNot: `^${folder}/(${[name, ...allowed].join('|')})/` },
    });
  }
}
edges('libs/platform', platformEdges, 'platform');
edges('libs/features', featureEdges, 'feature');
forbidden.push(
  { name: 'drivers-apart', severity: 'error', comment: 'Drivers import ports, host, foundation and themselves; what two need belongs to host.',
    from: { path: '^libs/drivers/([^/]+)/', pathNot: spec }, to: { path: '^(libs|apps)/', pathNot: ['^libs/drivers/$1/', path(...foundation, 'libs/ports', 'libs/host')] } },
  { name: 'features-through-index', severity: 'error', comment: 'Another feature is entered through its index.ts.',
    from: { path: '^libs/features/([^/]+)/' }, to: { path: '^libs/features/[^/]+/src/', pathNot: ['^libs/features/$1/', '/src/index\\.ts$'] } },
  { name: 'platform-through-index', severity: 'error', comment: 'A platform library is entered through its index.ts (or its testing folder, by specs).',
    from: { path: '^(libs|apps)/([^/]+/[^/]+)/' }, to: { path: '^libs/platform/[^/]+/src/', pathNot: ['^$1/$2/', '/src/index\\.ts$', '/src/testing/'] } },
  { name: 'typeorm-in-persistence', severity: 'error', comment: 'TypeORM stays in entities, repositories, migrations and platform/database.',
    from: { path: '^(libs|apps)/', pathNot: ['\\.(entity|repository|migration)\\.ts$', '^libs/platform/database/', spec] }, to: { path: 'node_modules/typeorm' } },
  { name: 'one-door-for-processes', severity: 'error', comment: 'Run tools through libs/host/src/command.ts; the daemon starts its agent in apps/daemon/src/supervise only, the command line editors and viewers in apps/cli/src/terminal/processes.ts.',
    from: { path: '^(libs|apps)/', pathNot: ['^libs/host/src/command\\.ts$', '^apps/daemon/src/supervise/', '^apps/cli/src/terminal/processes\\.ts$', spec] }, to: { path: '^(node:)?child_process$' } },
  { name: 'controllers-above-rows', severity: 'error', comment: 'A controller calls its service, not a repository or an entity.',
    from: { path: '\\.controller\\.ts$' }, to: { path: '\\.(repository|entity)\\.ts$' } },
  { name: 'pure-rules', severity: 'error', comment: 'Rules and kernel are pure: no Nest, no TypeORM, no Node I/O.',
    from: { path: ['\\.rules\\.ts$', '^libs/kernel/'] }, to: { path: ['node_modules/(@nestjs|typeorm)', '^(node:)?(fs|net|http|https|child_process|sqlite|worker_threads)'] } },
  { name: 'no-nest-in-ports', severity: 'error', comment: 'Ports, wire types, keys, host and drivers do not know Nest.',
    from: { path: '^libs/(ports|api-types|config-schema|host|drivers|client)/' }, to: { path: 'node_modules/@nestjs' } },
  { name: 'specs-fake-host-only', severity: 'error', comment: 'Specs of features and platform may use drivers/fake, no other driver and no host.',
    from: { path: '^libs/(features|platform)/.*(\\.spec\\.ts$|/testing/)' }, to: { path: ['^libs/host/', '^libs/drivers/(?!fake/)'] } },
);

module.exports = {
  forbidden,
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)dist/' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['source', 'import', 'node', 'default'], extensions: ['.ts', '.js', '.json'] },
  },
};
